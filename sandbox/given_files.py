"""Files that a run reads beside its settings, and that make it what it is: own states that agents begin with, logs that are played again."""

from __future__ import annotations

from pathlib import Path

from agents.policies import policy
from sandbox.config import Setting
from sandbox.disk import file_sha256


def file_hashes(setting: Setting) -> dict[str, str]:
    """Key of the settings → SHA-256 of the file that it names. A policy says which it reads by a function `reads` of its options."""
    files = {f"personas.{agent}.own": Path(file) for agent, file in setting.cast.own.items()}
    for name, options in setting.cast.policies.items():
        module = policy(name, setting.cast.plugins)
        if (reads := getattr(module, "reads", None)) is not None:
            files |= {f"policies.{name}.{option}": path for option, path in reads(module.Options(**options)).items()}
    return {key: file_sha256(path) for key, path in sorted(files.items())}
