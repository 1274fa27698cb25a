"""Fixtures for all tests."""

import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stream_client.util.owned_thread import OwnedThread
from tests.support.kserve_server import ScriptedServer
from tests.support.missing import missing, skip_reasons
from tests.support.video import write_video
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
ASSUMPTION = "assumption"
"""The property of a test for a rule that OVMS's source and documentation do not settle."""

# Children inherit ignored signals, and what runs in the background of a shell or by nohup ignores these two.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of several processes, none works alone at the end: files that may take longest come first."""
    if hasattr(config, "workerinput"):
        seconds: Counter[Path] = Counter()
        for item in items:
            allowed = item.get_closest_marker("timeout")
            seconds[item.path] += 1 if allowed is None else allowed.args[0]
        items.sort(key=lambda item: -seconds[item.path])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell why tests were skipped, and the assumptions. From reports: the first of several processes has no tests."""
    for why, count in skip_reasons(terminalreporter.stats.get("skipped", [])).items():
        terminalreporter.line(f"{count} skipped: {why}")
    assumed = {
        report.nodeid.rpartition("::")[2]: reason
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
        for name, reason in report.user_properties
        if name == ASSUMPTION
    }
    if assumed:
        terminalreporter.section("rules that are assumptions")
        for name, reason in sorted(assumed.items()):
            terminalreporter.line(f"{name}: {reason}")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """30 frames of 64x48 at 30 frames a second."""
    return write_video(tmp_path / "clip.mp4", frames=30)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A KServe server that does what a test tells it to."""
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def pass_through_server() -> Iterator[str]:
    """The gRPC address of our graph server with the graph that gives the picture back, in a process of its own."""
    from tests.support.graph_server import ECHO, graph_server_process

    with graph_server_process(*ECHO) as server:
        yield server.address


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every thread has an owner that joins it."""
    before = set(threading.enumerate())
    yield
    threads = [thread for thread in threading.enumerate() if thread not in before]
    left = [thread for thread in threads if not thread.daemon or isinstance(thread, OwnedThread)]
    for thread in left:
        wait_until(partial(_joined, thread))
    assert not [thread.name for thread in left if thread.is_alive()]


def _joined(thread: threading.Thread) -> bool:
    try:
        threading.Thread.join(thread, 5)  # an OwnedThread that is overdue would not be waited for
    except RuntimeError:  # another thread is just starting it
        return False
    return True


def shared(name: str) -> Path:
    """A file of the shared data; without that, the test is skipped, and fails in CI."""
    if not SHARED.is_dir():
        missing("the shared data", f"they belong into {SHARED}")
    return SHARED / name


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The fetched models; `make test` fetches them beforehand."""
    from graph_server.assets import ensure_models

    return ensure_models()


@pytest.fixture(autouse=True)
def quiet_pygame() -> None:
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"


@pytest.fixture(scope="session")
def person(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Path:
    """40 frames of a person walking, 442 pixels wide: not a multiple of 16."""
    from graph_server.assets import ensure_clip

    path = tmp_path_factory.mktemp("clips") / "person.mp4"
    ffmpeg = ("ffmpeg", "-v", "error", "-ss", "3", "-i")
    subprocess.run([*ffmpeg, ensure_clip(), "-vf", "scale=442:-2", "-frames:v", "40", path], check=True)
    return path
