"""The search of recordings by the API and in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_client.web.options import WebOptions
from tests.client.recording.test_find import labeled
from tests.client.recording.test_recording import record, recording
from tests.support.browser import browser_page
from tests.support.waiting import wait_until
from tests.support.web_application import Application, web_application


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds from noon on in three files of the stream door; somebody falls from 1.5 s to 2.5 s."""
    folder = tmp_path_factory.mktemp("recordings")
    record(recording(folder), labeled(("standing", 45), ("falling", 30), (None, 15)))
    (folder / "secret.txt").write_text("not for browsers")
    return folder


@pytest.fixture
def web(recordings: Path) -> Iterator[Application]:
    with web_application(options=WebOptions(port=0, recordings_dir=recordings)) as application:
        yield application


def test_a_label_is_found_and_its_file_comes_in_parts(web: Application, recordings: Path) -> None:
    answer = web.http.get("/api/recordings/find", params={"label": "falling", "since": "2026-03-03"})
    (found,) = answer.json()
    assert (found["stream"], found["kind"], found["name"], found["complete"]) == ("door", "label", "falling", True)
    assert found["seconds"] == pytest.approx(1, abs=0.05)
    assert (found["file"], found["offset"]) == ("door/2026-03-03/12-00-01.mp4", 0.5)
    file = recordings / found["file"]
    part = web.http.get("/api/recordings/file", params={"name": found["file"]}, headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert web.http.get("/api/recordings/file", params={"name": found["file"]}).content == file.read_bytes()
    assert len(web.http.get("/api/recordings/find").json()) == 3
    assert web.http.get("/api/recordings/find", params={"label": "falling", "until": "2026-03-02"}).json() == []


@pytest.mark.parametrize(
    "name", ["secret.txt", "../secret.mp4", "/etc/passwd", "door/index.sqlite", "door", "a\0.mp4", "x" * 999 + ".mp4"]
)
def test_only_videos_of_the_recordings_are_given_out(web: Application, name: str, recordings: Path) -> None:
    (recordings.parent / "secret.mp4").write_bytes(b"not a recording")
    assert web.http.get("/api/recordings/file", params={"name": name}).status_code in (404, 422)


@pytest.mark.parametrize(
    ("query", "status", "problem"),
    [
        ({"since": "yesterday"}, 400, "'yesterday' is no moment"),
        ({"limit": "100000"}, 422, "limit"),
        ({"label": "x" * 201}, 422, "label"),
    ],
)
def test_what_cannot_be_asked_is_refused(web: Application, query: dict[str, str], status: int, problem: str) -> None:
    answer = web.http.get("/api/recordings/find", params=query)
    assert answer.status_code == status
    assert problem in answer.text


def test_a_folder_without_recordings_is_said(tmp_path: Path) -> None:
    with web_application(options=WebOptions(port=0, media_dir=tmp_path)) as web:
        answer = web.http.get("/api/recordings/find")
    assert answer.status_code == 400
    assert "has no recordings" in answer.json()["detail"]


def test_a_stream_of_the_application_records_and_is_found(tmp_path: Path, pass_through_server: str) -> None:
    with web_application(pass_through_server, WebOptions(port=0, media_dir=tmp_path)) as web:
        pattern = "rec/{stream}/%Y-%m-%d/%H-%M-%S.mp4"
        settings = {"input_stream": "testsrc:160x120@30", "output_stream": [pattern], "segment": "1s"}
        answer = web.http.post("/api/streams", json={"model_name": "passThrough", **settings})
        assert answer.status_code == 201, answer.text

        def complete() -> list[str]:
            answer = web.http.get("/api/recordings/find", params={"stream": "testsrc"})
            found = answer.json() if answer.is_success else []  # the index is not there at once
            return [each["file"] for each in found if each["complete"]]

        (file, *_) = wait_until(complete)
        assert web.http.get("/api/recordings/file", params={"name": file}).content[4:8] == b"ftyp"


def test_the_page_finds_a_label_and_plays_its_moment(web: Application) -> None:
    with browser_page("--autoplay-policy=no-user-gesture-required") as page:
        page.goto(f"{web.url}/#recordings")
        page.fill("#recordings input[name=label]", "falling")
        page.click("#recordings form button")
        page.wait_for_selector("#recordings tbody tr")
        assert "12-00-01.mp4" in page.inner_text("#recordings tbody tr")
        page.click("#recordings tbody button")
        wait_until(lambda: page.eval_on_selector("#recordings video", "video => video.currentTime") >= 0.5)
        assert page.inner_text("#recordings .problem") == ""
        page.fill("#recordings input[name=since]", "yesterday")
        page.click("#recordings form button")
        wait_until(lambda: "no moment" in page.inner_text("#recordings .problem"))
        page.fill("#recordings input[name=since]", "2h")
        page.click("#recordings form button")
        wait_until(lambda: "Nothing" in page.inner_text("#recordings .problem"))
