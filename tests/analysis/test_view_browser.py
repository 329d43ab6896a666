"""The page of a run in a real, headless Chromium: what it shows, that nothing runs or is asked for but its own script, that all follows the moment.

Skipped where there is no Chromium with its driver, or no Selenium: `make view-tests` says what it takes.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from analysis.viewing.texts import shown
from analysis.viewing.view import view
from sandbox.__main__ import main as sandbox
from sandbox.log import Event
from tests.analysis.browser import MISSING, chromium, drawn, opened
from tests.analysis.hostile_run import hostile_run
from tests.analysis.payloads import HOSTILE
from tests.analysis.runs import end, message, write_run

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

# Goes to some steps, choosing a message, an agent and a drawing in each, or with none through eyes and searches; gives back every text that stood somewhere.
EVERYTHING = """
const [first, end, done] = arguments, texts = new Set(), bar = document.getElementById('scrub');
const frame = () => new Promise((then) => requestAnimationFrame(() => setTimeout(then, 0)));
function look() {
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT);
  while (nodes.nextNode()) if (!['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(nodes.currentNode.tagName)) texts.add(nodes.currentNode.textContent);
}
(async () => {
  const buttons = document.querySelectorAll('#views button').length;
  for (let at = first; at < end; at++) {
    bar.value = String(at); bar.dispatchEvent(new Event('input')); await frame();
    const article = [...document.querySelectorAll('#list article.present')]; if (article[0]) { article[0].click(); await frame(); }
    document.querySelectorAll('#views button')[at % buttons].click(); await frame();
    const seats = document.querySelectorAll('.seats button'); if (seats.length) { seats[at % seats.length].click(); await frame(); }
    await new Promise((then) => setTimeout(then, 280)); look();
  }
  if (first < end) return done([...texts]);
  const viewer = document.getElementById('viewer');
  for (const option of [...viewer.options].slice(0, 12)) { viewer.value = option.value; viewer.dispatchEvent(new Event('change')); await frame(); await frame(); look(); }
  const search = document.getElementById('search');
  for (const word of ['script', 'canary', 'on', '{{']) { search.value = word; search.dispatchEvent(new Event('input')); await frame(); look(); }
  done([...texts]);
})();
"""


class Server(ThreadingHTTPServer):
    """Serves one page and counts whatever else is asked for."""

    def __init__(self, page):
        self.page, self.asked = page, []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/page":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(self.server.page)
        else:
            self.server.asked.append(self.path)
            self.send_error(404)

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        driver.set_script_timeout(110)
        yield driver


@pytest.fixture(scope="module")
def game(tmp_path_factory):
    folder = tmp_path_factory.mktemp("game")
    assert sandbox(["run", "scenarios/liars.yaml", "seats.default=scripted", "executor=local", "environment.last_year=1901", "plots=false", f"run_dir={folder}"]) == 0
    return view(next(folder.glob("liars/*/")))[0]


def told(driver, what):
    return driver.execute_script(f"return {what}")


def nothing_broke(driver):
    assert told(driver, "window.broken") == [] and told(driver, "window.hits") == [] and told(driver, "window.refused") == []
    assert [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"] == []


@pytest.mark.security(line="S4")
def test_hostile_texts_in_every_field_run_nothing_ask_for_nothing_and_are_shown_as_they_are(browser, tmp_path):
    server = Server(b"")
    port = server.server_address[1]
    payloads = tuple(text.replace("127.0.0.1:1", f"127.0.0.1:{port}") for text in HOSTILE)
    server.page = view(hostile_run(tmp_path / "run", payloads), with_labels=True)[0].read_bytes()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        browser.get(f"http://127.0.0.1:{port}/page")
        texts = set(browser.execute_async_script(EVERYTHING, 0, 0))
        for first in range(0, len(payloads) + 1, 4):  # few at a time: a call has its time
            texts |= set(browser.execute_async_script(EVERYTHING, first, min(first + 4, len(payloads) + 1)))
        nothing_broke(browser)
        assert server.asked == []
    finally:
        server.shutdown()
    visible = [shown(text.encode("utf-8", "backslashreplace").decode()) for text in payloads]
    assert len(payloads) >= 60 and [text for text in visible if text not in texts] == []  # as messages
    everything = "\n".join(texts)
    for text in visible:
        one_line = text.replace("\n", "\\n")
        for place in (one_line, f"persona: {text}", f"{one_line}: {one_line}"):  # agents, channels and orders; what one is told alone; faults
            assert place in everything, place
    assert told(browser, "Object.keys(Object.prototype).length") == 0 and told(browser, "({}).polluted") is None


@pytest.mark.security(line="S4")
def test_a_script_that_did_get_in_would_be_refused_and_seen(browser, game, tmp_path):
    """The canary and the policy do notice: without this the test above could not fail."""
    bad = tmp_path / "bad.html"
    bad.write_text(game.read_text().replace("</body>", "<script>canary('in')</script><img src=x onerror=canary('too')><img src=http://127.0.0.1:1/x></body>"))
    opened(browser, bad)
    assert told(browser, "window.hits") == [] and {rule for rule, _, _ in told(browser, "window.refused")} >= {"script-src-elem", "img-src"}
    assert any("bad.html" in e["message"] and e["level"] == "SEVERE" for e in browser.get_log("browser"))  # read here, and so not told of the next page
    browser.get("data:text/html,<script>canary('seen')</script>")
    assert told(browser, "window.hits") == [["canary", "seen"]]


def test_everything_follows_the_moment_and_a_link_brings_it_back(browser, game):
    opened(browser, game, "#step=3&agent=ITALY")
    assert "S1901M" in told(browser, "document.getElementById('now').textContent") and told(browser, "document.querySelectorAll('.map .order').length") > 15
    before = told(browser, "document.getElementById('count').textContent")
    browser.execute_script("document.getElementById('on').click()")
    drawn(browser)
    assert "F1901M" in told(browser, "document.getElementById('now').textContent") and told(browser, "document.getElementById('count').textContent") != before
    first = told(browser, "JSON.parse(document.getElementById('run').textContent).messages.id[3]")
    opened(browser, game, f"#step=5&message={first}&agent=FRANCE")
    assert told(browser, "document.querySelector('article.chosen').dataset.i") == "3" and "FRANCE" in told(browser, "document.querySelector('.seats .chosen').textContent")
    browser.execute_async_script("setTimeout(arguments[0], 600); document.getElementById('last').click()")
    assert f"step={told(browser, 'JSON.parse(document.getElementById(`run`).textContent).steps.n.at(-1)')}" in browser.current_url and "agent=FRANCE" in browser.current_url
    opened(browser, game, "#step=zzz&message=%00&agent=__proto__&as=constructor")
    nothing_broke(browser)


def test_keys_move_the_moment_and_play_goes_on_by_itself(browser, game):
    from selenium.webdriver.common.keys import Keys

    opened(browser, game, "#step=0")
    body = browser.find_element("tag name", "body")
    at = lambda: int(told(browser, "document.getElementById('scrub').value"))  # noqa: E731
    steps = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.END, Keys.HOME):
        body.send_keys(key)
        drawn(browser)
        steps.append(at())
    assert steps == [1, 2, 1, int(told(browser, "document.getElementById('scrub').max")), 0]
    browser.execute_script("const s = document.getElementById('speed'); s.value = '16'; document.getElementById('play').click()")
    browser.execute_async_script("const done = arguments[0], look = () => Number(document.getElementById('scrub').value) > 2 ? done() : setTimeout(look, 20); look()")
    nothing_broke(browser)


def test_who_sees_as_one_agent_sees_nothing_that_was_not_for_it(browser, tmp_path):
    said = [message("a", "A", ["A", "B"], text="for B alone"), message("b", "B", ["B", "C"], text="SECRET of B and C", step=1), message("c", "C", ["C"], text="SECRET of C", step=1)]
    kept = [Event("intent", 1, 1, "C", {"intent": {"SECRET plan": 1.0}}), Event("move", 1, 1, "C", {"move": "SECRET move"}), Event("outcome", 1, 1, None, {"done": False, "events": [{"what": "case", "culprit": "SECRET one"}]})]
    page, _ = view(write_run(tmp_path / "run", [*said, *kept, end(step=1)]))
    opened(browser, page, "#step=1&agent=C")
    assert "SECRET" in told(browser, "document.body.innerText")
    opened(browser, page, "#step=1&as=A")
    shown_ = told(browser, "document.body.innerText")
    assert "for B alone" in shown_ and "SECRET" not in shown_
    browser.execute_script("const s = document.getElementById('search'); s.value = 'secret'; s.dispatchEvent(new Event('input'))")
    assert told(browser, "document.getElementById('found').textContent") == "not found"


def test_of_ten_thousand_messages_few_are_drawn_and_all_can_be_reached(browser, tmp_path):
    said = [message(f"m{i}", "AB"[i % 2], ["A", "B"], text=f"word{i} again", step=i // 10, time=i) for i in range(10_000)]
    page, _ = view(write_run(tmp_path / "run", [*said, end(step=999)]))
    assert page.stat().st_size < 10_000_000
    opened(browser, page, "#step=999")
    assert 10 < told(browser, "document.querySelectorAll('#list article').length") <= 160 and told(browser, "document.getElementById('count').textContent") == "10,000 of 10,000"
    oldest = "Number(document.querySelector('#list article').dataset.i)"
    first = told(browser, oldest)
    for _ in range(4):
        browser.execute_async_script("document.getElementById('list').scrollTop = 0; setTimeout(arguments[0], 120)")
    assert told(browser, oldest) < first - 100 and told(browser, "document.querySelectorAll('#list article').length") <= 160
    browser.execute_script("const s = document.getElementById('search'); s.value = 'word4321 '; s.dispatchEvent(new Event('input')); document.querySelector('#found button').click()")
    drawn(browser)
    assert told(browser, "document.querySelector('article.chosen p').textContent") == "word4321 again" and told(browser, "document.getElementById('scrub').value") == "432"
    nothing_broke(browser)


@pytest.mark.parametrize("events", [[Event("observation", 0, 0, "A", {"heard": [], "may_write": [], "view": ""})], [end(step=0)], [Event("outcome", 3, 0, None, {"done": False, "events": [{"what": "adjudication"}]}), end()]])
def test_a_run_with_hardly_anything_in_it_is_shown_without_an_error(browser, tmp_path, events):
    page, _ = view(write_run(tmp_path / "run", events))
    opened(browser, page)
    assert "Nobody said anything" in told(browser, "document.getElementById('list').textContent")
    assert told(browser, "document.title") == "run"
    nothing_broke(browser)


def test_counts_have_whole_numbers_beside_them_and_filters_room_for_their_words(browser, game):
    opened(browser, game, "#step=3")
    told_ = told(browser, "[...document.querySelectorAll('.chart text[text-anchor=end]')].map((one) => one.textContent)")
    assert len(told_) >= 2 and all(text.isdecimal() for text in told_)
    before = browser.get_window_size()
    browser.set_window_size(1250, 800)
    try:
        assert told(browser, "[...document.querySelectorAll('.filters select')].every((one) => one.clientWidth >= 110)")  # 'with anybody' and its arrow
    finally:
        browser.set_window_size(before["width"], before["height"])
