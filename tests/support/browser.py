"""Real Chromium, Debian's, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from tests.support.missing import missing


@contextmanager
def browser_page(*flags: str) -> Iterator[Page]:
    """A page of a headless browser; an error in its scripts fails the test."""
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("chromium", "apt-get install chromium")
    arguments = [*flags, "--no-sandbox"] if os.geteuid() == 0 else list(flags)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        errors: list[str] = []
        try:
            page = browser.new_page(viewport={"width": 1100, "height": 720})
            page.on("pageerror", lambda error: errors.append(str(error)))
            yield page
        finally:
            browser.close()
    assert errors == []
