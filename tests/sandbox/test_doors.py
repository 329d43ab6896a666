"""Who may be called, and with which key (S7, S8): the user says it; a scenario, a folder, a name server, a redirect or a proxy does not."""

import pickle
import socket

import pytest

from agents.asking.origins import literal, origin_of, split
from agents.asking.server import Server
from agents.doors import Doors
from sandbox.__main__ import main
from sandbox.doors import opened
from sandbox.guard import ConfigError
from sandbox.opening import forget, hidden
from tests.agents.stub_server import serving

pytestmark = [pytest.mark.security(line="S7"), pytest.mark.security(line="S8")]
KEY = "sk-canary-0123456789abcdef"
SCENARIO = """name: talk
environment: {{name: market, sellers: 2, rounds: 1, talks: 1}}
executor: local
plots: false
seats: {{default: llm}}
policies:
  llm:
    base_url: {url}
    model: player
    checkpoint: null
    each: {each}
"""


@pytest.fixture
def stub():
    with serving() as server:
        yield server


def scenario(folder, url, each="{}"):
    path = folder / "talk.yaml"
    path.write_text(SCENARIO.format(url=url, each=each))
    return str(path)


NEVER = [
    "http://169.254.169.254/v1", "http://[fe80::1]/v1", "http://2852039166/v1", "http://0xA9FEA9FE/v1", "http://0251.0376.0251.0376/v1", "http://169.254.43518/v1",
    "http://0x7f.1/v1", "http://127.1/v1", "http://017700000001/v1", "http://[::ffff:127.0.0.1]/v1", "http://[::ffff:169.254.169.254]/v1", "http://[::ffff:7f00:1]/v1",
    "http://[64:ff9b::a9fe:a9fe]/v1", "http://[2002:a9fe:a9fe::]/v1", "http://[fd00:ec2::254]/v1", "http://0.0.0.0/v1", "http://[::]/v1", "http://255.255.255.255/v1", "http://224.0.0.1/v1",
    "http://user@127.0.0.1/v1", "http://user:secret@127.0.0.1/v1", "http://127.0.0.1@evil.example/v1", "http://127.0.0.1\\@evil.example/v1", "http://evil.example#@127.0.0.1/v1",
    "http://127.0.0.1?x=/v1", "http://127.0.0.1/v1?key=1", "http://127.0.0.1/v1#x", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "//127.0.0.1/v1", "127.0.0.1:8000",
    "http://", "http:///v1", "http://127.0.0.1:99999/v1", "http://127.0.0.1:x/v1", "http://①②⑦.0.0.1/v1", "http://127。0.0.1/v1", "http://local\nhost/v1", "http://a b/v1", "http://[fe80::1%25eth0]/v1",
    "http://[::1/v1", "http://-a.example/v1", "http://a..example/v1", "http://" + "a" * 300 + "/v1", "http://127.0.0.1//evil.example/v1", "http://%3127.0.0.1/v1", "http://1.2.3.4.5/v1", "http://256.1.1.1/v1",
]  # fmt: skip


@pytest.mark.parametrize("url", NEVER)
def test_a_url_in_disguise_is_refused_in_one_line_that_repeats_no_secret(url):
    with pytest.raises(ValueError) as caught:
        split(url)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
    with pytest.raises(ConfigError):
        opened([url], [], {})


def test_an_origin_is_scheme_host_and_port():
    assert str(origin_of("HTTPS://API.Example.org/v1/")) == "https://api.example.org:443" == str(origin_of("https://api.example.org.:443"))
    assert str(origin_of("http://[::1]:8000/v1")) == "http://[::1]:8000" and origin_of("http://[::1]:8000/v1").loopback
    assert split("http://localhost:8000/v1/")[1] == "/v1"
    assert len({str(origin_of(u)) for u in ("http://a.example", "https://a.example", "http://a.example:81", "http://b.example")}) == 4


