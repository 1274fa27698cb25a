"""``view`` and ``analyze`` as a user calls them."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.browser import browser_page
from tests.support.client import run_client
from tests.support.display import screenshot, virtual_display
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, person: Path) -> Path:
    """The page of a clip that `view` finds the landmarks of."""
    path = tmp_path_factory.mktemp("view") / "page.html"
    finished = run_client("view", person, "--html", path)
    assert finished.returncode == 0, finished.stderr
    return path


def test_the_page_plays_in_a_browser_and_turns_the_skeleton(page: Path) -> None:
    with browser_page() as tab:
        requests: list[str] = []
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(page.as_uri())
        tab.wait_for_function("video.readyState >= 2")
        assert tab.inner_text("#now").startswith("frame 0 ")
        still = tab.evaluate("space.toDataURL()")
        tab.wait_for_function("before => space.toDataURL() !== before", arg=still)
        tab.click("#play")
        tab.wait_for_function("index === rows.length - 1", timeout=60_000)
        tab.wait_for_function("!playing")
        tab.click("#back")
        assert tab.evaluate("index") == 38
        # Something of the skeleton's color is drawn on the last frames.
        pixels = np.array(
            tab.evaluate("Array.from(overlay.getContext('2d').getImageData(0, 0, overlay.width, overlay.height).data)")
        )
        assert (pixels.reshape(-1, 4)[:, 3] > 0).sum() > 200
        assert {url.split(":")[0] for url in requests} <= {"file", "data"}


def test_landmarks_of_a_run_are_shown_without_their_video(person: Path, tmp_path: Path) -> None:
    files = ["--landmarks_output", tmp_path / "l.jsonl", "--labels_output", tmp_path / "labels.jsonl"]
    assert run_client("--input_stream", person, *files).returncode == 0
    page = tmp_path / "page.html"
    finished = run_client("view", tmp_path / "l.jsonl", "--labels", tmp_path / "labels.jsonl", "--html", page)
    assert finished.returncode == 0, finished.stderr
    with browser_page() as tab:
        tab.goto(page.as_uri())
        tab.click("#play")
        tab.wait_for_function("index > 5")


def test_the_window_shows_the_skeleton_and_a_key_closes_it(
    person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_client("--input_stream", person, "--landmarks_output", tmp_path / "l.jsonl").returncode == 0
    with virtual_display("1024x520x24") as name:
        monkeypatch.setenv("DISPLAY", name)
        monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
        command = [sys.executable, "-m", "stream_client", "view", str(tmp_path / "l.jsonl"), "--video", str(person)]
        window = subprocess.Popen(command)
        try:
            wait_until(lambda: _green(screenshot(tmp_path / "screen.png")) > 500, seconds=60, pause=0.5)
            subprocess.run(["xdotool", "mousemove", "60", "60", "sleep", "0.2", "key", "q"], check=True)
            assert window.wait(20) == 0
        finally:
            window.kill()
            window.wait()


def _green(screen: npt.NDArray[np.uint8]) -> int:
    return int((screen == (86, 224, 160)).all(axis=2).sum())


def test_view_without_a_display_or_a_file_is_one_line(tmp_path: Path) -> None:
    finished = run_client("view", tmp_path / "nothing.jsonl", "--html", tmp_path / "page.html")
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: ")
    assert "does not exist" in finished.stderr


def test_analyze_counts_labels_and_writes_the_labelled_video(person: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    flags = ["--out", tmp_path / "out", "--json", tmp_path / "figures.json", "--label_colors", "standing=green"]
    finished = run_client("analyze", person, broken, *flags)
    assert finished.returncode == 1, finished.stderr
    assert "broken.mp4" in finished.stderr
    assert "1 of 2 videos could not be analyzed" in finished.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    (video,) = figures["videos"].values()
    assert video["frames"] == sum(label["frames"] for label in video["labels"]) == 40
    assert len(figures["failed"]) == 1
    assert "longest s" in finished.stdout
    with av.open(tmp_path / "out" / "person.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == 40
    assert len((tmp_path / "out" / "person.labels.jsonl").read_text().splitlines()) == 40


@pytest.mark.parametrize("colors", ["green", "up=nocolor", "=red"])
def test_a_color_that_is_none_is_named(colors: str, person: Path) -> None:
    finished = run_client("analyze", person, "--label_colors", colors)
    assert finished.returncode == 2
    assert "--label_colors" in finished.stderr
