"""The words of a command line that let something out, and what this process forgets before anything else begins: keys. Light, for every command."""

from __future__ import annotations

import argparse
import re
from collections.abc import MutableMapping, Sequence

SECRET = re.compile(r"(.*_)?API_?KEYS?|(AZURE_)?OPENAI_.*|ANTHROPIC_.*|HF_TOKEN|HUGGING_?FACE_.*TOKEN")
HIDDEN = (
    (re.compile(r"://[^\s/@'\"]*@"), "://…@"),
    (re.compile(r"(?i)((?:key|token|secret|password)[a-z_]*'?\s*[=:]\s*)[^\s'\",}]+"), r"\1…"),
)  # fmt: skip


def arguments(command: argparse.ArgumentParser) -> None:
    """The options of a command whose seats may call servers."""
    command.add_argument(
        "--allow-host", action="append", default=[], metavar="ORIGIN", help="a server that seats may call, such as https://api.example.org; NAME=ADDRESS for a name inside your network"
    )  # fmt: skip
    command.add_argument("--key", action="append", default=[], metavar="ORIGIN=VARIABLE", help="a server that seats may call, with the key in this environment variable")


def forget(environment: MutableMapping[str, str], keys: Sequence[str]) -> dict[str, str]:
    """What looks like a key, and what `--key` names, taken out of the environment: no child of this process has it."""
    named = {text.rpartition("=")[2] for text in keys if "=" in text}
    values = {environment[name] for name in named if environment.get(name)}
    names = [name for name, value in environment.items() if name in named or value in values or SECRET.fullmatch(name)]
    return {name: environment.pop(name) for name in names}


def hidden(text: str) -> str:
    """The text without what may be a secret in it: a user's name and password in a URL, the value of a key."""
    for form, instead in HIDDEN:
        text = form.sub(instead, text)
    return text
