"""What is drawn is what the tables say, and can be told apart."""

import numpy as np
import pandas as pd
import pytest

from analysis import metrics
from analysis.pact_plots import plot_alliances, plot_promises, plot_trust
from analysis.plots import plot_centres, plot_messages, plot_surprise, styles, time_unit
from analysis.promises import alliances, phases, promises, verdicts
from analysis.trust import TRUST
from scenarios.diplomacy.map import POWERS
from tests.analysis.runs import adjudication, message, watched
from tests.analysis.test_promises import MOVE, PACT, SUPPORT, ordered, says


def test_each_of_forty_nine_agents_has_a_colour_and_a_line_of_its_own():
    drawn = styles([f"P{i}" for i in range(49)])
    assert len({(style["color"], style["linestyle"]) for style in drawn.values()}) == 49
    assert len({style["color"] for style in styles(POWERS).values()}) == len({style["marker"] for style in styles(POWERS).values()}) == 7


def test_the_lines_of_centres_round_to_the_table():
    held = {power: ["PAR"] * k for k, power in enumerate(POWERS)}
    years = metrics.centres_by_year([adjudication("S1901M", held), adjudication("F1901M", held), adjudication("F1902M", {**held, "TURKEY": ["PAR"]})])
    (axes,) = plot_centres(years).axes
    drawn = {line.get_label().split()[0]: line.get_xydata() for line in axes.get_lines()}
    assert set(drawn) == set(POWERS)
    for power, points in drawn.items():
        alive = points[~np.isnan(points[:, 1])]
        assert np.rint(alive).astype(int).tolist() == [[year, n] for year, n in years[power].items()][: len(alive)]
        assert len(alive) == (3 if power != "AUSTRIA" else 1)  # who owned nothing from the first is drawn no further


def test_the_lines_of_trust_lie_within_what_keeps_equal_ones_apart():
    rows = [(step, step, phase, one, other, round(0.1 + 0.02 * (i * 7 + j) % 0.9, 4)) for step, phase in enumerate(("S1901M", "F1901M"))
            for i, one in enumerate(POWERS) for j, other in enumerate(POWERS) if one != other]
    table = pd.DataFrame(rows, columns=TRUST)
    panels = plot_trust(table).axes
    for other, panel in zip(POWERS, panels, strict=False):
        drawn = [line.get_ydata() for line in panel.get_lines() if len(line.get_ydata()) == 2 and line.get_marker() != "None"]
        wanted = [table[(table["agent"] == power) & (table["other"] == other)]["trust"].to_numpy() for power in POWERS if power != other]
        assert np.abs(np.array(drawn) - np.array(wanted)).max() <= 3 * 0.012 + 1e-9


def test_the_matrix_and_the_steps_of_messages_are_the_counts():
    sent = metrics.messages([message("0", "X", ["X", "Y"]), message("1", "X", ["X", "Y"], time=60_000), message("2", "Y", ["X", "Y", "Z"], time=120_000)])
    matrix, steps = plot_messages(sent).axes[:2]
    assert matrix.get_images()[0].get_array().tolist() == [[0, 2, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert {line.get_label(): line.get_xydata()[-1].tolist() for line in steps.get_lines()} == {"X  2": [2, 2], "Y  1": [2, 1], "Z  0": [2, 0]}


def test_where_agents_are_too_many_to_name_the_median_stands_out():
    said = [message(f"{i} {k}", f"P{i:02}", ["P00", "P01", f"P{i:02}"], time=1000 * k) for i in range(21) for k in range(i)]  # the i-th writes i messages
    axes = plot_messages(metrics.messages(said)).axes[1]
    assert axes.get_legend() is None and len(axes.get_lines()) == 22
    assert axes.get_lines()[-1].get_ydata().tolist() == [min(k + 1, 10) for k in range(20)]  # the middle one of 21 writes ten


@pytest.mark.parametrize(("ms", "unit"), [(0, "seconds"), (119_999, "seconds"), (120_000, "minutes"), (7_200_000, "hours"), (10 * 86_400_000, "days")])
def test_time_is_told_in_a_unit_of_which_there_are_two(ms, unit):
    assert time_unit(ms)[0] == unit


def test_the_bars_of_promises_are_the_verdicts():
    bound = verdicts(promises(phases([says("0", "promise", SUPPORT), says("1", "promise", MOVE), ordered(ITALY=["A VEN S A TYR - TRI", "A ROM H"])])))
    matrix, bars = plot_promises(bound).axes[:2]
    assert [text.get_text() for text in matrix.texts] == ["1/2"]
    widths = [[patch.get_width() for patch in kind] for kind in bars.containers]
    assert [sum(kind) for kind in widths] == [1, 1, 0] and [kind[POWERS.index("ITALY")] for kind in widths] == [1, 1, 0]


def test_the_bars_of_alliances_begin_and_end_where_they_were_made_and_broken():
    talk = says("0", "propose", PACT, author="AUSTRIA"), says("1", "accept", PACT)
    game = phases([ordered(), *talk, ordered("F1901M"), ordered("S1902M", ITALY=["A VEN - TRI"])])
    (axes,) = plot_alliances(alliances(game), ["S1901M", "F1901M", "S1902M"]).axes
    ((bar,),) = axes.containers
    assert (bar.get_x(), bar.get_width()) == (1, pytest.approx(1.7))  # to the orders of the third phase
    assert [text.get_text() for text in axes.texts] == ["broken by ITALY in TRI"]


def test_the_line_of_surprise_ends_in_the_mean_over_the_last_messages():
    table = metrics.surprises(watched("game_1_X_Y.json", [("ITALY", ["FRANCE", "ITALY"], 4, [(float(k), 3.0, 4.0)]) for k in range(30)]))
    (axes,) = plot_surprise(table).axes
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert lines["both states"][-1] == pytest.approx(sum(range(5, 30)) / (25 * 4)) and lines["both emptied"][-1] == 1.0
    assert np.isnan(lines["both states"][:4]).all() and lines["both states"][4] == pytest.approx(sum(range(5)) / (5 * 4))
