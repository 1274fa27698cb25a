"""Streams by the API: started, watched, controlled, deleted."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from stream_client.frames import Detections
from stream_client.web.options import WebOptions
from stream_client.web.streams.journal import TrackRow, tracks_of
from tests.support.show import result
from tests.support.video import write_video
from tests.support.waiting import wait_until
from tests.support.web_application import Application, web_application


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A folder with a clip of 30 frames."""
    folder = tmp_path / "media"
    folder.mkdir()
    write_video(folder / "clip.mp4", frames=30)
    return folder


@pytest.fixture
def web(pass_through_server: str, media: Path) -> Iterator[Application]:
    options = WebOptions(port=0, media_dir=media, max_streams=3)
    with web_application(pass_through_server, options) as application:
        yield application


def start(web: Application, **settings: Any) -> str:
    answer = web.http.post("/api/streams", json={"model_name": "passThrough", **settings})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def state(web: Application, id: str) -> dict[str, Any]:
    answer = web.http.get(f"/api/streams/{id}")
    assert answer.status_code == 200
    return dict(answer.json())


def until(web: Application, id: str, *states: str) -> dict[str, Any]:
    def reached() -> dict[str, Any]:
        now = state(web, id)
        return now if now["state"] in states else {}

    return wait_until(reached)


def test_a_run_without_landmarks_cannot_be_played_and_says_what_to_do(web: Application) -> None:
    id = start(web, input_stream="clip.mp4")
    until(web, id, "ended")
    answer = web.http.get(f"/api/streams/{id}/view")
    assert answer.status_code == 400
    assert answer.json()["option"] == "landmarks_output"
    assert "start it again with landmarks_output" in answer.json()["detail"]


def test_a_file_runs_to_its_end_and_its_results_can_be_downloaded(web: Application, tmp_path: Path) -> None:
    id = start(web, input_stream="clip.mp4", output_stream=["out.mp4"], labels_output="labels.jsonl", name="mine")
    now = until(web, id, "ended", "failed")
    assert (now["state"], now["problem"], now["name"]) == ("ended", "", "mine")
    assert (now["ledger"]["entered"], now["ledger"]["delivered"], now["ledger"]["pending"]) == (30, 30, 0)
    assert now["source"] == {"width": 64, "height": 48, "frame_rate": 30.0, "live": False, "frame_count": 30}
    assert 0 < now["latency"]["p50"] <= now["latency"]["p95"]
    assert {file["name"] for file in now["results"]} == {"out.mp4", "labels.jsonl"}
    rows = [json.loads(line) for line in web.http.get(f"/api/streams/{id}/labels").text.splitlines()]
    assert [row["frame"] for row in rows] == list(range(30))
    assert web.http.get(f"/api/streams/{id}/results/labels.jsonl").text.count("\n") == 30
    assert web.http.get(f"/api/streams/{id}/results/out.mp4").content[4:8] == b"ftyp"
    assert web.http.delete(f"/api/streams/{id}").status_code == 204
    assert web.http.get(f"/api/streams/{id}").status_code == 404
    assert not list(web.state.folders.results.iterdir())


LATE = '[[rule]]\nname = "late"\nwhen = "frame >= 5"\n'
"""A rule as somebody writes it into the form."""


def test_rules_of_the_form_find_events_whose_pictures_can_be_downloaded(web: Application) -> None:
    id = start(web, input_stream="clip.mp4", events=[LATE], clip_seconds="0")
    now = until(web, id, "ended", "failed")
    assert (now["problem"], now["events"]) == ("", {"late": 1})
    names = {file["name"] for file in now["results"]}
    assert "events.jsonl" in names
    begin, end = map(json.loads, web.http.get(f"/api/streams/{id}/results/events.jsonl").text.splitlines())
    assert (begin["frame"], begin["rule"], begin["phase"], end["phase"]) == (5, "late", "begin", "end")
    picture = next(name for name in names if name.endswith(".jpg"))
    assert web.http.get(f"/api/streams/{id}/results/{picture}").content.startswith(b"\xff\xd8\xff")


def test_tracks_are_by_number_and_bounded() -> None:
    count = 40
    numbers = np.arange(count)[::-1].astype(np.int64)
    numbers[3] = -1  # no track yet
    found = Detections(
        np.zeros((count, 4), np.float32), np.full(count, 0.5, np.float32), np.zeros(count, np.int64), ("cat",), numbers
    )
    seen = replace(result(np.zeros((8, 8, 3), np.uint8)), detections=found)
    tracks = tracks_of(seen)
    assert [track.number for track in tracks] == list(range(32))
    assert tracks[0] == TrackRow(0, "cat", 0.5)
    assert tracks_of(replace(seen, detections=replace(found, track_ids=None))) == ()


