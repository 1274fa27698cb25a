"""The MLflow protocol against a real HTTP server; the real MLflow is in tests/e2e."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from stream_client.classify import UNKNOWN, DecisionOptions, FeatureSchema, MLflowClassifier, WindowSpec
from stream_client.classify.joints import JOINT
from stream_client.classify.mlflow_classifier import MLflowScorer, as_probabilities
from stream_client.errors import ConfigurationError, PredictionError

SCHEMA = FeatureSchema((), (), (), (), (), coordinates=("left_wrist",))
WINDOW = WindowSpec(length_ms=500, overlap_ms=250, rate=20, pooling=("mean",))
COLUMNS = WINDOW.names(SCHEMA.names)
LABELS = ("up", "down")


class Scoring:
    """A scoring server whose answer the test sets: a status and a body made from the request."""

    def __init__(self) -> None:
        self.answer: Callable[[Any], tuple[int, Any]] = lambda body: (200, {"predictions": [[0.9, 0.1]]})
        self.requests: list[Any] = []
        self.authorizations: list[str | None] = []
        scoring = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                scoring.requests.append((self.path, body))
                scoring.authorizations.append(self.headers["Authorization"])
                status, content = scoring.answer(body)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def scoring() -> Iterator[Scoring]:
    server = Scoring()
    yield server
    server.close()


def run(classifier: MLflowClassifier, start: int, count: int = 30) -> str:
    points = np.zeros((33, 3))
    points[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 1] = -100
    for index in range(start, start + count):
        classifier.run_keypoint_pipeline(points, index * 33_333)
    return classifier.current_classification


def classifier_of(server: Any, **options: Any) -> MLflowClassifier:
    return MLflowClassifier(
        server, LABELS, schema=SCHEMA, window=WINDOW, decision=DecisionOptions(smoothing=0), timeout=5, **options
    )


def test_windows_are_sent_to_invocations_and_probabilities_become_labels(scoring: Scoring) -> None:
    assert run(classifier_of(scoring.url), 0) == "up"
    path, body = scoring.requests[0]
    assert path == "/invocations"
    assert np.shape(body["inputs"]) == (1, len(COLUMNS))


def test_credentials_of_the_address_are_sent_and_shown_nowhere(scoring: Scoring) -> None:
    url = scoring.url.replace("//", "//bob:S3cr@")
    rows = np.zeros((1, 3), np.float32)
    MLflowScorer(url)(rows)
    assert scoring.authorizations == ["Basic Ym9iOlMzY3I="]
    scoring.answer = lambda body: (401, {})
    with pytest.raises(PredictionError, match="answered 401") as caught:
        MLflowScorer(url)(rows)
    assert "S3cr" not in str(caught.value)
    for bad in ("http://bob:S3cr@host/inv", "https://bob:S3cr@host:port/x", "https://bob:S3cr@host/x\r\nA: b"):
        with pytest.raises(ConfigurationError) as refused:
            MLflowScorer(bad)
        assert "S3cr" not in str(refused.value)


@pytest.mark.parametrize("body", [b'"' + b"e" * MLflowScorer.MAX_BYTES, b"[" * 200_000, b"9" * 100_000, b"\0"])
def test_an_answer_of_absurd_size_or_depth_is_a_failed_prediction(scoring: Scoring, body: bytes) -> None:
    scoring.answer = lambda _: (200, body)
    with pytest.raises(PredictionError):
        MLflowScorer(scoring.url)(np.zeros((1, 3), np.float32))


def test_an_input_example_with_columns_makes_requests_with_columns(scoring: Scoring) -> None:
    example = {"columns": list(COLUMNS), "data": [[0.0] * len(COLUMNS)]}
    run(classifier_of(scoring.url + "/invocations", input_example=example), 0)
    _, body = scoring.requests[0]
    assert body["dataframe_split"]["columns"] == list(COLUMNS)


@pytest.mark.parametrize("example", [[[0.0, 0.0]], {"columns": ["a", "b", "c"]}])
def test_an_input_example_of_other_features_is_refused(example: Any) -> None:
    with pytest.raises(ConfigurationError, match="the input example has"):
        classifier_of(lambda rows: rows, input_example=example)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (500, {"error_code": "INTERNAL_ERROR", "message": "up"}),
        (200, {"error": "up"}),
        (200, {"predictions": ["sideways"]}),
        (200, {"predictions": [[0.2, 0.3, 0.5]]}),
        (200, {"predictions": [[float("nan"), 1.0]]}),
        (200, {"predictions": []}),
        (200, ["up"]),
    ],
)
def test_a_failure_of_the_server_is_never_a_label(scoring: Scoring, status: int, content: Any) -> None:
    classifier = classifier_of(scoring.url)
    assert run(classifier, 0) == "up"
    scoring.answer = lambda body: (status, content)
    assert run(classifier, 30) == UNKNOWN
    assert classifier.errors > 0
    assert classifier.last_error


def test_a_server_that_ends_in_mid_run_leaves_the_label_unknown() -> None:
    scoring = Scoring()
    classifier = classifier_of(scoring.url)
    assert run(classifier, 0) == "up"
    scoring.close()
    assert run(classifier, 30) == UNKNOWN
    assert classifier.errors > 0


def test_a_server_that_hangs_is_given_up_after_the_timeout(scoring: Scoring) -> None:
    release = threading.Event()

    def hang(body: Any) -> tuple[int, Any]:
        release.wait(30)
        return 200, {"predictions": [[1.0, 0.0]]}

    scoring.answer = hang
    try:
        with pytest.raises(PredictionError, match="did not answer"):
            MLflowScorer(scoring.url, timeout=0.1)(np.zeros((1, 3), np.float32))
    finally:
        release.set()


@pytest.mark.parametrize("answer", [b"HTTP/1.0 200 OK" + b"o" * 1000, b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 1000])
def test_a_server_that_drips_its_answer_is_given_up_after_the_timeout(answer: bytes) -> None:
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            for byte in answer:
                connection.send(bytes([byte]))
                if stop.wait(0.05):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        scorer = MLflowScorer(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3)
        try:
            with pytest.raises(PredictionError, match=r"did not answer: .*timed out"):
                scorer(np.zeros((1, 3), np.float32))
        finally:
            stop.set()
            thread.join()


def test_a_predict_function_may_raise_anything() -> None:
    def predict(rows: Any) -> Any:
        raise ZeroDivisionError("oops")

    classifier = classifier_of(predict)
    assert run(classifier, 0) == UNKNOWN
    assert classifier.errors > 0
    assert classifier.last_error == "oops"


@pytest.mark.parametrize(
    "predictions", [["down"], [1], [True], [1.0], [[0.0, 1.0]], [{"down": 1.0}], np.array([[0.0, 1.0]])]
)
def test_labels_class_numbers_and_probabilities_are_understood(predictions: Any) -> None:
    assert as_probabilities(predictions, LABELS, 1).tolist() == [[0.0, 1.0]]


def test_frame_overlap_is_counted_in_samples() -> None:
    calls: list[Any] = []

    def predict(rows: Any) -> Any:
        calls.append(rows)
        return [[1.0, 0.0]]

    run(classifier_of(predict, frame_overlap=9), 0, 31)
    assert len(calls) == 20 - 10 + 1  # a window at each of the 20 samples, once 10 are there
    with pytest.raises(ConfigurationError, match="frame_overlap"):
        classifier_of(predict, frame_overlap=10)


def test_credentials_in_the_address_stay_out_of_messages() -> None:
    scorer = MLflowScorer("http://user:secret@127.0.0.1:9/")
    with pytest.raises(PredictionError) as caught:
        scorer(np.zeros((1, 3), np.float32))
    assert "secret" not in str(caught.value)
