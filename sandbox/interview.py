"""The command `ask`: a question to agents of a run as they were before one of its steps. Asking changes nothing.

The moment is made again in memory (`sandbox/rewinding.py`); each agent is asked on its own, in a channel that it and the interviewer alone read, and no
agent hears what another was asked. A seat whose answers come from outside (llm, hf, human) answers itself; the others say what they know in their own
way: `social` in the model's words, worded from its states; all of them their intent, and of their notes whom they trust, what is promised and open, and
what they plan (`--json` has the notes whole). A seat that has no words of its own says so. Where the run has a
model, its states also say how ready they are for what could be claimed now. Nothing is logged, and in the run's folder nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from agents.doors import Doors
from agents.policies import is_outside, policy
from agents.types import JSON, Message, Observation
from sandbox.chance import stream
from sandbox.changes import NOTHING, Changes
from sandbox.config import Setting
from sandbox.doors import CLOSED, Opening
from sandbox.folder import cut_short, must_match, read_manifest, setting_of
from sandbox.host import AgentFault, one_line
from sandbox.hosts import LocalExecutor
from sandbox.log import Event, LogError, printable
from sandbox.rewinding import rewound
from sandbox.run import Moment
from sandbox.sealed import events_of
from sandbox.snapshot import RunError
from sandbox.source import nearest
from sandbox.terminal import with_terminal
from sociallm.conversation import AgentID, Channel, clean

if TYPE_CHECKING:
    from agents.interviewing import States

INTERVIEWER: AgentID = "INTERVIEWER"
LONGEST = 2000  # characters of a question
SHOWN, LINE = 5, 240  # claims, and characters of a line, that are printed
TOOK = (("calls", "calls"), ("tokens_in", "tokens in"), ("tokens_out", "tokens out"), ("cost", "cost"), ("seconds", "seconds"))  # of usage, in words
NOTED = {  # notes that are told to a person, as the worlds name them → in words
    "trust": "trusts", "pending": "not yet answered", "offers": "on offer, or asked for", "agreed": "promised", "mine": "its price", "breach": "a broken deal",
    "opinions": "named by others", "stances": "has heard", "plan": "plans",
}
TRACE = 0.05  # a smaller probability of an intent is not printed


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of asking one agent. `by`: whose words they are: the policy's own, or model (SociaLLM's, from the agent's states)."""

    agent: AgentID
    policy: str
    step: int
    said: tuple[str, ...] = ()
    by: str = ""
    intent: JSON = None
    notes: JSON = None
    question: JSON = None  # what the question cost its states: tokens, nats, nats_no_states
    claims: tuple[Mapping[str, JSON], ...] = ()  # {"kind", "what", "own_says", "others_say"}, the readiest first
    usage: JSON = None
    faults: tuple[tuple[str, str], ...] = ()


def ask(run: Path, plugins: tuple[str, ...], at: int | None, agents: Sequence[AgentID], words: str, opening: Opening = CLOSED) -> list[Answer]:
    """The answers, in the order of `agents` (all of the run, where none is named). Raises `RunError`, `ConfigError`, `LogError`, `AgentFault`."""
    manifest = read_manifest(run)
    setting = setting_of(run, manifest, plugins)
    must_match(run, manifest, setting)
    for agent in agents:
        if agent not in setting.environment.agents:
            raise RunError(f"--agent {agent!r:.60}: no such agent; there {', '.join(setting.environment.agents)}{nearest(agent, setting.environment.agents)}")
    text = clean(words).strip()
    if not 0 < len(text) <= LONGEST:
        raise RunError(f"the question has {len(text)} characters; expected 1 to {LONGEST}")
    changes = Changes.of_json(manifest["fork"]) if "fork" in manifest else NOTHING
    before, at = _before(run, at, manifest)
    asked = list(dict.fromkeys(agents or setting.environment.agents))
    calling = any(is_outside(policy(setting.cast.seats[agent], setting.cast.plugins)) for agent in asked)  # what the others said stands in the log
    doors = with_terminal(setting.cast, opening.doors(setting, (), run / "config.yaml") if calling else Doors())
    try:
        with TemporaryDirectory() as folder, rewound(run, manifest, setting, before, at, changes, Path(folder), doors) as (now, hosts, _):
            states = _states(setting)
            return [_asked(setting, now, hosts, states, agent, text) for agent in asked]
    except (AgentFault, RunError, LogError, OSError):
        raise
    except Exception as error:  # worlds and policies are foreign code, what they go on from are files
        raise RunError(f"{run}: step {at} cannot be made again, or the agents cannot be asked ({one_line(error)})") from None


