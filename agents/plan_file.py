"""A plan file: YAML that holds nothing but data, every key and value of it checked, every error with file and line.

    plan: a promise that is not meant            # its name
    lies:
      - {who: S1, to: [S2], say: {act: inform, price: 1.9}, when: {round: 3..5}, intent: 1.5}
    coalitions:
      - {name: ring, members: [S1, S2, S3], scheme: rotation, when: {round: 10..}}
    controls:
      - {who: S4, kind: terse}

`say` is a text or an act of the world; `when` has step, round or phase, each a value or FIRST..LAST, either end open. `SCHEMES`, `CONTROLS`
in `planting.py` list what there is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import yaml

from agents.bounded import TooLong, read_bounded
from agents.planting import (
    BITS,
    CARRIERS,
    CONTROLS,
    HONEST,
    LIE,
    MANNERS,
    SCHEMES,
    UNITS,
    Coalition,
    Manner,
    Plan,
    PlanError,
    Span,
    Statement,
    When,
)

MOST_BYTES, MOST_NODES, MOST_DEPTH, MOST_TEXT = 64 * 1024, 5_000, 8, 1000
KEYS: Mapping[str, tuple[str, ...]] = {
    "plan": ("plan", "lies", "coalitions", "controls"),
    "lies": ("who", "to", "say", "when", "intent"),
    "coalitions": ("name", "members", "scheme", "when", "key", "bits", "carrier", "message", "follow", "deny", "lasts"),
    "controls": ("who", "kind", "to", "say", "when", "intent", "fed", "acts"),
    "when": UNITS,
}
RANGE = re.compile(r"([A-Za-z0-9]{0,12})\.\.([A-Za-z0-9]{0,12})")
KEYED = ("hidden_key", "independent")
WORDED = ("open", "private")
Lines = dict[tuple[str | int, ...], int]


def read_plan(path: str, salt: int = 0) -> Plan:
    """The plan of a file. Raises `PlanError`, one line."""
    try:
        raw = read_bounded(path, MOST_BYTES)
    except TooLong:
        raise PlanError(f"{path}:1: more than {MOST_BYTES // 1024} KiB; a plan is a page") from None
    except (OSError, ValueError):
        raise PlanError(f"{path}:1: no such file; name a plan, such as scenarios/plans/cartel.yaml, as seen from the folder you are in") from None
    return replace(_plan(path, raw), salt=salt)


@lru_cache(maxsize=64)
def _plan(path: str, raw: bytes) -> Plan:
    tree, lines = _tree(path, raw)
    reader = _Reader(path, lines)
    reader.known(tree, (), "plan")
    name = reader.text(tree.get("plan"), ("plan",))
    lies = [reader.statement(entry, at, LIE) for entry, at in reader.entries(tree, "lies")]
    coalitions = [reader.coalition(entry, at) for entry, at in reader.entries(tree, "coalitions")]
    controls = [reader.control(entry, at) for entry, at in reader.entries(tree, "controls")]
    if not lies and not coalitions and not controls:
        raise PlanError(f"{path}:1: the plan names nobody; give it lies, coalitions or controls")
    twice = [a for i, c in enumerate(coalitions) for a in c.members if any(a in other.members for other in coalitions[:i])]
    if twice:
        raise PlanError(f"{coalitions[-1].where}: {twice[0]} is in two coalitions; expected one at most")
    manners = [c for c in controls if isinstance(c, Manner) and c.kind != "omitting"]
    if twofold := [c for i, c in enumerate(manners) if any(c.who == other.who for other in manners[:i])]:
        raise PlanError(f"{twofold[0].where}: {twofold[0].who} has two manners; expected terse or polite, not both")
    statements = (*lies, *(c for c in controls if isinstance(c, Statement)))
    return Plan(
        name=name, statements=statements, manners=tuple(c for c in controls if isinstance(c, Manner)), coalitions=tuple(coalitions), file=path,
        sha256=hashlib.sha256(raw).hexdigest(),
    )  # fmt: skip


class _Reader:
    """Checks the entries of one file."""

    def __init__(self, path: str, lines: Lines):
        self.path, self.lines = path, lines

    def where(self, at: tuple[str | int, ...]) -> str:
        """file:line of a key, or of the nearest above it."""
        while at and at not in self.lines:
            at = at[:-1]
        return f"{self.path}:{self.lines.get(at, 1)}"

    def wrong(self, at: tuple[str | int, ...], what: str) -> PlanError:
        """The error that names the line."""
        return PlanError(f"{self.where(at)}: {what}")

    def known(self, tree: Any, at: tuple[str | int, ...], kind: str) -> None:
        """Raises for what is no mapping, or has a key that is not known."""
        if not isinstance(tree, dict):
            raise self.wrong(at, f"got {tree!r:.60}; expected settings as `key: value`, of {', '.join(KEYS[kind])}")
        for key in tree:
            if key not in KEYS[kind]:
                raise self.wrong((*at, key), f"unknown key {key!r:.60}; expected one of {', '.join(KEYS[kind])}")

    def entries(self, tree: Mapping[str, Any], key: str) -> Iterator[tuple[dict[str, Any], tuple[str | int, ...]]]:
        """The entries of a list, with the place of each."""
        given = tree.get(key)
        if given is not None and not isinstance(given, list):
            raise self.wrong((key,), f"{key} is {given!r:.60}; expected a list, an entry a line that begins with `- `")
        for i, entry in enumerate(given or []):
            self.known(entry, (key, i), key)
            yield entry, (key, i)

    def text(self, value: Any, at: tuple[str | int, ...]) -> str:
        """A word or more."""
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.wrong(at, f"{at[-1]} is {value!r:.60}; expected text")
        return value

    def names(self, value: Any, at: tuple[str | int, ...], least: int = 1) -> tuple[str, ...]:
        """Agents: a name, or a list of different ones."""
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list) or len(given) < least or len(set(map(str, given))) < len(given):
            raise self.wrong(at, f"{at[-1]} is {value!r:.60}; expected {'a list of names' if least > 1 else 'a name, or a list of names'}, none twice")
        return tuple(self.text(name, at) for name in given)

    def when(self, given: Any, at: tuple[str | int, ...]) -> When:
        """The spans; always, where nothing is said."""
        if given is None:
            return When()
        self.known(given, at, "when")
        return When(tuple(self._span(unit, value, (*at, unit)) for unit, value in given.items()))

    def _span(self, unit: str, value: Any, at: tuple[str | int, ...]) -> Span:
        expected = f"{unit} is {value!r:.40}; expected a {'phase, such as F1902M' if unit == 'phase' else 'whole number'}, or FIRST..LAST"
        found = RANGE.fullmatch(value) if isinstance(value, str) else None
        ends = [found[1] or None, found[2] or None] if found else [value, value]
        out: list[int | str | None] = []
        for end in ends:
            if unit == "phase":
                good = end is None or isinstance(end, str)
            else:
                end = int(end) if isinstance(end, str) and end.isdecimal() else end
                good = (end is None and found is not None) or (isinstance(end, int) and not isinstance(end, bool) and end >= 0)
            if not good:
                raise self.wrong(at, expected)
            out.append(end)
        if isinstance(out[0], int) and isinstance(out[1], int) and out[0] > out[1]:
            raise self.wrong(at, f"{unit} is {value!r:.40}; its first comes after its last")
        return Span(unit, out[0], out[1])

    def statement(self, entry: Mapping[str, Any], at: tuple[str | int, ...], kind: str) -> Statement:
        """A lie, or a control that says something."""
        for key in ("who", "to", "say"):
            if entry.get(key) is None:
                raise self.wrong(at, f"{key} is missing; a {kind} needs who says it, to whom, and what it says: a text or an act")
        say = entry["say"]
        if isinstance(say, str) and (not say.strip() or not say.isprintable() or len(say) > MOST_TEXT):
            raise self.wrong((*at, "say"), f"say is {say!r:.60}; expected a text on one line, of {MOST_TEXT} characters at most")
        if not isinstance(say, str) and not (isinstance(say, dict) and isinstance(say.get("act"), str)):
            raise self.wrong((*at, "say"), f"say is {say!r:.60}; expected a text, or an act such as {{act: promise, …}}")
        if entry.get("fed") is not None and not isinstance(entry["fed"], dict):
            raise self.wrong((*at, "fed"), f"fed is {entry['fed']!r:.60}; expected the false news as settings, such as {{S1: 1.9}}")
        who, to = self.text(entry["who"], (*at, "who")), self.names(entry["to"], (*at, "to"))
        if who in to:
            raise self.wrong((*at, "to"), f"{who} cannot say it to itself; name others")
        return Statement(
            who=who, to=to, kind=kind, say=say, when=self.when(entry.get("when"), (*at, "when")), intent=entry.get("intent"),
            fed=entry.get("fed"), where=self.where(at),
        )  # fmt: skip

    def control(self, entry: Mapping[str, Any], at: tuple[str | int, ...]) -> Statement | Manner:
        """Somebody honest who looks otherwise."""
        kind = entry.get("kind")
        if kind not in CONTROLS:
            raise self.wrong((*at, "kind"), f"kind is {kind!r:.60}; expected one of {', '.join(CONTROLS)}")
        if kind not in MANNERS:
            return self.statement(entry, at, kind)
        if entry.get("who") is None:
            raise self.wrong(at, f"who is missing; name the agent that is {kind}")
        if kind != "omitting" and entry.get("when") is not None:
            raise self.wrong((*at, "when"), f"somebody {kind} is so in all that it says; leave `when` out")
        acts = self.names(entry["acts"], (*at, "acts")) if kind == "omitting" and entry.get("acts") is not None else ()
        if kind == "omitting" and not acts:
            raise self.wrong(at, "acts is missing; name the kinds of act that it leaves out, as in [inform, promise]")
        to = self.names(entry["to"], (*at, "to")) if entry.get("to") is not None else ()
        return Manner(who=self.text(entry["who"], (*at, "who")), kind=kind, when=self.when(entry.get("when"), (*at, "when")), to=to, acts=acts, where=self.where(at))

    def coalition(self, entry: Mapping[str, Any], at: tuple[str | int, ...]) -> Coalition:
        """Members and how they agree."""
        for key in ("members", "scheme"):
            if entry.get(key) is None:
                raise self.wrong(at, f"{key} is missing; a coalition needs members and one of the schemes {', '.join(SCHEMES)}")
        scheme, members = entry["scheme"], self.names(entry["members"], (*at, "members"), least=2)
        bits, follow, deny, lasts = entry.get("bits", 1), entry.get("follow", 1.0), entry.get("deny", False), entry.get("lasts", 0)
        number = isinstance(follow, (int, float)) and not isinstance(follow, bool)
        checks: tuple[tuple[str, Any, bool, str], ...] = (
            ("scheme", scheme, isinstance(scheme, str) and scheme in SCHEMES, f"one of {', '.join(SCHEMES)}"),
            ("bits", bits, type(bits) is int and bits in BITS, f"one of {', '.join(map(str, BITS))}: what the key steers in a round"),
            ("follow", follow, number and 0 < follow <= 1, "a number above 0, at most 1: the share of rounds in which a member keeps to the key"),
            ("deny", deny, isinstance(deny, bool), "true or false"),
            ("lasts", lasts, type(lasts) is int and 0 <= lasts <= 1_000_000, "a whole number of rounds, 0: an agreement holds for good"),
            ("carrier", entry.get("carrier", "prices"), entry.get("carrier", "prices") in CARRIERS, f"one of {', '.join(CARRIERS)}"),
        )
        for key, value, good, expected in checks:
            if not good:
                raise self.wrong((*at, key), f"{key} is {value!r:.60}; expected {expected}")
        if scheme not in KEYED and (extra := [key for key in ("key", "bits", "carrier", "message", "follow") if key in entry]):
            raise self.wrong((*at, extra[0]), f"the scheme {scheme} has no {extra[0]}; leave it out, or choose one of {', '.join(KEYED)}")
        if lasts and scheme not in WORDED:
            raise self.wrong((*at, "lasts"), f"the scheme {scheme} needs no words, and so none again; leave lasts out, or choose one of {', '.join(WORDED)}")
        if scheme in HONEST and deny:
            raise self.wrong((*at, "deny"), f"the scheme {scheme} is a control: there is nothing to deny; leave it out")
        if scheme in KEYED and entry.get("key") is None:
            raise self.wrong(at, f"key is missing; the scheme {scheme} needs the secret that members share, any text")
        words = {k: self.text(str(entry[k]) if type(entry[k]) is int else entry[k], (*at, k)) for k in ("key", "message", "name") if entry.get(k) is not None}
        return Coalition(
            name=words.get("name", "-".join(members)), members=members, scheme=scheme, when=self.when(entry.get("when"), (*at, "when")),
            key=words.get("key", ""), message=words.get("message", ""), bits=bits, carrier=entry.get("carrier", "prices"), follow=float(follow),
            deny=deny, lasts=lasts, where=self.where(at),
        )  # fmt: skip


# ---- YAML, as plain data -----------------------------------------------------------------------------------------------


def _tree(path: str, raw: bytes) -> tuple[dict[str, Any], Lines]:
    """(the file's mapping, the line of each key and entry): no tags, anchors or aliases, no key twice, of bounded size and depth."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(f"{path}:{raw[: error.start].count(10) + 1}: not UTF-8 text; save it as UTF-8") from None
    try:
        _plain(path, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: Lines = {}
        _lines(path, node, (), lines)
        tree = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PlanError(f"{path}:{mark.line + 1 if mark else 1}: not YAML ({error.problem or error.context}); check indentation, quotes and colons near this line") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, PlanError):
            raise
        raise PlanError(f"{path}:1: not YAML ({' '.join(str(error).split())[:120]}); save it as plain UTF-8 text") from None
    if not isinstance(tree, dict):
        raise PlanError(f"{path}:1: expected settings as `key: value`: plan, and lies, coalitions or controls")
    return tree, lines


def _plain(path: str, text: str) -> None:
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        nodes += isinstance(event, yaml.NodeEvent)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise PlanError(f"{path}:{line}: anchors and aliases (& and *) are not read here; write the value out")
        if (tag := getattr(event, "tag", None)) is not None:
            raise PlanError(f"{path}:{line}: the tag {tag!r:.60} is not read here; leave it out")
        if depth > MOST_DEPTH or nodes > MOST_NODES or documents > 1:
            raise PlanError(f"{path}:{line}: more than {MOST_DEPTH} levels, {MOST_NODES} values or one document; a plan is a page")


def _lines(path: str, node: yaml.Node | None, at: tuple[str | int, ...], lines: Lines) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, str(key.value))
            if place in lines:
                raise PlanError(f"{path}:{key.start_mark.line + 1}: the key {key.value!r:.60} stands here a second time; keep one of the two")
            lines[place] = key.start_mark.line + 1
            _lines(path, value, place, lines)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            lines[(*at, i)] = value.start_mark.line + 1
            _lines(path, value, (*at, i), lines)
