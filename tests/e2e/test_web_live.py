"""The web application in a real browser, with a clip as its camera."""

import io
import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from graph_server.assets import ensure_clip
from stream_client import LandmarkFinder
from stream_client.events.read import read_rules
from stream_client.events.rules import LineRule, StateRule
from tests.conftest import shared
from tests.support.browser import browser_page
from tests.support.graph_server import graph_server_process
from tests.support.panned import HEIGHT, WIDTH, number_in, offset, panned_clip
from tests.support.waiting import wait_until
from tests.support.web_application import Application, web_application

CAMERA = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
)
needs_aiortc = pytest.mark.skipif(sys.version_info < (3, 11), reason="aiortc begins with Python 3.11")
NEXT = """
([event, picture]) => new Promise((resolve) => document.getElementById("live").addEventListener(event, ({ detail }) => {
    const canvas = document.querySelector(".stage canvas");
    const persons = detail.persons.map(({ person, parts }) => ({ person, pose: Array.from(parts.pose ?? []) }));
    const { number, label, jpeg } = detail;
    resolve({ number, label, drawn: jpeg !== null, persons, picture: picture ? canvas.toDataURL("image/png") : "" });
}, { once: true }))
"""
"""The next result that the page draws: ``frame`` comes before the landmarks are drawn, ``drawn`` after."""
BOTH = """
() => new Promise((resolve) => {
    const live = document.getElementById("live"), pictures = [];
    const keep = () => pictures.push(document.querySelector(".stage canvas").toDataURL("image/png"));
    live.addEventListener("frame", keep, { once: true });
    live.addEventListener("drawn", ({ detail }) => {
        if (!pictures.length) return;
        keep();
        resolve({ pictures, pose: Array.from(detail.persons[0]?.parts.pose ?? []) });
    });
})
"""
"""A frame that the page draws, without and with its landmarks."""
PICTURE = """
() => new Promise((resolve) => document.getElementById("live").addEventListener("picture", () =>
    resolve({ picture: document.querySelector(".stage canvas").toDataURL("image/png") }), { once: true }))
"""
"""The next frame of the server's video."""


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of the demo's persons as the browser's camera."""
    return camera_of(ensure_clip(), tmp_path_factory.mktemp("clips"), "-ss", "3", "-t", "6")


def camera_of(clip: Path, folder: Path, *part: str) -> Path:
    """A clip as Chromium takes it for a camera, 640x480, 15 frames a second."""
    path = folder / "camera.mjpeg"
    size = "scale=640:480:force_original_aspect_ratio=increase,crop=640:480"
    subprocess.run(["ffmpeg", "-v", "error", *part, "-i", clip, "-vf", size, "-r", "15", "-q:v", "3", path], check=True)
    return path


@pytest.fixture(scope="module")
def server(models_dir: Path) -> Iterator[str]:
    with graph_server_process("--models_dir", str(models_dir)) as started:
        yield started.address


@pytest.fixture
def application(server: str) -> Iterator[Application]:
    with web_application(server) as started:
        yield started


@pytest.fixture
def page(application: Application, camera: Path) -> Iterator[Page]:
    with browser_page(*CAMERA, f"--use-file-for-fake-video-capture={camera}") as opened:
        opened.goto(application.url)
        yield opened


def loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """The addresses of WebRTC in the tests. aioice leaves them out."""
    return ["127.0.0.1"]


def udp_sockets() -> int:
    """UDP sockets that this process has open."""
    inodes = {line.split()[9] for line in Path("/proc/net/udp").read_text().splitlines()[1:]}
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            count += os.readlink(descriptor).removeprefix("socket:[").rstrip("]") in inodes
    return count


def start(page: Page, way: str = "auto") -> None:
    page.get_by_label("Way in").select_option(way)
    page.get_by_role("button", name="Start the camera").click()


def result(page: Page, event: str = "drawn", *, picture: bool = False) -> Any:
    return page.evaluate(NEXT, [event, picture])


@dataclass(frozen=True)
class Seen:
    """A frame with a number, before and after its landmarks were drawn. ``pose`` is [33, 2], in pixels."""

    number: int
    frame: np.ndarray[Any, np.dtype[np.uint8]]
    drawn: np.ndarray[Any, np.dtype[np.uint8]]
    pose: np.ndarray[Any, np.dtype[np.float64]] | None

    def distances(self, first: np.ndarray[Any, np.dtype[np.floating]]) -> tuple[float, float]:
        """From ``first``, the landmarks of frame 0, moved as this frame is, and as the next one is: in diagonals."""
        assert self.pose is not None
        moved = [first - (offset(number), 0) for number in (self.number, self.number + 1)]
        this, following = (float(np.median(np.hypot(*(self.pose - each).T))) for each in moved)
        return this / np.hypot(WIDTH, HEIGHT), following / np.hypot(WIDTH, HEIGHT)

    def is_drawn(self) -> bool:
        """Whether there is a new white dot at most of the joints."""
        assert self.pose is not None
        new = (self.drawn.min(axis=2) > 230) & (np.abs(self.drawn.astype(int) - self.frame).max(axis=2) > 20)
        joints = self.pose[[13, 14, 15, 16, 23, 24, 25, 26]].round().astype(int)
        return bool(np.mean([new[y - 2 : y + 3, x - 2 : x + 3].any() for x, y in joints]) > 0.5)


def both_pictures(page: Page) -> Seen:
    """The next frame that the page draws."""
    found = page.evaluate(BOTH)
    frame, drawn = (image_of({"picture": picture}) for picture in found["pictures"])
    pose = np.array(found["pose"]).reshape(-1, 3)[:, :2] * (WIDTH, HEIGHT)
    return Seen(number_in(frame), frame, drawn, pose if len(pose) else None)


def seen(page: Page) -> bool:
    return bool(result(page)["persons"])


def told(page: Page, label: str) -> bool:
    found = result(page)["label"]
    return found is not None and bool(found[0] == label)


def image_of(found: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(b64decode(found["picture"].partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    ("way", "name"),
    [
        ("auto", "websocket, H.264"),
        ("jpeg", "websocket, JPEG"),
        pytest.param("webrtc", "WebRTC, H.264", marks=needs_aiortc),
    ],
)
def test_landmarks_lie_on_the_very_frame_that_they_belong_to(
    application: Application, server: str, tmp_path: Path, way: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "webrtc":
        monkeypatch.setattr("aioice.ice.get_host_addresses", loopback)
    camera = tmp_path / "camera.mjpeg"
    with LandmarkFinder(server) as finder:
        found = finder.find(panned_clip(shared("clips") / "dance.webm", 2.5, camera))
    assert found is not None
    pose = found.pose[:, :2] * (WIDTH, HEIGHT)
    with browser_page(*CAMERA, f"--use-file-for-fake-video-capture={camera}") as page:
        page.goto(application.url)
        start(page, way)
        page.locator("dd").get_by_text(name).wait_for()
        frames = [each for each in (both_pictures(page) for _ in range(12)) if each.pose is not None]
        assert len(frames) > 5
        (session,) = application.state.sessions.all()
        assert session.kind == name
    of_this, of_the_next = zip(*(each.distances(pose) for each in frames), strict=True)
    assert np.median(of_this) < 0.02 < np.median(of_the_next)
    # What is drawn are these landmarks: elbows, wrists, hips and knees.
    assert all(each.is_drawn() for each in frames)


def test_a_browser_without_webrtc_says_so_and_takes_the_websocket(page: Page) -> None:
    page.add_init_script("delete globalThis.RTCPeerConnection")
    page.reload()
    start(page, "webrtc")
    page.get_by_text("this browser has no WebRTC").wait_for()
    result(page)
    page.locator("dd").get_by_text("websocket, H.264").wait_for()
    page.get_by_label("What comes back").select_option("video")
    page.get_by_text("This browser has no WebRTC. The websocket is used. The drawing comes as JPEG.").wait_for()
    wait_until(lambda: result(page)["drawn"])
    assert image_of(result(page, picture=True)).shape == (480, 640, 3)


@needs_aiortc
def test_the_servers_drawing_comes_back_as_video_and_another_graph_takes_over(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", loopback)
    start(page)
    assert not result(page)["drawn"]
    page.get_by_label("What comes back").select_option("video")
    page.locator("dd").get_by_text("WebRTC, H.264").wait_for()
    page.locator("dd").get_by_text("websocket, H.264").wait_for()
    image = image_of(page.evaluate(PICTURE))
    assert image.shape == (480, 640, 3)
    assert image.std() > 20
    assert page.locator(".stage canvas.mirrored").count() == 0  # the label in it can be read
    page.get_by_label("What comes back").select_option("overlay")
    page.locator("dd").get_by_text("landmarks").wait_for()
    page.locator(".stage canvas.mirrored").wait_for()
    page.get_by_label("Graph").first.select_option("holisticPersons")
    wait_until(lambda: any(each["person"] for each in result(page)["persons"]))
    assert page.locator("#live .problem").inner_text() == ""


def test_a_class_is_recorded_while_its_button_is_held_and_from_a_file(
    application: Application, page: Page, person: Path
) -> None:
    page.get_by_role("link", name="Teach").click()
    page.locator("#teach").get_by_role("button", name="Start the camera").click()
    wait_until(lambda: result(page)["persons"])
    page.get_by_label("Class", exact=True).fill("walking")
    page.get_by_role("button", name="Hold to record").hover()
    page.mouse.down()
    shown = 0
    while shown < 5:  # a busy machine follows a person only now and then
        shown += seen(page)
    page.mouse.up()
    page.get_by_role("heading", name="walking: 1 clip").wait_for()
    (clip,) = application.state.clips.all()
    assert clip.label == "walking"
    assert clip.frames >= 4
    page.locator("#teach input[type=file]").set_input_files(person)
    page.get_by_role("heading", name="walking: 2 clips").wait_for()
    (read,) = [each for each in application.state.clips.all() if each.id != clip.id]
    assert (read.total, read.frames > 30) == (40, True)
    assert list(application.state.folders.uploads.iterdir()) == []
    assert page.locator("#teach figure img").count() == 2
    page.get_by_role("button", name="Delete").first.click()
    wait_until(lambda: len(application.state.clips.all()) == 1)


@pytest.mark.timeout(300)  # the training alone takes half a minute, and more on a busy machine
def test_two_classes_are_shown_and_told_apart(application: Application, tmp_path: Path) -> None:
    clips = {"dancing": "dance.webm", "signing": "sign-again.mkv"}
    cameras = {}
    for label, clip in clips.items():
        (tmp_path / label).mkdir()
        cameras[label] = camera_of(shared("clips") / clip, tmp_path / label, "-t", "5")
    for label, camera in cameras.items():
        with browser_page(*CAMERA, f"--use-file-for-fake-video-capture={camera}") as page:
            page.goto(application.url)
            page.get_by_role("link", name="Teach").click()
            page.locator("#teach").get_by_role("button", name="Start the camera").click()
            wait_until(partial(seen, page))
            page.get_by_label("Class", exact=True).fill(label)
            page.get_by_role("button", name="Hold to record").hover()
            page.mouse.down()
            page.wait_for_timeout(5000)  # as long as somebody holds it
            page.mouse.up()
            page.get_by_role("heading", name=f"{label}: 1 clip").wait_for()
            if label == "signing":
                page.get_by_label("Window (ms)").fill("0")  # a busy machine sees too few frames for windows
                page.get_by_role("button", name="Train").click()
                page.get_by_text("mine is trained").wait_for(timeout=180_000)
                wait_until(partial(told, page, label))
                assert "accuracy is of that recording" in page.locator("#teach pre").inner_text()
    with browser_page(*CAMERA, f"--use-file-for-fake-video-capture={cameras['dancing']}") as page:
        page.goto(application.url)
        page.get_by_label(re.compile("^Classifier")).select_option("mine")
        start(page)
        wait_until(partial(told, page, "dancing"))


@pytest.mark.parametrize("way", ["auto", pytest.param("webrtc", marks=needs_aiortc)])
def test_a_closed_tab_leaves_nothing(
    application: Application, page: Page, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "webrtc":
        monkeypatch.setattr("aioice.ice.get_host_addresses", loopback)
    before = udp_sockets()
    start(page, way)
    if way == "webrtc":
        page.locator("dd").get_by_text("WebRTC").wait_for()
        assert udp_sockets() > before
    result(page)
    assert len(application.state.sessions.all()) == 1
    page.close()
    wait_until(lambda: not application.state.sessions.all())
    wait_until(lambda: udp_sockets() == before)


def test_a_browser_without_a_camera_says_so(application: Application) -> None:
    with browser_page() as page:
        page.goto(application.url)
        page.get_by_role("button", name="Start the camera").click()
        page.locator("#live .problem").filter(has_text="camera").wait_for()
        assert page.get_by_role("button", name="Start the camera").is_visible()


def test_a_finished_run_is_played_with_its_landmarks(application: Application, person: Path, page: Page) -> None:
    with person.open("rb") as file:
        upload = application.http.post("/api/uploads", files={"file": ("person.mp4", file)}).json()["id"]
    settings = {"input_stream": f"upload:{upload}", "landmarks_output": "l.jsonl", "labels_output": "labels.jsonl"}
    id = application.http.post("/api/streams", json=settings).json()["id"]
    assert application.http.get(f"/api/streams/{id}/view").status_code == 409
    wait_until(lambda: application.http.get(f"/api/streams/{id}").json()["state"] == "ended", seconds=60)
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    page.get_by_role("link", name="View").click()
    page.get_by_label("Run").select_option(id)
    run = page.frame_locator("iframe.view")
    run.get_by_role("button", name="Play").click()
    wait_until(lambda: run.locator("#now").inner_text().startswith("frame 39"), seconds=60)
    assert run.locator("video").evaluate("video => video.videoWidth") > 0
    # Something is drawn over the last frame.
    drawn = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((value) => value > 0)"
    assert run.locator("#overlay").evaluate(drawn)
    assert refused == []


def test_a_stream_is_started_watched_and_removed_by_the_form(
    application: Application, page: Page, person: Path
) -> None:
    page.get_by_role("link", name="Streams").click()
    page.locator("#streams input[type=file]").set_input_files(person)
    field = page.locator("input[name=input_stream]")
    wait_until(lambda: field.input_value().startswith("upload:"))
    field.fill("testsrc:320x240@15")
    page.locator("input[name=model_name]").fill("passThrough")
    page.locator("input[name=output_stream]").fill("out.mp4")
    page.locator("summary", has_text="events").click()
    page.locator("textarea[name=events]").fill('[[rule]]\nname = "late"\nwhen = "time > 0.2, 1"\n')
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("is not allowed").wait_for()
    page.locator("textarea[name=events]").fill('[[rule]]\nname = "late"\nwhen = "time > 0.2"\n')
    page.get_by_role("button", name="Start", exact=True).click()
    card = page.locator("article")
    card.get_by_text("running").wait_for()
    card.get_by_text("late: 1").wait_for()
    card.get_by_role("button", name="Look").click()
    wait_until(lambda: card.get_by_alt_text("the newest frame").evaluate("image => image.naturalWidth") == 320)
    card.get_by_role("button", name="Stop").click()
    card.get_by_role("heading", name="stopped").wait_for()
    assert card.get_by_role("link", name="out.mp4").is_visible()
    card.get_by_role("button", name="Remove").click()
    card.wait_for(state="detached")
    assert application.state.streams.all() == ()


def test_a_zone_and_a_line_are_drawn_on_a_streams_picture_beside_its_tracks(
    application: Application, person: Path
) -> None:
    with person.open("rb") as file:
        upload = application.http.post("/api/uploads", files={"file": ("person.mp4", file)}).json()["id"]
    settings = {
        "input_stream": f"upload:{upload}",
        "model_name": "holisticPersons",
        "output_stream": ["none"],
        "limit_frames": 10,
    }
    id = application.http.post("/api/streams", json=settings).json()["id"]
    wait_until(lambda: application.http.get(f"/api/streams/{id}").json()["state"] == "ended", seconds=60)
    tracks = application.http.get(f"/api/streams/{id}").json()["tracks"]
    assert [(track["track"], track["name"] is not None) for track in tracks] == [(1, True)]
    with browser_page() as page:
        page.goto(application.url)
        page.get_by_role("link", name="Streams").click()
        draw_rules(page, application, id, tracks[0]["name"])


def draw_rules(page: Page, application: Application, id: str, label: str) -> None:
    """A zone by the mouse, a line by the keyboard, on the stream's card; then another stream that has them."""
    card = page.locator("article")
    card.get_by_text(f"#1 {label}").wait_for()

    picture, surface = card.get_by_alt_text("the newest frame"), card.get_by_role("application")
    assert picture.is_hidden()
    card.get_by_role("button", name="Draw a zone").click()
    wait_until(lambda: picture.evaluate("image => image.naturalWidth") > 0)
    place = surface.bounding_box()
    assert place is not None
    assert place == picture.bounding_box()
    use = card.get_by_role("button", name="Use as a rule")
    for x, y in ((0.1, 0.2), (0.9, 0.25), (0.5, 0.8)):
        assert use.is_disabled()
        surface.click(position={"x": x * place["width"], "y": y * place["height"]})
    card.get_by_label("Name").fill('by the "door"')
    use.click()
    field = page.locator("textarea[name=events]")
    (zone,) = read_rules(field.input_value())
    assert isinstance(zone, StateRule)
    assert zone.name == 'by the "door"'
    assert zone.steps[0].condition.zone is not None
    np.testing.assert_allclose(zone.steps[0].condition.zone.points, [(0.1, 0.2), (0.9, 0.25), (0.5, 0.8)], atol=0.01)

    # The same by the keyboard alone.
    card.get_by_label("Draw").select_option("line")
    card.get_by_label("Name").fill("way")
    surface.focus()
    for key in (*["ArrowUp"] * 5, "Enter", "Enter", "Backspace", "Enter", *["ArrowLeft"] * 10, "Shift+ArrowDown", " "):
        page.keyboard.press(key)
    use.press("Enter")
    _, line = read_rules(field.input_value())
    assert isinstance(line, LineRule)
    np.testing.assert_allclose((line.line.start, line.line.end), [(0.5, 0.7), (0.3, 0.702)], atol=0.001)

    page.locator("input[name=input_stream]").fill("testsrc:320x240@15")
    page.locator("input[name=model_name]").fill("passThrough")
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator("article", has_text="running").wait_for()
    (newest,) = (each for each in application.http.get("/api/streams").json() if each["id"] != id)
    assert application.http.get(f"/api/streams/{newest['id']}").json()["settings"]["events"] == [
        field.input_value().strip()
    ]
