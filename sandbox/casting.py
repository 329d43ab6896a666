"""Who plays in which world: from a configuration whose keys are known to the environment, the seats, the policies, the model's weights.

Worlds and policies come from tables (name → module) to which plug-ins add; what a plug-in gets wrong is told in one line, as a scenario's
own mistakes are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import ModuleType

from agents.policies import is_outside, make_policy, policies, policy
from sandbox.chance import WORLD
from sandbox.guard import ConfigError, Key
from sandbox.host import Cast
from sandbox.schema import RunConfig
from sandbox.source import Source, first_line, nearest, one_of
from scenarios.briefing import briefed
from scenarios.environment import Environment
from scenarios.table import world, worlds


def tables(plugins: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """(worlds, policies): name → module, those of the plug-ins included. Raises `ConfigError` for a plug-in that is not one."""
    for name in plugins:
        try:
            worlds((name,)), policies((name,))
        except Exception as error:  # foreign code: whatever breaks in it is told in one line
            if "/" in name or name.endswith(".py"):
                module = ".".join(part for part in PurePath(name).with_suffix("").parts if part not in ("/", ".."))
                raise ConfigError(f"--plugin {name}: this names a file; name the module: --plugin {module}") from None
            what = f"{type(error).__name__}: {first_line(error)}"
            raise ConfigError(f"--plugin {name}: {what}; expected a module that Python can import from here") from None
    return worlds(plugins), policies(plugins)


def entry(
    what: str, name: str, table: Mapping[str, str], at: tuple[str, ...], source: Source, find: Callable[[], ModuleType]
) -> ModuleType:
    """The module of a world or policy. Raises `ConfigError` if the table has no such name, or what it names is no such module."""
    if not isinstance(name, str) or name not in table:
        raise source.wrong(at, f"unknown {what} {name!r:.60}; {one_of(str(name), sorted(table))}; one of your own comes with --plugin MODULE")
    try:
        module = find()
    except Exception as error:  # foreign code, where a plug-in names it
        what_broke = f"{type(error).__name__}: {first_line(error)}"
        raise source.wrong(at, f"the {what} {name!r} cannot be loaded ({what_broke}); mend {table[name]!s:.80}") from None
    wanted = ("Options", "make") if what == "world" else ("Options", "make", "needs_model")
    if missing := [part for part in wanted if not hasattr(module, part)]:
        raise source.wrong(at, f"the {what} {name!r} has no {' and no '.join(missing)}; its module {module.__name__} needs {', '.join(wanted)}")
    if not dataclasses.is_dataclass(module.Options):
        raise source.wrong(at, f"the {what} {name!r}: {module.__name__}.Options must be a dataclass, of what YAML may say")
    if what == "policy" and module.needs_model and "checkpoint" not in (field.name for field in dataclasses.fields(module.Options)):
        raise source.wrong(at, f"the policy {name!r} needs a model, but {module.__name__}.Options has no `checkpoint`; add it")
    return module


def environment_of(config: RunConfig, source: Source, plugins: tuple[str, ...]) -> Environment:
    """The world that the configuration describes."""
    module = world(config.environment["name"], plugins)
    options = {key: value for key, value in config.environment.items() if key != "name"}
    try:
        environment = module.make(module.Options(**options))
    except Exception as error:  # foreign code, if a plug-in has it
        what = first_line(error) if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: {first_line(error)}"
        raise source.wrong(_named(what, options), f"environment {config.environment['name']!r}: {what}") from None
    agents = getattr(environment, "agents", None)
    if not isinstance(agents, tuple) or not all(isinstance(name, str) and name for name in agents) or len(set(agents)) != len(agents):
        raise source.wrong(("environment",), f"environment {config.environment['name']!r}: its agents are {agents!r:.80}; expected a tuple of names, all different")
    for name in ("default", WORLD):
        if name in environment.agents:
            raise source.wrong(("environment",), f"an agent named {name!r} cannot be seated; rename it")
    return _briefed(environment, config, source)


def _briefed(environment: Environment, config: RunConfig, source: Source) -> Environment:
    """The world with the run's personas told in it."""
    for name in config.personas:
        if name not in environment.agents:
            raise source.wrong(("personas", name), f"no agent {name!r:.60} here; expected one of {', '.join(environment.agents)}{nearest(name, environment.agents)}")
    try:
        return briefed(environment, {name: persona["text"] for name, persona in config.personas.items() if persona["text"] is not None})
    except ValueError as error:
        name = str(error).split(":")[0]
        raise source.wrong(("personas", name, "text"), f"personas.{error}") from None