def _before(run: Path, at: int | None, manifest: Mapping[str, Any]) -> tuple[list[Event], int]:
    """(the log before the step, the step). None: the last one, or, of a run that is not done, the one that would come next."""
    events = [event for event in events_of(run, torn=lambda _: None) if not cut_short(event)]
    last = max((event.step for event in events if event.kind == "outcome"), default=-1)
    most = last if any(event.kind == "end" for event in events) else last + 1
    least = manifest.get("fork", {}).get("at", 0)
    at = most if at is None else at
    if not least <= at <= most:
        where = f", a fork made at step {least}" if least else ""
        raise RunError(f"--at {at}: agents of {run}{where} can be asked before steps {least} to {most}")
    return [e for e in events if e.kind != "end" and (e.step < at or (e.step == at and e.kind == "intervention"))], at


def _states(setting: Setting) -> States | None:
    """What can be asked of the model's states; None in a run without a model."""
    if setting.cast.checkpoint is None:
        return None
    from agents.interviewing import States
    from sociallm.checkpoint import shared

    return States(shared(setting.cast.checkpoint), tuple(setting.cast.seats), INTERVIEWER)


def _asked(setting: Setting, now: Moment, hosts: LocalExecutor, states: States | None, agent: AgentID, text: str) -> Answer:
    """Ask one agent. What it hears, thinks and says ends here."""
    world, name = setting.environment, setting.cast.seats[agent]
    window = world.window(now.world)
    asking = question(agent, text, max(now.time, window.start))
    open_now = tuple(channel for channel in window.channels if agent in channel.readers)
    seen = Observation(agent=agent, step=now.step + 1, time=asking.time, heard=now.mailboxes[agent], view=world.observe(now.world, agent))
    mind, turn = hosts.mind(seen)
    found = Answer(agent=agent, policy=name, step=seen.step, notes=turn.memory.notes)
    if states is not None:
        if world.language is not None:
            wide = replace(hosts.mind(replace(seen, may_write=open_now))[1], memory=replace(turn.memory, notes=_world_notes(turn.memory.notes)))
            found = replace(found, claims=tuple(asdict(said) for said in states.says(wide, world.language)))
        turn, cost = states.asked(turn, asking)
        found = replace(found, question=cost)
    if is_outside(policy(name, setting.cast.plugins)):
        heard = replace(turn.observation, heard=(*now.mailboxes[agent], asking), may_write=(asking.channel,))
        action, _ = mind.step([replace(turn, observation=heard)])[0]
        said = tuple(message.text for message in action.messages if message.channel == asking.channel)
        return replace(found, said=said, by=name, intent=action.intent, usage=action.usage, faults=action.faults)
    action, memory = mind.step([turn])[0]
    found = replace(found, intent=action.intent, notes=memory.notes, faults=action.faults)
    if states is not None and policy(name, setting.cast.plugins).needs_model:
        o = setting.cast.options(name)
        words = states.answer(turn, asking, stream(setting.config.seed, agent, "interview", seen.step), float(o.get("temperature", 0.7)), float(o.get("top_p", 0.9)))
        found = replace(found, said=() if words is None else (words,), by="model")
    return found


def _world_notes(notes: JSON) -> JSON:
    """The world's own notes, of an agent that is asked in words (`agents/conversed.py`) among others."""
    return notes["world"] if isinstance(notes, Mapping) and {"world", "window", "told"} <= notes.keys() else notes


def room(agent: AgentID) -> Channel:
    """The channel of an interview: the agent and who asks, nobody else."""
    return Channel(name=f"{INTERVIEWER}-{agent}", readers=frozenset((INTERVIEWER, agent)))


def question(agent: AgentID, text: str, time: int) -> Message:
    """What is asked, as a message."""
    return Message(id=f"interview-{agent}", author=INTERVIEWER, channel=room(agent), time=time, text=text, addressees=frozenset({agent}))


