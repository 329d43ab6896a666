"""What a scenario may say, and what the user hears when a key, a type, a name or a file is wrong."""

from pathlib import Path

import pytest
import yaml

from sandbox import config
from sandbox.config import ConfigError, load

HERE = Path(__file__).parent
TOY = ("tests.sandbox.toy",)
GOOD = "name: x\nseed: 3\nenvironment:\n  name: toy\n  players: 4\nseats:\n  default: guesser\n"


def refused(tmp_path, text, *overrides):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, overrides, TOY)
    said = str(caught.value).replace(f"{tmp_path}/", "")
    assert "\n" not in said
    return said


def setting(tmp_path, text=GOOD, *overrides):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return load(path, overrides, TOY)


def test_a_scenario_needs_no_defaults_line(tmp_path):
    assert setting(tmp_path).config == setting(tmp_path, "defaults: [sandbox_schema, _self_]\n" + GOOD).config


def test_keys_that_are_not_given_have_the_schemas_defaults(tmp_path):
    config = setting(tmp_path).config
    assert (config.executor, config.hosts, config.threads, config.log.fsync, config.ray.address) == ("ray", 2, 1, "step", None)
    assert (config.measure.surprise, config.run_dir, config.plots) == (False, "runs", True)


def test_the_options_of_a_world_are_completed_from_its_own_dataclass(tmp_path):
    assert setting(tmp_path).config.environment == {"name": "toy", "players": 4, "rounds": 2, "games": 2, "narrator": None}


def test_an_override_wins_over_the_file_and_may_set_what_the_file_leaves_out(tmp_path):
    found = setting(tmp_path, GOOD, "seed=7", "environment.rounds=5", "seats.P1=rogue", "policies.crashing.at=9", "log.fsync=none")
    assert found.config.seed == 7 and found.config.environment["rounds"] == 5 and found.config.log.fsync == "none"
    assert found.cast.seats == {"P0": "guesser", "P1": "rogue", "P2": "guesser", "P3": "guesser"}
    assert found.config.policies["crashing"] == {"at": 9}
    assert found.overrides == ("seed=7", "environment.rounds=5", "seats.P1=rogue", "policies.crashing.at=9", "log.fsync=none")


def test_a_later_override_wins_over_an_earlier_one(tmp_path):
    assert setting(tmp_path, GOOD, "seed=7", "seed=8").config.seed == 8


def test_a_reference_to_a_plain_key_is_followed_and_written_down_unresolved(tmp_path):
    found = setting(tmp_path, GOOD + "game: a.json\n", "environment.narrator=${game}")
    assert found.config.environment["narrator"] == "a.json"
    assert yaml.safe_load(found.unresolved)["environment"]["narrator"] == "${game}"


def test_the_written_configuration_makes_the_same_run_again(tmp_path):
    first = setting(tmp_path, GOOD, "seed=7", "environment.rounds=5")
    assert setting(tmp_path, first.unresolved).config == first.config


@pytest.mark.parametrize(("given", "plots"), [("true", True), ("false", False), ("yes", True), ("off", False), ("1", True), ("0", False)])
def test_true_and_false_in_their_usual_words(tmp_path, given, plots):
    assert setting(tmp_path, GOOD + f"plots: {given}\n").config.plots is plots is setting(tmp_path, GOOD, f"plots={given}").config.plots


