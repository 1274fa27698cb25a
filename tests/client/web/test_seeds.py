"""The interfaces of other programs: StreamPoseML's events, and JPEG frames over a websocket."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
import socketio
from PIL import Image as PillowImage
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from stream_client.web.options import WebOptions
from tests.support.in_thread import InThread
from tests.support.video import picture
from tests.support.waiting import wait_until
from tests.support.web_application import Application, web_application

POSE = {"landmarks": [[{"x": 0.3 + index / 100, "y": 0.2 + index / 50, "z": 0.0} for index in range(33)]]}
COLUMNS = ["angle_left_elbow", "angle_right_knee"]


class ScoringServer(InThread, ThreadingHTTPServer):
    """Speaks MLflow's protocol: label 1 with its probability, for rows of two columns."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = self.path == "/invocations" and list(body["inputs"]) == COLUMNS
        answer = json.dumps({"predictions": [[0.25, 0.75]]}).encode()
        self.send_response(200 if right else 400)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(pass_through_server: str) -> Iterator[Application]:
    with web_application(pass_through_server, WebOptions(port=0, max_sessions=2)) as application:
        yield application


def set_up(web: Application, **changes: Any) -> Any:
    settings = {"frame_window": 10, "frame_overlap": 5, "input_example": {"columns": COLUMNS}, **changes}
    return web.http.post("/api/model/setup", json=settings)


@pytest.mark.parametrize("columns", [5, "nose_x", {"nose": 1}, [None]])
def test_columns_that_are_no_list_of_names_are_refused(web: Application, columns: object) -> None:
    answer = set_up(web, input_example={"columns": columns})
    assert (answer.status_code, "input_example" in answer.json()["message"]) == (400, True)


def test_keypoints_are_answered_as_the_program_of_streamposeml_answers_them(web: Application) -> None:
    with ScoringServer() as scoring, socketio.SimpleClient() as one:
        one.connect(web.url)
        one.emit("ping_heartbeat")
        event, beat = one.receive(10)
        assert (event, beat["server_health"]) == ("pong_heartbeat", "ok")
        one.emit("keypoints", POSE)
        assert one.receive(10) == ["frame_result", {"error": "No model configured"}]
        answer = set_up(web, scoring_server=scoring.url)
        assert (answer.status_code, answer.json()) == (200, {"status": "success", "message": "Model configured"})
        answers = []
        for _ in range(15):
            one.emit("keypoints", POSE)
            answers.append(one.receive(10)[1])
        assert answers[0] == {"status": "processing"}
        results = [each for each in answers if "classification" in each]
        assert 1 <= len(results) <= 3
        assert (results[0]["classification"], results[0]["confidence"]) == (True, 0.75)
        assert results[0]["prediction_time"] > 0
        with socketio.SimpleClient() as other:  # another person's windows are their own
            other.connect(web.url, transports=["websocket"])
            other.emit("keypoints", json.dumps(POSE))
            assert other.receive(10)[1] == {"status": "processing"}
            with socketio.SimpleClient() as third, pytest.raises(socketio.exceptions.ConnectionError):
                third.connect(web.url)
    wait_until(lambda: not web.state.sessions.all())


def test_errors_of_keypoints_and_of_the_scoring_server_are_events(web: Application) -> None:
    assert set_up(web, scoring_server="http://127.0.0.1:1").status_code == 200
    with socketio.SimpleClient() as client:
        client.connect(web.url)
        for payload in ({}, "no JSON", None, 7, {"landmarks": [[{"x": "a"}]]}, {"joint_positions": {"nose": 1}}):
            client.emit("keypoints", payload)
            assert "error" in client.receive(10)[1]
        for _ in range(10):
            client.emit("keypoints", POSE)
            last = client.receive(10)[1]
        assert "did not answer" in last["error"]


def test_a_setup_that_cannot_work_says_why(web: Application) -> None:
    answer = set_up(web, frame_overlap=10)
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert "frame_overlap" in answer.json()["message"]
    assert set_up(web, input_example={"columns": ["nothing"]}).status_code == 400
    assert set_up(web, scoring_server="file:///etc/passwd").status_code == 400


def jpeg(index: int, width: int = 320, height: int = 180) -> bytes:
    file = io.BytesIO()
    PillowImage.fromarray(picture(index, width, height)).save(file, "JPEG")
    return file.getvalue()


@contextmanager
def live(web: Application, query: str = "model_name=passThrough") -> Iterator[ClientConnection]:
    with connect(f"{web.url.replace('http', 'ws')}/ws/live_signs?{query}") as websocket:
        yield websocket


def test_each_jpeg_is_answered_under_its_number(web: Application) -> None:
    with live(web) as websocket:
        for index in range(20):
            websocket.send(jpeg(index))
            answer = json.loads(websocket.recv(20))
            assert answer["index"] == index
            assert answer["latency_ms"] > 0
            assert answer["landmarks"] is None
        websocket.send(b"no JPEG")
        assert "JPEG" in json.loads(websocket.recv(20))["error"]
        websocket.send("text")
        assert "JPEG" in json.loads(websocket.recv(20))["error"]
        websocket.send(jpeg(20))
        assert json.loads(websocket.recv(20))["index"] == 20
        [session] = web.http.get("/api/sessions").json()
        assert session["counts"] == {"received": 21, "answered": 21, "refused": 2}


def test_a_bomb_is_refused_by_its_pixels_before_it_is_decoded(web: Application) -> None:
    file = io.BytesIO()
    PillowImage.fromarray(np.zeros((9000, 9000), np.uint8)).save(file, "PNG")
    with live(web) as websocket:
        websocket.send(file.getvalue())
        assert "9000x9000 pixels is too large" in json.loads(websocket.recv(20))["error"]
        websocket.send(jpeg(0))
        assert json.loads(websocket.recv(20))["index"] == 0


def flood(websocket: ClientConnection) -> None:
    for _ in range(500):
        websocket.send(b"")
    while True:
        websocket.recv(20)


def test_too_many_messages_and_too_many_sessions_end_with_a_reason(web: Application) -> None:
    with live(web) as one, live(web):
        wait_until(lambda: len(web.state.sessions.all()) == 2)
        with live(web) as third:
            assert "no more may" in json.loads(third.recv(20))["error"]
            with pytest.raises(ConnectionClosed):
                third.recv(20)
        with pytest.raises(ConnectionClosed) as closed:
            flood(one)
        assert closed.value.rcvd is not None
        assert "messages a second" in closed.value.rcvd.reason


def test_a_closed_tab_ends_its_pipeline(web: Application) -> None:
    with live(web) as websocket:
        websocket.send(jpeg(0))
        websocket.recv(20)
        websocket.socket.close()  # no goodbye
    wait_until(lambda: not web.state.sessions.all())
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "supervisor"])


def test_a_model_server_that_is_away_is_said(web: Application) -> None:
    with live(web, "model_name=nothing") as websocket:
        websocket.send(jpeg(0))
        assert "no model or graph named 'nothing'" in json.loads(websocket.recv(20))["error"]