def test_a_live_stream_is_paused_resumed_stopped_and_restarted(web: Application) -> None:
    id = start(web, input_stream="testsrc:320x180@100", output_stream=["none"])
    until(web, id, "running")
    assert web.http.post(f"/api/streams/{id}/resume").status_code == 409
    assert web.http.post(f"/api/streams/{id}/pause").json()["state"] == "paused"
    dropped = wait_until(lambda: state(web, id)["ledger"]["dropped"].get("paused"))
    assert web.http.post(f"/api/streams/{id}/resume").json()["state"] == "running"
    assert web.http.post(f"/api/streams/{id}/stop").json()["state"] == "stopped"
    stopped = state(web, id)
    assert stopped["ledger"]["dropped"]["paused"] >= dropped
    assert stopped["ledger"]["pending"] == 0
    assert stopped["problem"] == ""
    assert web.http.post(f"/api/streams/{id}/restart").status_code == 200
    again = until(web, id, "running")
    assert "restart" in [line["text"] for line in again["log"]]
    assert "paused" not in again["ledger"]["dropped"]


def test_results_come_as_server_sent_events_and_end_with_the_run(web: Application) -> None:
    id = start(web, input_stream="testsrc:320x180@100", limit_frames=100)
    with web.http.stream("GET", f"/api/streams/{id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join(answer.iter_text())
    events = [dict(line.split(": ", 1) for line in event.splitlines()) for event in text.strip().split("\n\n")]
    frames = [json.loads(event["data"])["frame"] for event in events if event["event"] == "result"]
    assert frames == sorted(set(frames))
    assert len(frames) > 10
    assert json.loads(events[-1]["data"])["state"] == "ended"


def test_the_live_view_shows_frames_and_ends_with_its_reader(web: Application) -> None:
    id = start(web, input_stream="testsrc:2000x1000@20")
    until(web, id, "running")
    with web.http.stream("GET", f"/api/streams/{id}/mjpeg") as answer:
        assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        seen = b""
        for chunk in answer.iter_raw():
            seen += chunk
            if seen.count(b"\r\n--frame\r\n") >= 3:
                break
    assert seen.count(b"\xff\xd8\xff") >= 3
    stream = web.state.streams.get(id)
    assert stream is not None
    wait_until(lambda: not stream.run.preview.followers)
    assert web.http.get(f"/api/streams/{id}/frame.jpg").content.startswith(b"\xff\xd8\xff")


def test_what_is_wrong_is_said_in_one_line(web: Application, media: Path) -> None:
    (media / "text.mp4").write_text("no video")
    (media / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n")
    for settings, option in (
        ({"input_stream": "nothing.mp4"}, "input_stream"),
        ({"input_stream": "text.mp4"}, "input_stream"),
        ({"input_stream": "list.mp4"}, "input_stream"),
        ({"input_stream": "../media2/x.mp4"}, "input_stream"),
        ({"input_stream": "/etc/passwd"}, "input_stream"),
        ({"input_stream": "file:///etc/passwd"}, "input_stream"),
        ({"input_stream": "gopher://host/x"}, "input_stream"),
        ({"input_stream": "upload:../../etc/passwd"}, "input_stream"),
        ({"input_stream": "testsrc", "output_stream": ["screen"]}, "output_stream"),
        ({"input_stream": "testsrc", "output_stream": ["/tmp/x.mp4"]}, "output_stream"),
        ({"input_stream": "testsrc", "labels_output": "../x.jsonl"}, "labels_output"),
        ({"input_stream": "testsrc", "labels_output": "x.py"}, "labels_output"),
        ({"input_stream": "testsrc", "classifier": "/etc"}, "classifier"),
        ({"input_stream": "testsrc", "max_inflight": 0}, "max_inflight"),
        ({"input_stream": "testsrc:1x1"}, "source"),
        ({"input_stream": "testsrc", "events": ["/etc/passwd"]}, "events"),
        ({"input_stream": "testsrc", "events": ["[[rule]]"]}, "events"),
        ({"input_stream": "testsrc", "events": ["name = 'x'\nwhen = 'true'"]}, "events"),
        ({"input_stream": "testsrc", "events": ["fall"], "events_dir": "../x"}, "events_dir"),
        ({"input_stream": "testsrc", "events": ["fall"], "events_output": ["-"]}, "events_output"),
        ({"input_stream": "testsrc", "events": ["fall"], "events_output": ["file:///x.jsonl"]}, "events_output"),
        ({"input_stream": "testsrc", "labels_output": "none"}, "labels_output"),
    ):
        answer = web.http.post("/api/streams", json=settings)
        assert answer.status_code == 400, settings
        assert answer.json()["option"] == option, answer.text
        assert "\n" not in answer.json()["detail"]
    assert web.http.post("/api/streams", json={"input_stream": "testsrc", "inptu": 1}).status_code == 422
    assert web.http.post("/api/streams", json={"input_stream": "testsrc", "allow_pickle": True}).status_code == 422
    assert web.http.post("/api/streams", json={"input_stream": "testsrc", "grpc_address": "a:1"}).status_code == 422


def test_no_more_streams_run_than_may(web: Application) -> None:
    ids = [start(web, input_stream="testsrc:320x180@5") for _ in range(3)]
    answer = web.http.post("/api/streams", json={"input_stream": "testsrc", "model_name": "passThrough"})
    assert answer.status_code == 429
    assert "stop one" in answer.json()["detail"]
    web.http.post(f"/api/streams/{ids[0]}/stop")
    start(web, input_stream="testsrc:320x180@5")
    assert web.http.post(f"/api/streams/{ids[0]}/restart").status_code == 429
    assert [each["id"] for each in web.http.get("/api/streams").json()] == ["s1", "s2", "s3", "s4"]


def test_no_credential_is_shown(web: Application) -> None:
    id = start(web, input_stream="rtsp://me:secret@127.0.0.1:1/x?token=secret")
    wait_until(lambda: state(web, id)["log"])
    assert "secret" not in web.http.get(f"/api/streams/{id}").text
    assert "secret" not in web.http.get("/api/streams").text
    assert "secret" not in web.http.get("/metrics").text


def test_an_upload_is_a_source_and_anything_but_a_video_is_refused(web: Application, media: Path) -> None:
    with (media / "clip.mp4").open("rb") as file:
        answer = web.http.post("/api/uploads", files={"file": ("my clip.mp4", file)})
    assert answer.status_code == 201
    upload = answer.json()
    assert upload["name"] == "my_clip.mp4"
    id = start(web, input_stream=upload["input_stream"])
    assert until(web, id, "ended", "failed")["ledger"]["delivered"] == 30
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    for content in (b"", b"text", playlist, b"ffconcat version 1.0\nfile x.mp4\n"):
        assert web.http.post("/api/uploads", files={"file": ("../../x.mp4", content)}).status_code == 400
    assert [each["id"] for each in web.http.get("/api/uploads").json()] == [upload["id"]]
    assert web.http.delete(f"/api/uploads/{upload['id']}").status_code == 204
    assert list(web.state.folders.uploads.iterdir()) == []


def test_the_form_has_help_range_and_default_of_each_setting(web: Application) -> None:
    properties = web.http.get("/api/streams/form").json()["properties"]
    quality = properties["quality"]
    assert (quality["group"], quality["least"], quality["most"], quality["shown_default"]) == ("outputs", 0, 51, 20)
    assert properties["latency_target"]["unit"] == "ms"
    assert "description" in properties["input_stream"]
    assert not {"grpc_address", "allow_pickle", "config_path"} & set(properties)


def test_metrics_tell_streams_of_one_source_apart(web: Application) -> None:
    for _ in range(2):
        until(web, start(web, input_stream="clip.mp4"), "ended")
    text = web.http.get("/metrics").text
    assert (
        'stream_client_frames_total{model="passThrough",outcome="delivered",reason="",stream="s1 clip.mp4"} 30.0'
        in text
    )
    assert 'stream="s2 clip.mp4"' in text


def test_the_end_of_the_application_ends_its_streams_and_readers(pass_through_server: str) -> None:
    with web_application(pass_through_server, WebOptions(port=0)) as web:
        id = start(web, input_stream="testsrc:320x180@50")
        until(web, id, "running")
        began, ended = threading.Event(), threading.Event()

        def read() -> None:
            with httpx.stream("GET", f"{web.url}/api/streams/{id}/events", timeout=20) as answer:
                for _ in answer.iter_raw():
                    began.set()
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert began.wait(30)
    reader.join(30)
    assert ended.is_set()
