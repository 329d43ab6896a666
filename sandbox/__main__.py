"""python -m sandbox run | log. Nothing heavy is imported before a command needs it, so that --help answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.interrupt import Interrupted


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m sandbox", description="Agents that talk, act and remember each other, all on record.")
    commands = top.add_subparsers(dest="command", required=True, metavar="run | log")
    run = commands.add_parser("run", help="run a scenario", description="Run a scenario; the last line names its folder.")
    run.add_argument("file", help="a scenario, such as scenarios/diplomacy.yaml")
    run.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change, such as seed=7 environment.last_year=1902")
    run.add_argument("--plugin", action="append", default=[], metavar="MODULE", help="a Python module with more WORLDS or POLICIES")
    log = commands.add_parser("log", help="print the log of a run", description="Print the events of a run, one a line.")
    log.add_argument("run", help="the folder of a run, or its events.jsonl")
    log.add_argument("--kind", action="append", help="only events of this kind (may be given more than once)")
    log.add_argument("--agent", help="only events of this agent")
    log.add_argument("--channel", help="only messages of this channel, and their deliveries and memories")
    log.add_argument("--step", type=int, help="only events of this step")
    log.add_argument("--json", action="store_true", help="print the records as they stand")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. What the user got wrong is one line on stderr and exit code 2."""
    given, rest = parser().parse_known_args(arguments)  # known: argparse gives up on a key=value that stands behind an option
    if given.command == "run" and all("=" in word and not word.startswith("-") for word in rest):
        given.overrides += rest
    elif rest:
        parser().error(f"unrecognized arguments: {' '.join(rest)}; settings are changed as key=value, as in seed=7")
    try:
        if given.command == "run":
            from sandbox.command import run

            return run(given.file, given.overrides, tuple(given.plugin))
        return show(given)
    except (KeyboardInterrupt, Interrupted):  # asked twice, or while the report was made: what is on disk stays as it is
        print("sandbox: stopped at once", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `log … | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        if not _ours(error):
            raise
        from sandbox.log import printable

        print(f"sandbox: {printable(str(error))}", file=sys.stderr)
        return 2


def _ours(error: Exception) -> bool:
    """Whether an error was written for the user: by the guard, the log or the file system, not by a defect."""
    return isinstance(error, OSError) or type(error).__name__ in ("ConfigError", "LogError")


def show(given: argparse.Namespace) -> int:
    """Print the events that were asked for."""
    from sandbox.log import KINDS, LogError, describe, encode, read_events

    if unknown := set(given.kind or ()) - set(KINDS):
        raise LogError(f"--kind {', '.join(sorted(unknown))}: unknown; expected one of {', '.join(KINDS)}")
    path = Path(given.run)
    path = path / "events.jsonl" if path.is_dir() else path
    if not path.is_file():
        raise LogError(f"{path}: no log there; give the folder that a run named in its last line")
    shown = 0
    in_channel: set[str] = set()  # ids of the messages of the channel asked for
    for event in read_events(path, torn=lambda what: print(f"sandbox: {what}", file=sys.stderr)):
        if given.channel is not None:
            if event.kind == "message" and event.data.get("channel") == given.channel:
                in_channel.add(event.data["id"])
            elif event.kind not in ("delivery", "memory") or event.data.get("message") not in in_channel:
                continue
        if (given.kind and event.kind not in given.kind) or (given.agent and event.agent != given.agent):
            continue
        if given.step is not None and event.step != given.step:
            continue
        print(encode(event).decode("ascii").rstrip() if given.json else describe(event))
        shown += 1
    if not shown:
        print("sandbox: no event matches; names of agents and channels are as in the messages", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
