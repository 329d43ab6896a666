"""A folder that a command makes piece by piece, and may be killed over: what was asked for stands in it, so that the same command goes on with it,
and another one leaves it alone.

    DIR/stage/wish.json     what was asked for, while it goes on; beside it whatever the command needs on the way
    DIR/DONE                the same with what came of it, under a name of the command's own: there when all is done
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.disk import made_folder, placed

STAGE, ASKED = "stage", "wish.json"
SHOWN = 60  # characters of what was asked for then, and of what is now, in a refusal


@dataclass(frozen=True, kw_only=True)
class Making:
    """What a command makes, to tell its folders from others. `differences`: key of what was asked → how it is said that it is another one."""

    what: str  # "export"
    done: str  # the file that says that all is done
    differences: Mapping[str, str]
    refused: type[ValueError]  # what is raised, one line

    def stands(self, out: Path, asking: Mapping[str, Any]) -> str:
        """What stands at `out`: "nothing", "begun" or "done". Raises `refused` for anything else than what is asked for."""
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise self.refused(f"{out}: {'a link' if out.is_symlink() else 'a file'}; name a folder with --out, new or empty")
        here = sorted(path.name for path in out.iterdir()) if out.exists() else []
        if not here:
            return "nothing"
        if link := next((path for path in out.rglob("*") if path.is_symlink()), None):
            raise self.refused(f"{link}: a link in the folder of an {self.what}; take it away, or name another folder with --out")
        told = self.told(out / self.done) if self.done in here else self.told(out / STAGE / ASKED)
        if told is None:
            if here == [STAGE] and (out / STAGE).is_dir() and {path.name for path in (out / STAGE).iterdir()} <= {f"{ASKED}.part"}:
                return "nothing"  # killed before it was said what was asked
            raise self.refused(f"{out}: holds {here[0]!r:.60} and is no {self.what}; nothing there was touched: name a new folder with --out")
        for key, how in self.differences.items():
            if told.get(key) != asking[key]:
                what = _difference(told.get(key), asking[key])
                raise self.refused(f"{out}: holds an {self.what} {how} ({what}); name another folder with --out, or remove this one")
        return "done" if self.done in here else "begun"

    def told(self, path: Path) -> dict[str, Any] | None:
        """What such a file says; None where there is none, or none of an earlier call. Raises `refused` for one that cannot be read."""
        try:
            value = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RecursionError) as error:
            why = " ".join(str(error).split())
            raise self.refused(f"{path}: cannot be read ({why:.80}); remove the folder of this {self.what}, and {self.what} again") from None
        return value if isinstance(value, dict) and "wish" in value else None


def begin(out: Path, asking: Mapping[str, Any]) -> Path:
    """The stage, which says what is asked for. One that stands there is gone on with."""
    made_folder(out / STAGE)
    if not (out / STAGE / ASKED).exists():
        write_told(out / STAGE / ASKED, asking)
    return out / STAGE


def write_told(path: Path, value: Mapping[str, Any]) -> None:
    """A file that `Making.told` reads, placed whole."""
    with placed(path) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="ascii")


def _difference(then: Any, now: Any) -> str:
    if isinstance(then, dict) and isinstance(now, dict):
        key = next((key for key in now if then.get(key) != now[key]), "")
        return f"{key} {then.get(key)!r:.40}, now {now.get(key)!r:.40}"
    return f"{then!s:.{SHOWN}}, now {now!s:.{SHOWN}}"