def test_a_key_is_bound_to_its_origin_and_nothing_that_is_wrong_repeats_it():
    opening = opened(["http://127.0.0.1:1"], ["https://api.example.org=MY_KEY"], {"MY_KEY": KEY})
    assert opening.servers == {"http://127.0.0.1:1": "", "https://api.example.org:443": KEY}
    assert KEY not in repr(opening) and pickle.loads(pickle.dumps(opening)).servers == {}  # noqa: S301  its own
    for keys, secrets in (
        ([f"https://api.example.org={KEY}"], {}), (["https://api.example.org=MISSING"], {}), ([KEY], {}), (["https://api.example.org=K"], {"K": f"{KEY} {KEY}"}),
        (["https://api.example.org=K"], {"K": f"{KEY}\r\nX: y"}), ([f"https://u:{KEY}@api.example.org=K"], {"K": KEY}), (["http://api.example.org=K"], {"K": KEY}),
    ):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            opened([], keys, secrets)
        assert KEY not in str(caught.value) and "\n" not in str(caught.value)


def test_the_environment_forgets_every_key_before_anything_starts():
    kept = {"PATH": "/bin", "HOME": "/root", "KEYBOARD": "de", "TOKENIZERS_PARALLELISM": "false", "RAY_AUTH_MODE": "token"}
    secrets = {"OPENAI_API_KEY": "a", "OPENAI_BASE_URL": "b", "OPENAI_ORG_ID": "c", "ANTHROPIC_API_KEY": "d", "MISTRAL_API_KEY": "e", "API_KEY": "f", "HF_TOKEN": "g", "MINE": KEY, "COPY": KEY}
    environment = {**kept, **secrets}
    assert forget(environment, ["https://api.example.org=MINE"]) == secrets and environment == kept


def test_doors_are_sent_nowhere_and_show_no_key():
    doors = Doors(servers={"https://api.example.org:443": KEY})
    assert KEY not in repr(doors)
    with pytest.raises(TypeError, match="one process"):
        pickle.dumps(doors)


@pytest.mark.parametrize("text", [f"override 'policies.llm.api_key={KEY}': unknown", f"http://me:{KEY}@host/v1", f"x.token: {KEY}", f"'password={KEY}'", f"{{'api_key': '{KEY}'}}".replace("'" + KEY, KEY)])
def test_what_looks_like_a_secret_is_not_printed(text):
    assert KEY not in hidden(text)


# ---- names ---------------------------------------------------------------------------------------------------------------------


def named(monkeypatch, *answers):
    """A name server that gives these addresses, one after another; how often it was asked."""
    asked = []

    plainly = socket.getaddrinfo

    def looked_up(host, port, *more, **named):
        if literal(host):  # what a connection to an address asks, too
            return plainly(host, port, *more, **named)
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in ([found] if isinstance(found, str) else found)]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return asked


BODY = {"model": "player", "messages": [{"role": "system", "content": ""}, {"role": "user", "content": ""}]}


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.5", "192.168.1.1", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1", "0.0.0.0", "100.64.0.1", ["93.184.216.34", "127.0.0.1"]])
def test_a_public_name_that_leads_inside_is_not_followed(monkeypatch, stub, address):
    asked = named(monkeypatch, address)
    server = Server(f"http://models.example:{stub.server_port}/v1", {f"http://models.example:{stub.server_port}": KEY}, {}, 1)
    came = server.send(BODY, 5.0)
    assert came.what == "refused" and "models.example leads to" in came.why and asked == ["models.example"] and stub.asked == []


def test_a_name_is_looked_up_once_and_what_it_says_later_changes_nothing(monkeypatch, stub):
    origin = f"http://models.lan:{stub.server_port}"
    asked = named(monkeypatch, "127.0.0.1", "10.9.9.9")
    server = Server(f"{origin}/v1", {origin: ""}, {origin: "127.0.0.1"}, 1)
    for _ in range(2):
        server.send(BODY, 5.0)
        server._openai._client._transport._pool.close()  # so that it connects anew
    assert asked == ["models.lan"] and len(stub.asked) == 2
    other = named(monkeypatch, "127.0.0.2")
    astray = Server(f"{origin}/v1", {origin: ""}, {origin: "127.0.0.1"}, 1).send(BODY, 5.0)
    assert astray.what == "refused" and other == ["models.lan"], "only the address that the user named"


def test_no_redirect_is_followed_and_no_proxy_of_the_environment_is_asked(monkeypatch, stub):
    with serving() as other:
        stub.elsewhere = other.origin
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, other.origin)
        monkeypatch.setenv("NO_PROXY", "")
        came = Server(stub.url, {stub.origin: KEY}, {}, 1).send({**BODY, "model": "elsewhere"}, 5.0)
        assert came.status == 307 and len(stub.asked) == 1 and other.asked == []


