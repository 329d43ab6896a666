"""What a run is, from a scenario file and the command line: the only file here that imports Hydra and OmegaConf.

A scenario is `defaults: [sandbox_schema, _self_]` and keys of `RunConfig`; the first line may be left out. It passes the guard
(sandbox/guard.py), then every key and value is held against the dataclass that knows it: `RunConfig`, the world's own
`Options`, each policy's own `Options`. Only Hydra's compose API is used: `hydra.main` and `instantiate` run code that a
configuration names.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from agents.policies import policy
from sandbox.casting import cast_of, checkpoint_of, entry, environment_of, tables
from sandbox.detector_file import Detector, DetectorError, read_detector
from sandbox.guard import PLAIN_INTERPOLATION, ConfigError, Key, bad_key, bad_value, checked
from sandbox.host import Cast
from sandbox.schema import PersonaConfig, RunConfig, limits
from sandbox.source import Source, first_line, nearest, one_of, shown, words
from scenarios.environment import Environment
from scenarios.table import world

__all__ = ["ConfigError", "RunConfig", "Setting", "load"]
MOST_CELLS = 10_000
DEFAULTS = ["sandbox_schema", "_self_"]
Change = tuple[Key, Any, str]  # of an override: key, value, as it was written


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A run that may begin: its configuration, who plays on what hosts, its world; and what was written, for the record."""

    config: RunConfig
    cast: Cast
    environment: Environment
    checkpoint_sha256: str | None  # of the model's weights, if the run has one
    monitor: Detector | None = None  # who listens while it is played
    unresolved: str
    overrides: tuple[str, ...]


