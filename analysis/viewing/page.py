"""The page of a run: one HTML file that needs nothing else, asks for nothing, and runs one script, the one named by its hash.

Everything that came from a run stands in a block of JSON in which no character could end it, and the script shows it as text alone: the policy
allows no other script, style, picture or connection, and (where the browser knows trusted types) no markup made from text.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

SCRIPTS = ("dom", "run", "moment", "timeline", "talk", "map", "network", "chart", "eyes", "beside", "main")  # js/*.js, in this order, in one scope
_JSON = {"sort_keys": False, "separators": (",", ":"), "ensure_ascii": True, "allow_nan": False}


def page(value: dict[str, Any]) -> str:
    """The page that shows this value, which `gathered` made."""
    script, style = _script(), _file("view.css")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )  # fmt: skip
    return _template().render(title=value["title"], policy=policy, script=Markup(script), style=Markup(style), value=value)


@cache
def _template() -> Any:
    environment = Environment(autoescape=True)
    environment.policies["json.dumps_kwargs"] = _JSON
    return environment.from_string(_file("template.html"))


@cache
def _script() -> str:
    return '(() => {\n"use strict";\n' + "\n".join(_file(f"js/{name}.js") for name in SCRIPTS) + "})();\n"


@cache
def _file(name: str) -> str:
    return files("analysis.viewing").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