# ---- in words ----------------------------------------------------------------------------------------------------------


def in_words(answers: Sequence[Answer]) -> list[str]:
    """The answers, in lines for a terminal."""
    lines: list[str] = []
    for one in answers:
        lines.append(f"{one.agent} ({one.policy}), before step {one.step}")
        if one.said:
            lines += [f"  says ({'the model, from its states' if one.by == 'model' else one.by}): {text}" for text in one.said]
        elif one.by:
            lines.append("  says nothing")
        else:
            lines.append(f"  says nothing: {one.policy!r} has no words of its own for a question; shown is what it intends and has noted")
        if one.intent is not None:
            lines.append(f"  intends: {_planned(one.intent)}")
        lines += [f"  {line}" for line in _noted(_world_notes(one.notes))]
        if one.question is not None:
            lines.append(f"  the question, to its states: {one.question['nats']:.1f} nats, without them {one.question['nats_no_states']:.1f}, {one.question['tokens']} tokens")
        shown = [*one.claims[:SHOWN], *one.claims[max(SHOWN, len(one.claims) - SHOWN) :]]
        if shown:
            lines.append("  readiest and least ready to claim, by its own state (others: by its states of those concerned), nats beside the mean:")
        lines += [f"    {said['own_says']:+7.3f}  others {said['others_say']:+7.3f}  {said['kind']}: {_about(said['what'])}" for said in shown]
        if isinstance(one.usage, Mapping):
            took = [f"{one.usage[key]} {word}" for key, word in TOOK if isinstance(one.usage.get(key), (int, float)) and one.usage[key]]
            lines += [f"  took: {', '.join(took)}"] if took else []
        lines += [f"  fault: {what}: {why}" for what, why in one.faults]
    return [printable(line if len(line) <= LINE or "  says " in line else f"{line[:LINE]}…") for line in lines]


def _planned(intent: JSON) -> str:
    """A distribution, or several by name, the likeliest first."""
    if isinstance(intent, Mapping) and intent and all(isinstance(p, (int, float)) for p in intent.values()):
        likely = sorted(intent.items(), key=lambda item: -item[1])
        return ", ".join(f"{what} {p:.0%}" for what, p in likely if p >= TRACE or what == likely[0][0])
    if isinstance(intent, Mapping):
        return "; ".join(f"{name}: {_planned(inner)}" for name, inner in intent.items())
    return _plain(intent)


def _noted(notes: JSON) -> list[str]:
    """What a person wants to know of notes: trust, what is promised, offered and not yet answered, opinions, plans. The rest are the world's own reckonings."""
    if not isinstance(notes, Mapping):
        return [f"notes: {notes}"] if isinstance(notes, (str, int, float)) else []
    return [f"{NOTED[key]}: {told}" for key in NOTED if (told := _told(notes.get(key)))]


def _told(value: JSON) -> str:
    """A note in words, the first few of a long list; nothing of what is empty."""
    if isinstance(value, Mapping) and {"about", "act"} <= value.keys():
        return f"{value.get('from', '')} {value['act']} {_about(value['about'])}".strip()
    if isinstance(value, Mapping) and "about" in value:
        who = f"{value['by']} to {value.get('with')}" if "by" in value else f"to {value.get('with')}"
        return f"{who}: {_about(value['about'])}{' (a lie)' if value.get('meant') is False else ''}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {f'{inner:.2f}' if isinstance(inner, float) else _told(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(map(_told, value[-SHOWN:])) + (f"; and {len(value) - SHOWN} earlier" if len(value) > SHOWN else "")
    return "" if value is None else str(value)


def _about(about: JSON) -> str:
    """What an act is about: its kind, and the names in it."""
    if not isinstance(about, Mapping):
        return _told(about)
    parts = [about.get("kind"), *(value for key, value in sorted(about.items(), key=lambda item: (item[0] == "order", item[0])) if key not in ("kind", "against"))]
    return " ".join(_told(part).replace("; ", " and ") for part in parts if part) + (f" against {about['against']}" if about.get("against") else "")


def _plain(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def as_json(answers: Sequence[Answer]) -> str:
    """The same, whole: one JSON object a line."""
    return "\n".join(json.dumps(asdict(one), sort_keys=True) for one in answers)
