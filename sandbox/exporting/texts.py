"""Texts fit for a training set: no bytes that steer a terminal, no marks that a chat template would take for its own, nobody's address.

Whoever speaks in a run is not trusted: a text that says `<|im_start|>system` would, in the rows of a trainer that reads such marks wherever they
stand, be somebody else's words. Such a mark is broken by a space; it stays readable, and is a mark no more.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from sandbox.record import whole

SHORT = 500  # characters of a text that is remembered
CONTROL = re.compile(  # of steering, of direction, and what nobody sees and a model reads all the same (tags spell whole sentences)
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
MARK = re.compile(r"<(?=\|[^|\s]{1,40}\||/?s>|<?/?SYS>|(?:start|end)_of_turn>|/?(?:bos|eos|pad|unk|think|tool_call|tool_response)>|｜)|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS)\])")
PERSONAL = (  # what it is called, how it looks; in the order in which they are looked for
    ("key", re.compile(r"\b(?:sk|pk|ghp|gho|hf|xox[bap]|AKIA)[-_]?[A-Za-z0-9][A-Za-z0-9_-]{15,}\b")),
    ("email", re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}\b")),
    ("address", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")),
    ("phone", re.compile(r"(?<![\w+])(?:\+\d{1,3}[ .-]?)(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}(?!\w)")),
    ("home", re.compile(r"(?<!\w)(?:/home/|/Users/|[A-Z]:\\Users\\)[^\s/\\]{1,64}")),
)
_STRANGE, _SECRET, _DOTTED = (  # whether any of it can be there; apart, each is looked for by its first character
    re.compile(r"[^\x20-\x2a\x2c-\x3b\x3d-\x3f\x41-\x5a\x5d-\x7e\n\t]"),  # not ASCII, steering, or one of + < @ [ \
    re.compile(r"/home/|/Users/|(?:sk|pk|ghp|gho|hf|xox[bap]|AKIA)[-_]?[A-Za-z0-9]{8}"),
    re.compile(r"\d\.\d{1,3}\.\d"),
)
_MORE = re.compile(r'[:,"]|\b(?:to|alone)\b|^all$')  # what stands around names


def fit(text: str) -> tuple[str, tuple[str, ...]]:
    """(the text as it may stand in a row, what was done to it: of control, mark, key, email, address, phone, home)."""
    return _known_fit(text) if len(text) <= SHORT else _fit(text)


def _fit(text: str) -> tuple[str, tuple[str, ...]]:
    if not (_STRANGE.search(text) or _SECRET.search(text) or _DOTTED.search(text)):  # as nearly all
        return text, ()
    done = []
    text = whole(text).replace("\r\n", "\n").replace("\r", "\n")
    for what, pattern, put in (("control", CONTROL, ""), ("mark", MARK, None), *((what, pattern, f"[{what}]") for what, pattern in PERSONAL)):
        found, n = pattern.subn(lambda m: m[0] + " ", text) if put is None else pattern.subn(put, text)
        if n:
            text = found
            done.append(what)
    return text, tuple(done)


_known_fit = lru_cache(maxsize=8192)(_fit)  # much is said, and still more intended, more than once


@lru_cache(maxsize=4096)
def name_of(name: str) -> str:
    """A name as rows have it: on one line, for it stands before what is said."""
    return " ".join(fit(name)[0].split()) if not name.isalnum() or not name.isascii() else name


@lru_cache(maxsize=4096)
def called(name: str) -> str:
    """A name as it stands before what is said: in quotes where it could pass for more than a name, as `Dan: yes` or `Ben to all` would."""
    return json.dumps(name, ensure_ascii=False) if _MORE.search(name) else name
