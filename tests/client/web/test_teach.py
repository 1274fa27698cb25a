"""Classes that are taught, over the API: clips come from a live session, a training runs in its own process."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Frame, Landmarks, Result
from stream_client.web.options import WebOptions
from stream_client.web.teach.clips import MOST_FRAMES, Clip, Clips
from tests.support.kserve_server import ScriptedServer
from tests.support.video import write_video
from tests.support.waiting import wait_until
from tests.support.web_application import Application, web_application


def result(index: int, *, raised: bool, seen: bool = True) -> Result:
    """A person whose left hand is up or down, moving a little."""
    image = np.zeros((48, 64, 3), np.uint8)
    pose = np.tile(np.array([0.5, 0.5, 0, 1, 1], np.float32), (33, 1))
    pose[:, 1] += np.linspace(-0.3, 0.3, 33) + 0.01 * np.sin(index / 3)
    pose[11:13, 0], pose[23:25, 0] = (0.6, 0.4), (0.58, 0.42)
    pose[15, 1] = 0.1 if raised else 0.7
    landmarks = Landmarks(pose, np.ascontiguousarray(pose[:, :3] - 0.5), (64, 48)) if seen else None
    return Result(Frame(index, 40_000 * index, image, 0.0), image, time=index / 25, landmarks=landmarks)


def shown(clips: Clips, label: str, *, raised: bool, frames: int = 60) -> Clip:
    recorder = clips.record(label)
    for index in range(frames):
        recorder.add(result(index, raised=raised))
    clip = recorder.finish()
    assert clip is not None
    return clip


def test_clips_are_kept_as_landmarks_and_found_again(tmp_path: Path) -> None:
    clips = Clips(tmp_path)
    clip = shown(clips, "hand up", raised=True, frames=30)
    assert (clip.label, clip.frames, clip.total) == ("hand up", 30, 30)
    rows = [json.loads(line) for line in (tmp_path / "hand up" / f"{clip.id}.jsonl").read_text().splitlines()]
    assert len(rows) == 30
    assert len(rows[0]["pose"]) == 33
    assert Clips(tmp_path).all() == [clip]
    assert clips.delete(clip.id)
    assert not clips.delete(clip.id)
    assert not (tmp_path / "hand up").exists()


def test_a_clip_without_a_person_is_not_kept(tmp_path: Path) -> None:
    clips = Clips(tmp_path)
    recorder = clips.record("nobody")
    recorder.add(result(0, raised=True, seen=False))
    assert recorder.finish() is None
    assert clips.all() == []
    assert clips.record("nothing").finish() is None
    assert list(tmp_path.iterdir()) == []  # a class without a clip could not be trained


def test_a_clip_that_cannot_be_written_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    clips = Clips(tmp_path)
    (tmp_path / "up").write_text("no folder")
    recorder = clips.record("up")
    for index in range(3):
        recorder.add(result(index, raised=True))  # the live picture goes on
    with pytest.raises(SinkError, match=r"the clip is not kept: .*/up: File exists: make room"):
        recorder.finish()
    assert clips.all() == []


def test_a_class_goes_with_its_last_clip_and_another_user_may_show_it_again(tmp_path: Path) -> None:
    clips = Clips(tmp_path)
    first = shown(clips, "up", raised=True, frames=3)
    second = clips.record("up")
    second.add(result(0, raised=True))
    assert clips.delete(first.id)
    assert second.finish() is not None
    (clip,) = clips.all()
    assert clips.delete(clip.id)
    assert list(tmp_path.iterdir()) == []
    assert shown(clips, "up", raised=True, frames=3) in clips.all()


def test_a_clip_has_a_longest_length(tmp_path: Path) -> None:
    recorder = Clips(tmp_path).record("long")
    one = result(0, raised=True)
    for _ in range(MOST_FRAMES + 10):
        recorder.add(one)
    clip = recorder.finish()
    assert clip is not None
    assert clip.total == MOST_FRAMES


@pytest.mark.parametrize("label", ["", "../up", "a/b", ".hidden", "x" * 41, "new\nline"])
def test_a_name_that_is_no_folder_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(ConfigurationError, match="name of a class"):
        Clips(tmp_path).record(label)


@pytest.mark.timeout(180)  # it trains
def test_two_classes_become_a_classifier(tmp_path: Path) -> None:
    clips = Clips(tmp_path / "shown")
    for label, raised in (("up", True), ("down", False)):
        for _ in range(3):
            shown(clips, label, raised=raised)
    with web_application(options=WebOptions(port=0, data_dir=tmp_path)) as application:
        http = application.http
        assert {clip["label"] for clip in state_of(http)["clips"]} == {"up", "down"}
        assert http.get("/api/teach/model").status_code == 404
        refused = http.post("/api/teach/training", json={"name": "../mine"})
        assert (refused.status_code, "letters, digits" in refused.json()["detail"]) == (400, True)
        assert http.post("/api/teach/training", json={"name": "mine"}).status_code == 202
        assert http.post("/api/teach/training", json={"name": "other"}).status_code == 400
        wait_until(lambda: state_of(http)["training"] != "running", seconds=120)
        state = state_of(http)
        assert state["training"] == "done", state["text"]
        assert "recall" in state["text"]
        assert [each["name"] for each in http.get("/api/classifiers").json()] == ["mine"]
        assert http.get("/api/teach/model").content
        assert "attachment" in http.get("/api/teach/report").headers["content-disposition"]


def state_of(http: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = http.get("/api/teach").json()
    return answer


def test_one_class_is_not_enough_and_a_clip_can_be_deleted(tmp_path: Path) -> None:
    clip = shown(Clips(tmp_path / "shown"), "up", raised=True, frames=5)
    with web_application(options=WebOptions(port=0, data_dir=tmp_path)) as application:
        refused = application.http.post("/api/teach/training", json={"name": "mine"})
        assert "two classes are the fewest" in refused.json()["detail"]
        assert application.http.delete(f"/api/teach/clips/{clip.id}").status_code == 204
        assert application.http.delete(f"/api/teach/clips/{clip.id}").status_code == 404


def test_a_file_that_becomes_no_clip_says_why_and_is_deleted(tmp_path: Path, server: ScriptedServer) -> None:
    with web_application(server.address) as application:
        http, upload = application.http, uploaded(application, tmp_path)
        for label, id, reason in (("up", "0" * 16, "no such upload"), ("../up", upload, "name of a class")):
            answer = http.post("/api/teach/clips", json={"label": label, "upload": id})
            assert (answer.status_code, reason in answer.json()["detail"]) == (400, True)
        assert http.post("/api/teach/clips", json={"label": "up", "upload": upload}).status_code == 202
        wait_until(lambda: not state_of(http)["reading"])
        assert "no model or graph named 'holisticLandmarks'" in state_of(http)["problem"]
        assert (state_of(http)["clips"], http.get("/api/uploads").json()) == ([], [])


def test_the_end_of_the_application_ends_the_reading_of_a_file(tmp_path: Path) -> None:
    with web_application() as application:
        upload = uploaded(application, tmp_path)
        assert application.http.post("/api/teach/clips", json={"label": "up", "upload": upload}).status_code == 202
        second = application.http.post("/api/teach/clips", json={"label": "up", "upload": upload})
        assert (second.status_code, "another file" in second.json()["detail"]) == (400, True)
    wait_until(lambda: not application.state.reader.reads)  # a call that connects is bounded, not interrupted


def uploaded(application: Application, tmp_path: Path) -> str:
    with write_video(tmp_path / "clip.mp4", frames=3).open("rb") as file:
        return str(application.http.post("/api/uploads", files={"file": ("clip.mp4", file)}).json()["id"])


def test_the_end_of_the_application_ends_a_training(tmp_path: Path) -> None:
    clips = Clips(tmp_path / "shown")
    shown(clips, "up", raised=True)
    shown(clips, "down", raised=False)
    with web_application(options=WebOptions(port=0, data_dir=tmp_path)) as application:
        application.http.post("/api/teach/training", json={"name": "mine"})
        process = application.state.trainer._process
        assert process is not None
    assert process.poll() is not None