def test_a_run_folder_anywhere_is_the_users_to_choose_on_the_command_line(tmp_path):
    assert setting(tmp_path, GOOD, f"run_dir={tmp_path}").config.run_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("line", "text", "parts"),
    [
        (2, "name: x\nsede: 3\n", ["unknown key 'sede'", "did you mean seed?"]),
        (4, "name: x\nenvironment:\n  name: toy\n  plyers: 3\n", ["'environment.plyers'", "did you mean players?"]),
        (3, "name: x\nlog:\n  fsinc: none\n", ["'log.fsinc'", "did you mean fsync?"]),
        (4, "name: x\nenvironment: {name: toy}\npolicies:\n  guesser: {temperature: 3}\n", ["'policies.guesser.temperature'"]),
        (2, "name: x\nseed: abc\n", ["seed is 'abc'", "a whole number"]),
        (2, "name: x\nseed: 1.5\n", ["seed is 1.5", "a whole number"]),
        (2, "name: x\nseed: -1\n", ["seed is -1", "from 0"]),
        (2, "name: x\nseed:\n", ["seed is empty", "a whole number"]),
        (2, "name: x\nseed: {a: 1}\n", ["seed is a group of settings", "a whole number"]),
        (2, "name: x\nmeasure: true\n", ["measure is True", "settings under it"]),
        (3, "name: x\nmeasure:\n  surprise: 7.5\n", ["measure.surprise is 7.5", "true or false"]),
        (2, "name: x\nplots: -1\n", ["plots is -1", "true or false"]),
        (2, "name: x\nplots: 7\n", ["plots is 7", "true or false"]),
        (2, "name: x\nplots: '-1'\n", ["plots is '-1'", "true or false"]),
        (3, "name: x\nmeasure:\n  surprise: 2\n", ["measure.surprise is 2", "true or false"]),
        (4, "name: x\nenvironment: {name: toy}\npolicies:\n  planted: {plant: -1}\nseats: {default: planted}\n", ["policies.planted.plant is -1", "true or false"]),
        (2, "name: x\nhosts: 0\n", ["hosts is 0", "from 1 to 64"]),
        (2, "name: x\nexecutor: rya\n", ["executor is 'rya'", "did you mean ray?"]),
        (1, "name: x\n", ["environment.name is missing", "toy"]),
        (2, "name: x\nenvironment: {name: tyo}\n", ["unknown world 'tyo'", "did you mean toy?"]),
        (2, "name: x\nenvironment: {name: 3}\n", ["unknown world 3"]),
        (4, "name: x\nenvironment: {name: toy}\nseats:\n  default: gueser\n", ["unknown policy 'gueser'", "did you mean guesser?"]),
        (5, "name: x\nenvironment: {name: toy}\nseats:\n  default: guesser\n  P7: guesser\n", ["no agent 'P7'", "P0, P1, P2"]),
        (3, "name: x\nenvironment: {name: toy}\nseats: {P0: guesser}\n", ["no policy for P1, P2", "default: POLICY"]),
        (3, "name: x\nenvironment: {name: toy}\nseats: {default: scripted}\n", ["policy 'scripted'", "needs a world with a language"]),
        (2, "name: x\nenvironment: {name: watch}\nseats: {default: guesser}\n", ["environment needs game"]),
        (2, "name: x\nenvironment: {name: watch, game: no.json}\nseats: {default: guesser}\n", ["environment 'watch'", "no.json"]),
        (2, "name: x\nenvironment: {name: watch, game: '${game}'}\n", ["needs game, which is not set", "game=VALUE"]),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_remedy(tmp_path, line, text, parts):
    said = refused(tmp_path, text)
    assert said.startswith(f"x.yaml:{line}: ")
    assert all(part in said for part in parts), said


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("sede=3", ["unknown key 'sede'", "did you mean seed?"]),
        ("seed=abc", ["seed is 'abc'", "a whole number"]),
        ("environment.plyers=3", ["'environment.plyers'", "did you mean players?"]),
        ("environment.players=many", ["environment.players is 'many'", "a whole number"]),
        ("seats.P9=guesser", ["no agent 'P9'"]),
        ("seats.P1=gueser", ["did you mean guesser?"]),
        ("environment=toy", ["environment is 'toy'", "settings under it"]),
        ("seed=", ["seed is ''"]),
        ("seed=null", ["seed is empty"]),
        ("plots=-1", ["plots is -1", "true or false"]),
        ("log.fsync=never", ["turn, step or none"]),
    ],
)
def test_a_wrong_override_is_named_as_such(tmp_path, override, parts):
    said = refused(tmp_path, GOOD, override)
    assert said.startswith(f"override {override!r}: ")
    assert all(part in said for part in parts), said


def test_a_wrong_line_of_the_file_is_told_even_where_another_key_is_overridden(tmp_path):
    assert refused(tmp_path, "name: x\nseed: abc\n", "hosts=3").startswith("x.yaml:2: ")


LIARS = "name: x\nenvironment:\n  name: diplomacy\n  last_year: 1904\n  honesty:\n    default: 1.0\n    ITALY: 0.0\nseats: {default: scripted}\n"


