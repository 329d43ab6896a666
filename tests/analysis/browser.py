"""A headless Chromium for the tests of pages, driven by Selenium; without them those tests are skipped and say why."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
DRIVER = shutil.which("chromedriver")
MISSING = None if CHROMIUM and DRIVER and find_spec("selenium") else "needs chromium, chromedriver and the package selenium (make view-tests)"

# before any script of a page: what payloads would call, and every request or script that the page's policy refused
WATCH = """
window.hits = []; window.refused = []; window.broken = [];
for (const name of ['canary', 'alert', 'confirm', 'prompt', 'open', 'print']) window[name] = (...what) => { window.hits.push([name, String(what)]); };
document.addEventListener('securitypolicyviolation', (e) => window.refused.push([e.violatedDirective, e.blockedURI, e.sample]));
window.addEventListener('error', (e) => window.broken.push(String(e.message)));
window.addEventListener('unhandledrejection', (e) => window.broken.push(String(e.reason)));
"""


@contextmanager
def chromium(*more: str, wide: int = 1600, high: int = 1000) -> Iterator:
    """A driver whose pages are watched. No name is looked up but this machine's own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", f"--window-size={wide},{high}", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", *more):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        yield driver
    finally:
        driver.quit()


def opened(driver, path, moment=""):
    """The page, drawn."""
    driver.get("about:blank")
    driver.get(f"file://{path}{moment}")
    return drawn(driver)


def drawn(driver):
    """Wait for the next drawing to be on the screen."""
    driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(() => done())));")
    return driver
