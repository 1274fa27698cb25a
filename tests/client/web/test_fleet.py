"""What the API of a fleet refuses; tests/e2e has a fleet that runs."""

from pathlib import Path

import pytest

from stream_client.web.options import WebOptions
from tests.client.fleet.test_workers import SOURCE, written
from tests.support.video import write_video
from tests.support.web_application import web_application


def test_what_cannot_be_steered_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "streams.toml", "localhost:1", "one")
    with web_application(options=WebOptions(port=0, fleet=path)) as web:
        answer = web.http.post("/api/fleet/three/pause")
        assert answer.status_code == 400
        assert answer.json()["detail"] == "there is no stream 'three' in the file; there are one"
        assert web.http.post("/api/fleet/one/explode").status_code == 422
        assert web.http.get("/api/fleet/three/frame.jpg").status_code == 400


@pytest.mark.parametrize(
    ("settings", "option", "reason"),
    [
        ({"input_stream": SOURCE}, "name", "needs a name"),
        ({"name": "one", "input_stream": SOURCE}, "name", "a stream 'one' already"),
        ({"name": "b", "input_stream": "/etc/passwd"}, "input_stream", "outside of media_dir"),
        ({"name": "b", "input_stream": SOURCE, "labels_output": "../x.jsonl"}, "labels_output", "outside of media_dir"),
        ({"name": "b", "input_stream": SOURCE, "max_side": -5}, "max_side", "out of range"),
    ],
)
def test_a_stream_that_cannot_work_is_not_added(
    tmp_path: Path, settings: dict[str, object], option: str, reason: str
) -> None:
    path = written(tmp_path / "streams.toml", "localhost:1", "one")
    before = path.read_text()
    (tmp_path / "media").mkdir()
    with web_application(options=WebOptions(port=0, fleet=path, media_dir=tmp_path / "media")) as web:
        answer = web.http.post("/api/fleet", json=settings)
        assert (answer.status_code, answer.json()["option"]) == (400, option)
        assert reason in answer.json()["detail"]
        assert path.read_text() == before


def test_an_upload_that_goes_with_the_application_is_not_given_to_a_fleet(tmp_path: Path) -> None:
    path = written(tmp_path / "streams.toml", "localhost:1", "one")
    clip = write_video(tmp_path / "clip.mp4", frames=3)
    for data_dir, status in ((None, 400), (tmp_path / "data", 201)):
        with web_application(options=WebOptions(port=0, fleet=path, data_dir=data_dir)) as web:
            with clip.open("rb") as file:
                upload = web.http.post("/api/uploads", files={"file": ("clip.mp4", file)}).json()["input_stream"]
            answer = web.http.post("/api/fleet", json={"name": "b", "input_stream": upload})
            assert answer.status_code == status, answer.text


def test_without_a_fleet_the_option_is_named() -> None:
    with web_application() as web:
        answer = web.http.get("/api/fleet")
        assert (answer.status_code, answer.json()["option"]) == (400, "fleet")
