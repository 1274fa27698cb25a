"""The web application under many browsers: is every camera served, does it leak, is nothing left of closed tabs?

    python -m tests.web_soak [--sessions 8] [--minutes 2] [--tabs 500] [--at_once 5]

Headless Chromium with its own test picture as the camera, a graph server whose graph gives the frame back, and the
application in a process of its own. First ``--sessions`` tabs show their camera together for ``--minutes``: frames
that each has drawn, and the application's resident memory, threads and descriptors each second; growth compares the
mean of the last fifth with that of the second fifth. Then ``--tabs`` tabs are opened, ``--at_once`` at a time, wait for
their first frame, and are closed.

Exit status 1 where a session drew less than half of what the median one drew, memory grew 3 % or more, or a thread, a
descriptor or a session is left after the tabs.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from tests.soak import MAX_GROWTH, Sample, sample
from tests.support.graph_server import ECHO, graph_server_process
from tests.support.waiting import wait_until

MAX_SHARE_LOST = 0.5
SETTLE_SECONDS = 15.0
"""uvicorn closes a connection that is kept for a next request after five."""
_FLAGS = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--no-sandbox")
_COUNT = """
() => {
  globalThis.drawn = 0;
  document.getElementById("live").addEventListener("drawn", () => drawn++);
}
"""


@contextmanager
def application(server: str, sessions: int) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Its process and address."""
    flags = ["--port", "0", "--grpc_address", server, "--max_sessions", str(sessions)]
    command = [sys.executable, "-m", "stream_client", "web", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip().removeprefix("web: ")
        finally:
            process.terminate()


def opened(browser: Browser, url: str) -> Page:
    """A tab whose camera runs, with the graph that gives the frame back."""
    page = browser.new_page(viewport={"width": 800, "height": 600})
    page.goto(url)
    page.evaluate(_COUNT)
    graph = page.get_by_label("Graph").first
    graph.evaluate("select => select.add(new Option('passThrough'))")  # of another server, the page lists none
    graph.select_option("passThrough")
    page.get_by_role("button", name="Start the camera").click()
    return page


def drawn(page: Page) -> int:
    """Frames that a tab has drawn."""
    return int(page.evaluate("drawn"))


def served(browser: Browser, url: str, process: int, sessions: int, seconds: float) -> bool:
    """Show cameras together, and print what each drew; whether none was starved and memory stayed."""
    pages = [opened(browser, url) for _ in range(sessions)]
    for page in pages:
        wait_until(lambda page=page: drawn(page) > 0, seconds=60)  # type: ignore[misc]
    before = [drawn(page) for page in pages]
    began, samples = time.monotonic(), list[Sample]()
    while time.monotonic() - began < seconds:
        time.sleep(1.0)
        samples.append(sample(began, process))
    counts = [drawn(page) - first for page, first in zip(pages, before, strict=True)]
    for page in pages:
        page.close()
    rates = ", ".join(f"{count / (time.monotonic() - began):.1f}" for count in counts)
    print(f"{sessions} sessions, {seconds:.0f} s: frames a second drawn {rates}")
    fifth = max(1, len(samples) // 5)
    growth = {}
    for name in ("resident_mb", "threads", "descriptors"):
        first, last = (
            statistics.mean(getattr(one, name) for one in part)
            for part in (samples[fifth : 2 * fifth], samples[-fifth:])
        )
        growth[name] = last / first - 1
        print(f"{name:12} second fifth {first:8.1f}  last fifth {last:8.1f}  growth {growth[name]:+.1%}")
    return min(counts) >= MAX_SHARE_LOST * statistics.median(counts) and growth["resident_mb"] < MAX_GROWTH


def closed(browser: Browser, url: str, process: int, tabs: int, at_once: int) -> bool:
    """Open and close tabs; whether nothing is left of them."""

    def round_of(count: int) -> None:
        pages = [opened(browser, url) for _ in range(count)]
        for page in pages:
            wait_until(lambda page=page: drawn(page) > 0, seconds=60)  # type: ignore[misc]
        for page in pages:
            page.close()

    for _ in range(max(1, tabs // at_once // 10)):
        round_of(at_once)  # what is made once, such as pools of threads, is there afterwards
    before = settled(url, process, None)
    for number in range(tabs // at_once):
        round_of(at_once)
        if number % 10 == 9:
            now = sample(0, process)
            print(f"{(number + 1) * at_once} tabs: {now}", file=sys.stderr, flush=True)
    after = settled(url, process, before)
    print(
        f"{tabs} tabs opened and closed: {before.threads} threads before, {after.threads} after; descriptors "
        f"{before.descriptors} and {after.descriptors}; {before.resident_mb:.0f} and {after.resident_mb:.0f} MB"
    )
    return after.threads <= before.threads and after.descriptors <= before.descriptors


def settled(url: str, process: int, goal: Sample | None) -> Sample:
    """The process without sessions, once no connection is kept open for a next request, or it is down to ``goal``."""
    wait_until(lambda: not httpx.get(f"{url}api/sessions").json(), seconds=60)
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until:
        now = sample(0, process)
        if goal is not None and now.threads <= goal.threads and now.descriptors <= goal.descriptors:
            break
        time.sleep(0.5)
    return sample(0, process)


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--tabs", type=int, default=500)
    parser.add_argument("--at_once", type=int, default=5, help="tabs that are open together in the second part")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or sys.exit("this needs Chromium: apt-get install chromium")
    most = max(options.sessions, options.at_once) + 1
    with (
        graph_server_process(*ECHO) as server,
        application(server.address, most) as (process, url),
        sync_playwright() as playwright,
    ):
        flags = list(_FLAGS if os.geteuid() == 0 else _FLAGS[:2])
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        well = served(browser, url, process.pid, options.sessions, 60 * options.minutes)
        well &= closed(browser, url, process.pid, options.tabs, options.at_once)
        browser.close()
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
