"""Runs to export, for tests: short, scripted, of four worlds, some with a plant; made once a session by the real engine."""

import contextlib
import io
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox.command import play_in
from sandbox.config import load, reseeded

SCENARIOS = Path(__file__).parents[2] / "scenarios"
USUAL = ("executor=local", "plots=false", "snapshots.every=0", "log.fsync=none")
PLANS = SCENARIOS / "plans"
CARTEL = ("environment.play.default=rival", "environment.chat=private", "seats.default=planted", f"policies.planted.plan={PLANS / 'cartel.yaml'}")
ARMS = {
    "ring": ("team_task.yaml", (1, 2, 3), ("seats.default=scripted", "environment.talks=1")),
    "pairs": ("team_task.yaml", (1, 2), ("seats.default=scripted", "environment.reach=pairs", "environment.tell=all", "environment.talks=1")),
    "cartel": ("market.yaml", (1, 2), (*CARTEL, "policies.planted.plant=true", "environment.rounds=6")),
    "twin": ("market.yaml", (1, 2), (*CARTEL, "policies.planted.plant=false", "environment.rounds=6")),
    "personas": ("personas.yaml", (1,), ("seats.default=scripted", "environment.last_year=1901")),
}


def played(folder: Path, scenario: str, seeds, overrides) -> list[Path]:
    """The folders of these runs, FOLDER/SEED."""
    first = load(SCENARIOS / scenario, (*USUAL, *overrides), ())
    for seed in seeds:
        with contextlib.redirect_stdout(io.StringIO()):
            assert play_in(lambda seed=seed: reseeded(first, seed), folder / str(seed), ()) == 0
    return [folder / str(seed) for seed in seeds]


@lru_cache(maxsize=1)
def _made() -> TemporaryDirectory:  # which is gone when the tests are
    top = TemporaryDirectory(prefix="exports-")
    for arm, (scenario, seeds, overrides) in ARMS.items():
        played(Path(top.name) / arm, scenario, seeds, overrides)
    return top


def runs() -> Path:
    """A folder of all runs of ARMS, ARM/SEED below it; nobody may change it."""
    return Path(_made().name)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