# ---- whole commands ------------------------------------------------------------------------------------------------------------


def test_a_scenarios_server_is_called_after_the_user_allowed_it_and_not_before(stub, tmp_path, capsys):
    path, runs = scenario(tmp_path, stub.url), f"run_dir={tmp_path / 'runs'}"
    assert main(["run", path, runs]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"sandbox: {path}:8: ") and f"--allow-host {stub.origin}" in said and said.count("\n") == 1
    assert stub.asked == [] and not (tmp_path / "runs").exists(), "nothing was called, nothing written"
    assert main(["run", path, runs, "--allow-host", "http://127.0.0.1:1"]) == 2 and stub.asked == [], "another origin opens nothing"
    assert main(["run", path, runs, "--allow-host", stub.origin]) == 0 and len(stub.asked) == 4


def test_a_server_that_is_typed_is_allowed_without_a_key(stub, tmp_path):
    path = scenario(tmp_path, "http://127.0.0.1:1/v1")
    assert main(["run", path, f"run_dir={tmp_path / 'runs'}", f"policies.llm.base_url={stub.url}"]) == 0
    assert len(stub.asked) == 4 and not any("authorization" in headers for _, headers, _ in stub.asked)


def test_a_server_of_one_seat_must_be_allowed_too_and_gets_no_other_servers_key(stub, tmp_path, capsys, monkeypatch):
    with serving() as foreign:
        path, runs = scenario(tmp_path, stub.url, f"{{S2: {{base_url: '{foreign.url}'}}}}"), f"run_dir={tmp_path / 'runs'}"
        monkeypatch.setenv("MY_KEY", KEY)
        assert main(["run", path, runs, "--key", f"{stub.origin}=MY_KEY"]) == 2 and stub.asked == foreign.asked == []
        assert f"{path}:11: policies.llm.each.S2.base_url names {foreign.origin}" in capsys.readouterr().err
        monkeypatch.setenv("MY_KEY", KEY)
        assert main(["run", path, runs, "--key", f"{stub.origin}=MY_KEY", "--allow-host", foreign.origin]) == 0
        assert {headers.get("authorization") for _, headers, _ in stub.asked} == {f"Bearer {KEY}"}
        assert {headers.get("authorization") for _, headers, _ in foreign.asked} == {None}


def test_plain_text_to_another_machine_needs_more_than_an_override(tmp_path, capsys):
    path = scenario(tmp_path, "http://127.0.0.1:1/v1")
    assert main(["run", path, "policies.llm.base_url=http://models.example:8000/v1"]) == 2
    assert "plain text" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://169.254.169.254/v1", "http://2130706433/v1", "http://[::ffff:127.0.0.1]/v1", f"http://u:{KEY}@127.0.0.1/v1"])
def test_a_scenario_with_a_url_in_disguise_is_refused(tmp_path, capsys, url):
    assert main(["run", scenario(tmp_path, f"'{url}'"), "--allow-host", "http://127.0.0.1:1"]) == 2
    said = capsys.readouterr().err
    assert KEY not in said and "base_url" in said and said.count("\n") == 1


def test_sweeps_in_other_processes_have_no_doors(stub, tmp_path, capsys):
    path = scenario(tmp_path, stub.url)
    assert main(["run", path, f"run_dir={tmp_path / 'runs'}", "seed=1,2", "--tasks", "2", "--allow-host", stub.origin]) == 2
    assert "leave --tasks out" in capsys.readouterr().err and stub.asked == []
    assert main(["run", path, f"run_dir={tmp_path / 'runs'}", "seed=1,2", "--allow-host", stub.origin]) == 0 and len(stub.asked) == 8


@pytest.mark.parametrize("missing, words", [("base_url: null", "base_url is not set"), ("model: null", "give the name that the server has"), ("each: {S9: {}}", "no such agent"), ("each: {S1: {parallel: 2}}", "not an option of a seat")])
def test_what_a_seat_lacks_is_told_in_one_line(tmp_path, capsys, missing, words):
    path = tmp_path / "talk.yaml"
    text = SCENARIO.format(url="http://127.0.0.1:1/v1", each="{}")
    key = missing.split(":")[0]
    path.write_text("".join(f"    {missing}\n" if line.strip().startswith(f"{key}:") else line for line in text.splitlines(keepends=True)))
    assert main(["run", str(path)]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and f"{path}:" in said