def load(path: Path | str, overrides: Sequence[str] = (), plugins: Sequence[str] = (), ours: bool = False) -> Setting:
    """The setting of a run. Nothing is written or started. Raises `ConfigError`, one line.

    `ours`: the file is the config.yaml of a run that is to go on, whose place was chosen when it began.
    """
    document = checked(Path(path))
    changes = [_override(text) for text in overrides]
    source = Source(document=document, overridden={leaf: text for key, value, text in changes for leaf in (key, *dict(_leaves(value, key)))})
    try:
        loaded = OmegaConf.to_container(OmegaConf.create(document.text))
    except (OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{document.path}:1: {first_line(error)}") from None
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise ConfigError(f"{document.path}:1: expected settings as `key: value`, every key a word")
    tree: dict[str, Any] = {str(key): value for key, value in loaded.items()}
    if tree.pop("defaults", DEFAULTS) != DEFAULTS:
        raise source.wrong(("defaults",), f"expected `defaults: [{', '.join(DEFAULTS)}]`, or no such line; a scenario stands alone")
    _fit(RunConfig, tree, (), Source(document=document, overridden={}))
    for key, value, text in changes:
        alone = {key[:n]: text for n in range(1, len(key) + 1)} | {leaf: text for leaf, _ in _leaves(value, key)}
        _fit(RunConfig, _nested(key, value), (), Source(document=document, overridden=alone))
    composed = _merged(tree, changes, source)
    source = dataclasses.replace(source, refers=_references(composed, source))
    try:
        made = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:  # a reference to a value of another type, or ???
        raise source.wrong(tuple(str(error.full_key or "").split(".")), first_line(error)) from None
    try:
        config = _complete(made, source, tuple(plugins), ours)
        environment = environment_of(config, source, tuple(plugins))
        if not environment.agents:
            raise source.wrong(("environment",), f"environment {config.environment['name']!r} has no agents; expected one at least")
        cast = cast_of(config, environment, source, tuple(plugins))
    except SystemExit as error:  # a plug-in is foreign code
        names = ", ".join(plugins) or "none"
        raise ConfigError(f"--plugin {names:.120}: one of them ends the program as it is loaded (SystemExit: {error!s:.40}); take that out of it") from None
    unresolved = OmegaConf.to_yaml(_composed(tree, changes, source), resolve=False)
    if unresolved != OmegaConf.to_yaml(composed, resolve=False):
        raise source.wrong((), "the settings do not fit together (Hydra reads them otherwise); write them out plainly")
    return Setting(
        config=config, cast=cast, environment=environment, checkpoint_sha256=checkpoint_of(config, cast, source), monitor=_monitor(config, source),
        unresolved=unresolved, overrides=tuple(overrides),
    )  # fmt: skip


def reseeded(setting: Setting, seed: int) -> Setting:
    """The same setting with another seed: what `load` gives with seed=SEED as its last override, without composing it again.

    Raises ValueError for one whose world or policies refer to the seed, or whose file names none: that has to be loaded again.
    """
    lines = setting.unresolved.splitlines(keepends=True)
    own = [i for i, line in enumerate(lines) if line.startswith("seed: ")]
    if len(own) != 1 or "${seed}" in setting.unresolved:
        raise ValueError("the settings refer to the seed; load them again")
    lines[own[0]] = f"seed: {seed}\n"
    return dataclasses.replace(
        setting, config=dataclasses.replace(setting.config, seed=seed), cast=dataclasses.replace(setting.cast, seed=seed), unresolved="".join(lines),
        overrides=(*(text for text in setting.overrides if text.partition("=")[0].lstrip("+") != "seed"), f"seed={seed}"),
    )  # fmt: skip


def _override(text: str) -> Change:
    """(key, value, text) of one `key=value`. Only plain changes: nothing is added, deleted, swept or taken from elsewhere."""

    def wrong(what: str) -> ConfigError:
        return ConfigError(f"override {text!r:.120}: {what}")

    try:
        parsed = OverridesParser.create().parse_override(text)
    except (HydraException, ValueError, RecursionError) as error:
        raise wrong(f"{first_line(error)}; expected key=value, as in seed=7; quote what is not a plain word") from None
    key = tuple(parsed.key_or_group.split("."))
    for n in range(1, len(key) + 1):
        if what := bad_key(key[:n]):
            raise wrong(what)
    if parsed.type == OverrideType.DEL or parsed.package is not None or parsed.is_sweep_override():
        raise wrong("expected one value for one key, as in seed=7; to give a list write key=[1,2]")
    value = parsed.value()
    for part, inner in _leaves(value, key):
        what = bad_value(inner) if isinstance(inner, str) else None
        what = what or next((w for n in range(len(key), len(part)) if (w := bad_key(part[: n + 1]))), None)
        if what:
            raise wrong(what)
    return key, value, text


def cells(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """The overrides of every cell of a sweep, by Hydra's own grammar: `seed=1,2,3`, `choice(a,b)`, `range(0,4)`. Without one: one cell."""
    choices: list[list[str]] = []
    for text in overrides:
        try:
            parsed = OverridesParser.create().parse_override(text)
            swept = parsed.is_sweep_override()
            given = [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()] if swept else [text]
        except (HydraException, ValueError, RecursionError) as error:
            raise ConfigError(f"override {text!r:.120}: {first_line(error)}; expected key=value, or key=1,2,3 for several runs") from None
        choices.append(given)
    if (count := math.prod(map(len, choices))) > MOST_CELLS:
        raise ConfigError(f"this sweep has {count} runs, at most {MOST_CELLS} are taken; give fewer values")
    return list(itertools.product(*choices))


def _fit(kind: type, tree: Mapping[Any, Any], at: tuple[str, ...], source: Source) -> None:
    """Hold every key and value of `tree` against the dataclass `kind`."""
    hints = typing.get_type_hints(kind)
    for raw, value in tree.items():
        key = (*at, str(raw))
        if raw not in hints:
            known = one_of(str(raw), hints) if hints else f"{'.'.join(at)} has no settings"
            raise source.wrong(key, f"unknown key {'.'.join(key)!r}; {known}")
        hint = hints[raw]
        mapping = dataclasses.is_dataclass(hint) or typing.get_origin(hint) is dict
        if mapping != isinstance(value, Mapping):
            expected = "settings under it, as key: value" if mapping else words(hint)
            raise source.wrong(key, f"{'.'.join(key)} is {shown(value)}; expected {expected}")
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            _fit(hint, value, key, source)
        elif "${" not in str(value):
            inner = typing.get_args(hint)[1] if mapping else hint
            for name, part, given in [((*key, str(k)), {k: v}, v) for k, v in value.items()] if mapping else [(key, value, value)]:
                try:
                    if not _sure(inner, given):
                        raise ValueError
                    _taking(kind)[raw] = part
                except (OmegaConfBaseException, ValueError):
                    raise source.wrong(name, f"{'.'.join(name)} is {shown(given)}; expected {words(hint if inner is Any else inner)}") from None


def _sure(hint: Any, given: Any) -> bool:
    """Whether a value is no number in the place of true or false: OmegaConf takes any but 0 for true, -1 too."""
    kinds = (hint, *typing.get_args(hint))
    if bool not in kinds or int in kinds or float in kinds or str in kinds or isinstance(given, bool):
        return True
    try:
        return int(given) == float(given) and int(given) in (0, 1)
    except OverflowError:  # infinite
        return False
    except (TypeError, ValueError):
        return True  # words, which OmegaConf knows


def _merged(tree: dict[str, Any], changes: Sequence[Change], source: Source) -> DictConfig:
    """What Hydra will make of the schema, the file and the overrides, in a tenth of its time: most of what is wrong is told from this."""
    try:
        merged = OmegaConf.merge(opened(RunConfig), tree)
        for key, value, _ in changes:
            OmegaConf.update(merged, ".".join(key), value, merge=True, force_add=True)
    except OmegaConfBaseException as error:
        raise source.wrong((), f"the settings do not fit together ({first_line(error)})") from None
    assert isinstance(merged, DictConfig)
    return merged


def _composed(tree: dict[str, Any], changes: Sequence[Change], source: Source) -> DictConfig:
    """Hydra's composition of the schema, the file and the overrides."""
    store = ConfigStore.instance()
    store.store(name="sandbox_schema", node=opened(RunConfig))
    store.store(name="scenario", node={"defaults": list(DEFAULTS), **tree})
    # ++ because a world's options, unlike the schema's keys, need not stand in the file to be overridden; _fit knows both
    texts = [f"++{text.lstrip('+')}" for _, _, text in changes]
    try:
        with initialize(version_base="1.3", config_path=None):
            return compose("scenario", overrides=texts)
    except (HydraException, OmegaConfBaseException) as error:
        raise source.wrong((), f"the settings do not fit together ({first_line(error.__cause__ or error)})") from None


def _references(composed: DictConfig, source: Source) -> dict[Key, Key]:
    """Which keys refer to which by ${key}: to a plain value only, never to a mapping, to another reference, or to nothing."""
    tree = OmegaConf.to_container(composed, resolve=False)
    plain = dict(_leaves(tree, ()))
    found_in: dict[Key, Key] = {}
    for key, value in plain.items():
        if not isinstance(value, str) or "${" not in value:
            continue
        target = tuple(value[2:-1].split("."))
        found = plain.get(target)
        if not PLAIN_INTERPOLATION.fullmatch(value) or target not in plain or (isinstance(found, str) and "${" in found):
            raise source.wrong(key, f"{'.'.join(key)} refers to {value!r:.60}; expected the name of a key with a plain value")
        if found is None:
            raise source.wrong(key, f"{'.'.join(key)} needs {value[2:-1]}, which is not set; add {value[2:-1]}=VALUE to the command")
        found_in[key] = target
    return found_in


def _complete(config: Any, source: Source, plugins: tuple[str, ...], ours: bool) -> RunConfig:
    """The configuration with the options of its world and policies checked and filled in."""
    _within(config, source, ours)
    known_worlds, known_policies = tables(plugins)
    name = config.environment.get("name")
    if name is None:
        raise source.wrong(("environment", "name"), f"environment.name is missing; expected one of {', '.join(known_worlds)}")
    module = entry("world", name, known_worlds, ("environment", "name"), source, partial(world, name, plugins))
    options = {key: value for key, value in config.environment.items() if key != "name"}
    environment = {"name": name} | _options(module.Options, options, ("environment",), source)
    wanted = {key: {} for key in config.seats.values()} | {key: {} if value is None else value for key, value in config.policies.items()}
    complete: dict[str, Any] = {}
    for key, given in sorted(wanted.items()):
        at = ("policies", key) if key in config.policies else ("seats", next(seat for seat, who in config.seats.items() if who == key))
        module = entry("policy", key, known_policies, at, source, partial(policy, key, plugins))
        if not isinstance(given, Mapping):
            raise source.wrong(at, f"policies.{key} is {shown(given)}; expected its options under it, as key: value")
        complete[key] = _options(module.Options, given, at, source)
    personas: dict[str, Any] = {}
    for key, given in sorted(config.personas.items()):
        if not isinstance(given, Mapping) or not any(given.values()):
            raise source.wrong(("personas", key), f"personas.{key} is {shown(given)}; expected under it text: …, or own: FILE, or both")
        personas[key] = _options(PersonaConfig, given, ("personas", key), source)
    return dataclasses.replace(config, environment=environment, policies=complete, personas=personas)


def _monitor(config: RunConfig, source: Source) -> Detector | None:
    """The detector that listens."""
    if config.monitor.file is None:
        if config.monitor.action != "flag":
            raise source.wrong(("monitor", "action"), f"monitor.action is {config.monitor.action}, and no detector says when; name its file, as in monitor.file=detector.json")
        return None
    try:
        found = read_detector(config.monitor.file)
        found.suits(str(config.environment["name"]), config.environment)
    except DetectorError as error:
        raise source.wrong(("monitor", "file"), f"monitor.file: {error}") from None
    return found


def _options(kind: Any, given: Mapping[str, Any], at: tuple[str, ...], source: Source) -> dict[str, Any]:
    """The options of a world, a policy or a persona, every one of them, from those given."""
    _fit(kind, given, at, source)
    missing = [
        f.name for f in dataclasses.fields(kind)
        if f.name not in given and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]  # fmt: skip
    if missing:
        raise source.wrong((*at, missing[0]), f"{'.'.join(at)} needs {', '.join(missing)}; add it under {at[0]}")
    try:
        made = OmegaConf.to_object(OmegaConf.merge(opened(kind), given))
    except (OmegaConfBaseException, ValueError) as error:
        raise source.wrong(at, f"{'.'.join(at)}: {first_line(error)}") from None
    return {f.name: getattr(made, f.name) for f in dataclasses.fields(kind)}


def _within(config: RunConfig, source: Source, ours: bool) -> None:
    for key, value, good, expected in limits(config, chosen_by_user=ours or ("run_dir",) in source.overridden):
        if not good:
            raise source.wrong(key, f"{'.'.join(key)} is {shown(value)}; expected {expected}{nearest(str(value), expected.split())}")


@cache
def _taking(kind: type) -> DictConfig:
    """A schema to try values on, one after another; what it took stays in it, and nobody reads it."""
    return opened(kind)


def opened(kind: type) -> DictConfig:
    """The schema of a dataclass, open to change: OmegaConf makes that of a frozen one read-only, and nothing could be merged."""
    node = OmegaConf.structured(kind)
    inner = [node]
    while inner:
        here = inner.pop()
        OmegaConf.set_readonly(here, None)
        inner += [child for key in here if isinstance(child := here._get_node(key), DictConfig)]
    return node


def _leaves(tree: Any, at: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    """(key, value) of everything in a tree that is neither a mapping nor a list."""
    if isinstance(tree, Mapping):
        return [leaf for key, value in tree.items() for leaf in _leaves(value, (*at, str(key)))]
    if isinstance(tree, (list, tuple)):
        return [leaf for i, value in enumerate(tree) for leaf in _leaves(value, (*at, str(i)))]
    return [(at, tree)]


def _nested(key: tuple[str, ...], value: Any) -> dict[str, Any]:
    for name in reversed(key):
        value = {name: value}
    return value
