"""The web application under many browsers: is every camera served, does it leak, is nothing left of closed tabs?

    python -m tests.web_soak [--sessions 8] [--minutes 2] [--tabs 500] [--at_once 5]

Headless Chromium with its own test picture as the camera, a graph server whose graph gives the frame back, and the
application in a process of its own. First ``--sessions`` tabs show their camera together for ``--minutes``: frames
that each has drawn, and the application's resident memory, threads and descriptors each second; growth compares the
mean of the last fifth with that of the second fifth. Then ``--tabs`` tabs are opened, ``--at_once`` at a time, wait for
their first frame, and are closed. After each round, when no session is left, a line says what the application and the
graph server have. These tabs share one context and one renderer process of Chromium, and a camera of 320x240 at 10
frames a second: that is cheaper for the browser, and the same to the application.

Exit status 1 where a session drew less than half of what the median one drew, memory grew 3 % or more, or a thread, a
descriptor, a session or shared memory is left after the tabs.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.soak import MAX_GROWTH, Sample, sample
from tests.support.graph_server import ECHO, graph_server_process
from tests.support.waiting import wait_until

MAX_SHARE_LOST = 0.5
SETTLE_SECONDS = 15.0
"""uvicorn closes a connection that is kept for a next request after five."""
CAMERA = "--use-fake-device-for-media-stream"
POOLS = ("AnyIO worker", "asyncio_", "call_")
"""How the names of threads begin that asyncio, Starlette and the graph server keep for any work, up to a bound."""
NAMED_THREADS = Path(__file__).parent / "support" / "named_threads"
ONE_RENDERER = ("--process-per-site", "--renderer-process-limit=1")
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


@contextmanager
def chromium(playwright: Playwright, *flags: str) -> Iterator[Browser]:
    """A headless browser that gives a page its camera unasked."""
    found = shutil.which("chromium") or sys.exit("this needs Chromium: apt-get install chromium")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = playwright.chromium.launch(executable_path=found, args=["--use-fake-ui-for-media-stream", *root, *flags])
    try:
        yield browser
    finally:
        browser.close()


def opened(browser: Browser | BrowserContext, url: str, size: str = "640x480") -> Page:
    """A tab whose camera runs, with the graph that gives the frame back. Those of a :class:`Browser` share nothing."""
    page = browser.new_page()
    page.goto(url)
    page.evaluate(_COUNT)
    graph = page.get_by_label("Graph").first
    graph.evaluate("select => select.add(new Option('passThrough'))")  # of another server, the page lists none
    graph.select_option("passThrough")
    page.get_by_label("Size").first.select_option(size)
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
    print(f"{sessions} sessions, {seconds:.0f} s: frames a second drawn {rates}", flush=True)
    grown = growth("application", samples)
    return min(counts) >= MAX_SHARE_LOST * statistics.median(counts) and grown < MAX_GROWTH


def growth(name: str, samples: Sequence[Sample]) -> float:
    """Of a process: print how each figure grew, and return the growth of its resident memory, as a ratio."""
    fifth = max(1, len(samples) // 5)
    grown = dict[str, float]()
    for figure in ("resident_mb", "threads", "descriptors"):
        first, last = (
            statistics.mean(getattr(one, figure) for one in part)
            for part in (samples[fifth : 2 * fifth], samples[-fifth:])
        )
        grown[figure] = last / first - 1
        print(f"{name}: {figure:12} second fifth {first:8.1f}  last fifth {last:8.1f}  growth {grown[figure]:+.1%}")
    return grown["resident_mb"]


@dataclass(frozen=True, slots=True)
class Rest:
    """What a process has while no session is open: ``pooled`` of its threads wait in a pool for any work, ``shared_kb``
    is the shared memory that it has mapped.
    """

    process: Sample
    pooled: int
    shared_kb: int

    @classmethod
    def of(cls, process: int) -> "Rest":
        """A process now."""
        names = [(task / "comm").read_text() for task in Path(f"/proc/{process}/task").iterdir()]
        return cls(sample(0, process), sum(name.startswith(POOLS) for name in names), shared_kb(process))

    @property
    def own_threads(self) -> int:
        """Threads that are in no pool."""
        return self.process.threads - self.pooled

    def exceeds(self, before: "Rest") -> bool:
        """Whether anything but memory of its own is left."""
        return (
            self.own_threads > before.own_threads
            or self.process.descriptors > before.process.descriptors
            or self.shared_kb > before.shared_kb
        )

    def __str__(self) -> str:
        one = self.process
        threads = f"{self.own_threads} threads and {self.pooled} in pools"
        return f"{threads}, {one.descriptors} descriptors, {one.resident_mb:.1f} MB, {self.shared_kb} kB shared"


def shared_kb(process: int) -> int:
    """POSIX shared memory that a process has mapped, in kB."""
    ranges = [
        line.split()[0].split("-")
        for line in Path(f"/proc/{process}/maps").read_text().splitlines()
        if "/dev/shm/" in line
    ]
    return sum(int(end, 16) - int(start, 16) for start, end in ranges) >> 10


def closed(context: BrowserContext, url: str, processes: Mapping[str, int], tabs: int, at_once: int) -> bool:
    """Open and close tabs; whether nothing is left of them. ``processes`` are looked at, by name."""

    def round_of(count: int) -> None:
        pages = [opened(context, url, "320x240") for _ in range(count)]
        for page in pages:
            wait_until(lambda page=page: drawn(page) > 0, seconds=60)  # type: ignore[misc]
        for page in pages:
            page.close()

    for _ in range(max(1, tabs // at_once // 10)):
        round_of(at_once)  # what is made once, such as pools of threads, is there afterwards
    before = settled(url, processes, None, SETTLE_SECONDS)
    for name, one in before.items():
        print(f"{name}: before: {one}", flush=True)
    began, rounds = time.monotonic(), list[dict[str, Rest]]()
    for number in range(tabs // at_once):
        round_of(at_once)
        last = number == tabs // at_once - 1
        rounds.append(settled(url, processes, before, SETTLE_SECONDS if last else 1.0))
        for name, one in rounds[-1].items():
            print(f"{name}: {(number + 1) * at_once} tabs, {time.monotonic() - began:.0f} s: {one}", flush=True)
    grown = [growth(name, [each[name].process for each in rounds]) for name in processes]
    left = [name for name in processes if rounds[-1][name].exceeds(before[name])]
    print(f"{tabs} tabs opened and closed: something is left in: {', '.join(left) or 'nothing'}", flush=True)
    return not left and max(grown) < MAX_GROWTH


def settled(url: str, processes: Mapping[str, int], goal: Mapping[str, Rest] | None, seconds: float) -> dict[str, Rest]:
    """The processes without sessions, ``seconds`` later, or as soon as all is down to ``goal``."""
    wait_until(lambda: not httpx.get(f"{url}api/sessions").json(), seconds=60)
    until = time.monotonic() + seconds
    while True:
        now = {name: Rest.of(process) for name, process in processes.items()}
        down = goal is not None and not any(one.exceeds(goal[name]) for name, one in now.items())
        if down or time.monotonic() >= until:
            return now
        time.sleep(0.1)


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--tabs", type=int, default=500)
    parser.add_argument("--at_once", type=int, default=5, help="tabs that are open together in the second part")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(NAMED_THREADS)
    most = max(options.sessions, options.at_once) + 1
    with (
        graph_server_process(*ECHO) as server,
        application(server.address, most) as (process, url),
        sync_playwright() as playwright,
    ):
        with chromium(playwright, CAMERA) as browser:
            well = served(browser, url, process.pid, options.sessions, 60 * options.minutes)
        with chromium(playwright, f"{CAMERA}=fps=10", *ONE_RENDERER) as browser:
            processes = {"application": process.pid, "graph server": server.pid}
            small = browser.new_context(viewport={"width": 400, "height": 300})
            well &= closed(small, url, processes, options.tabs, options.at_once)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