def _named(what: str, options: Mapping[str, object]) -> Key:
    """The key that an error of a world is about: the option, or the entry of one, that it begins with; else the world as a whole."""
    option, *inner = what.split(maxsplit=1)[0].rstrip(":;,").removeprefix("environment.").split(".")
    return ("environment", option, *inner) if option in options else ("environment",)


def cast_of(config: RunConfig, environment: Environment, source: Source, plugins: tuple[str, ...]) -> Cast:
    """Who sits where, and all that a host must know to play them."""
    for seat in config.seats:
        if seat != "default" and seat not in environment.agents:
            known = ", ".join(environment.agents) + nearest(seat, environment.agents)
            raise source.wrong(("seats", seat), f"no agent {seat!r:.60} here; expected default or one of {known}")
    empty = [agent for agent in environment.agents if agent not in config.seats and "default" not in config.seats]
    if empty:
        raise source.wrong(("seats", "default"), f"no policy for {', '.join(empty)}; add `default: POLICY` under seats")
    seats = {agent: config.seats.get(agent, config.seats.get("default", "")) for agent in environment.agents}
    used = {name: config.policies[name] for name in sorted(set(seats.values()))}
    named = {options["checkpoint"] for name, options in used.items() if policy(name, plugins).needs_model}
    checkpoints = named - {None}  # some policies do with a model or without
    for name, options in used.items():
        if not policy(name, plugins).needs_model:  # made here once to see that it can be: it may need a world with a language
            try:
                make_policy(name, options, environment.language, environment.agents, plugins)
            except Exception as error:  # foreign code, if a plug-in has it
                seat = next((seat for seat, who in config.seats.items() if who == name), "default")
                what = first_line(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {first_line(error)}"
                raise source.wrong(("seats", seat), f"policy {name!r}: {what}") from None
        elif check := getattr(policy(name, plugins), "check", None):  # what can be known without the weights
            try:
                check(environment.language, policy(name, plugins).Options(**options), environment.agents)
            except ValueError as error:
                seat = next((seat for seat, who in config.seats.items() if who == name), "default")
                raise source.wrong(("seats", seat), f"policy {name!r}: {first_line(error)}") from None
    if config.executor == "ray" and config.hosts > len(environment.agents):
        raise source.wrong(("hosts",), f"{config.hosts} hosts for {len(environment.agents)} agents; name at most one each")
    if len(checkpoints) > 1:
        names = ", ".join(sorted(checkpoints))
        raise source.wrong(("policies",), f"the policies name different checkpoints ({names}); one run has one model")
    if config.measure.surprise and not checkpoints:
        raise source.wrong(("measure", "surprise"), "measure.surprise is true, but no seat has a model; seat one, as in seats.default=social, or set it to false")
    return Cast(
        seed=config.seed, seats=seats, policies=used, environment=config.environment, plugins=plugins,
        checkpoint=next(iter(checkpoints), None), threads=config.threads,
        outside=frozenset(agent for agent, name in seats.items() if is_outside(policy(name, plugins))),
        own={agent: persona["own"] for agent, persona in sorted(config.personas.items()) if persona["own"] is not None},
    )  # fmt: skip


def checkpoint_of(config: RunConfig, cast: Cast, source: Source) -> str | None:
    """The SHA-256 of the model's weights. Loaded here once, so that a damaged model is told before anything is written."""
    if cast.checkpoint is None:
        for agent in cast.own:
            raise source.wrong(("personas", agent, "own"), f"personas.{agent}.own is a state, but no seat has a model; seat one, as in seats.default=social")
        return None
    from agents.reading import prior
    from sociallm.checkpoint import CheckpointError, load, shared
    from sociallm.states import StateError

    try:
        checkpoint = (shared if config.executor == "local" else load)(cast.checkpoint)
    except CheckpointError as error:
        name = next(name for name, options in cast.policies.items() if options.get("checkpoint") == cast.checkpoint)
        raise source.wrong(("policies", name, "checkpoint"), f"policies.{name}.checkpoint: {first_line(error)}") from None
    for agent, file in cast.own.items():
        try:
            prior(checkpoint, file)
        except StateError as error:
            raise source.wrong(("personas", agent, "own"), f"personas.{agent}.own: {error}") from None
    return checkpoint.sha256