@pytest.mark.parametrize(
    ("text", "overrides", "where", "parts"),
    [
        (LIARS, ("environment.last_year=1902", "environment.honesty.ITALY=2"), "override 'environment.honesty.ITALY=2': ", ["honesty.ITALY: got 2.0", "0 (a lie"]),
        (LIARS, ("environment.last_year=1902", "environment.honesty={ITALY: 2}"), "override 'environment.honesty={ITALY: 2}': ", ["honesty.ITALY"]),
        (LIARS, ("environment.last_year=1902", "environment.honesty.ITALIA=1"), "override 'environment.honesty.ITALIA=1': ", ["no such power", "did you mean ITALY?"]),
        (LIARS, ("environment.last_year=3",), "override 'environment.last_year=3': ", ["from 1901"]),
        (LIARS, ("seed=1", "environment.last_year.x=3"), "x.yaml:4, with override 'environment.last_year.x=3': ", ["a group of settings"]),
        (LIARS.replace("0.0", "2"), ("environment.last_year=1902", "environment.honesty.FRANCE=1"), "x.yaml:7: ", ["honesty.ITALY: got 2.0"]),
        (LIARS.replace("0.0", "2"), ("environment.honesty={FRANCE: 1}",), "x.yaml:7: ", ["honesty.ITALY: got 2.0"]),
        (LIARS.replace("0.0", "lies"), ("environment.last_year=1902",), "x.yaml:7: ", ["environment.honesty.ITALY is 'lies'", "a number"]),
        (LIARS.replace("    ITALY", "    ITLY"), ("environment.last_year=1902",), "x.yaml:7: ", ["AUSTRIA, ENGLAND, FRANCE", "did you mean ITALY?"]),
        (LIARS.replace("1904", "1804"), ("environment.honesty.ITALY=1",), "x.yaml:4: ", ["last_year"]),
        (LIARS + "game: a.json\n", ("environment={name: watch, game: b.json, honesty: {}, last_year: 1}",), "override ", ["unknown key"]),
        ("name: x\nenvironment:\n  name: market\n  sellers: 3\n", ("environment.rounds=2", "environment.chat=loud"), "override 'environment.chat=loud': ", ["chat is 'loud'"]),
        ("name: x\nenvironment:\n  name: market\n  cost: [1, 2]\n", ("environment.sellers=3",), "x.yaml:4: ", ["cost has 2 values"]),
        ("name: x\nenvironment: {name: watch, game: '${game}'}\n", ("seed=2", "game=no.json"), "override 'game=no.json': ", ["no.json"]),
        ("name: x\nenvironment: {name: watch, game: '${game}'}\nseed: 1\ngame: no.json\n", ("seed=2",), "x.yaml:4: ", ["no.json"]),
    ],
)
def test_an_error_of_a_worlds_options_names_what_gave_the_option(tmp_path, text, overrides, where, parts):
    said = refused(tmp_path, text, *overrides)
    assert said.startswith(where) and all(part in said for part in parts), said


@pytest.mark.parametrize(("line", "overrides", "where"), [("measure: {surprise: true}\n", ("seed=1",), "x.yaml:8: "), ("", ("measure.surprise=true",), "override ")])
def test_surprise_is_not_measured_where_no_seat_has_a_model(tmp_path, line, overrides, where):
    said = refused(tmp_path, GOOD + line, *overrides)
    assert said.startswith(where) and "no seat has a model; seat one" in said


def test_a_plug_in_that_does_not_exist_is_named(tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)
    with pytest.raises(ConfigError, match="--plugin no.such"):
        load(tmp_path / "x.yaml", (), ("no.such",))


@pytest.mark.parametrize("name", sorted(p.name for p in (HERE.parents[1] / "scenarios").glob("*.yaml")))
def test_every_shipped_scenario_passes_the_guard_and_fits_the_schema(name):
    path = HERE.parents[1] / "scenarios" / name
    overrides = ["game=no-such-file.json"] if name == "watch.yaml" else ["seats.default=scripted"]
    try:
        load(path, overrides)
    except ConfigError as error:
        assert name == "watch.yaml" and "no-such-file.json" in str(error)


@pytest.mark.parametrize(
    ("text", "override"),
    [
        (GOOD.replace("name: toy", "name: [toy]"), "seed=1"),
        (GOOD + "hosts: ${name}\n", "seed=1"),
        (GOOD + 'run_dir: "a\\0b"\n', "seed=1"),
        (GOOD + 'run_dir: "\\ud800"\n', "seed=1"),
        (GOOD, "seed=???"),
        (GOOD, "environment.name={a:b}"),
        (GOOD, "seed=" + "9" * 5000),
        (GOOD, "seed=" + "[" * 3000 + "]" * 3000),
    ],
)
def test_what_no_type_or_library_takes_is_still_one_line(tmp_path, text, override):
    assert refused(tmp_path, text, override)


@pytest.mark.parametrize("plugin", ["", ".", ".x", "nowhere", "plug_that_raises"])
def test_a_plugin_that_cannot_be_imported_is_one_line(tmp_path, monkeypatch, plugin):
    (tmp_path / "plug_that_raises.py").write_text("raise RuntimeError('a\\nb')\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "x.yaml").write_text(GOOD)
    with pytest.raises(ConfigError, match="--plugin") as caught:
        load(tmp_path / "x.yaml", (), (plugin,))
    assert "\n" not in str(caught.value)


def test_settings_that_hydra_reads_otherwise_than_they_were_merged_are_refused(tmp_path, monkeypatch):
    """Both are there, one for its speed; where they differ nobody can say what the run would be."""
    path = tmp_path / "s.yaml"
    path.write_text("environment: {name: team_task}\nseats: {default: scripted}\nexecutor: local\n")
    assert config.load(path, (), ()).config.seed == 0
    plain = config._composed
    monkeypatch.setattr(config, "_composed", lambda tree, changes, source: plain(tree | {"seed": 5}, changes, source))
    with pytest.raises(ConfigError, match="Hydra reads them otherwise"):
        config.load(path, (), ())
