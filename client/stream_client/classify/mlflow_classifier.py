"""A classifier behind an MLflow scoring server, or any function that predicts."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.classify.decision import DecisionOptions, RepetitionCounter
from stream_client.classify.features import FeatureSchema
from stream_client.classify.models import Predict, TrainedModel
from stream_client.classify.pose_classifier import Landmarks, PoseClassifier
from stream_client.classify.windows import WindowSpec
from stream_client.errors import ConfigurationError, PredictionError
from stream_client.frames import Frame
from stream_client.util.http import open_within
from stream_client.util.redact import redact
from stream_client.util.urls import check_clear_text, check_url, split_credentials

PredictFunction = Callable[[npt.NDArray[np.float32]], Any]
"""Rows, float32 [rows, columns], to predictions: a label or probabilities for each row."""


class MLflowScorer:
    """Calls ``/invocations`` of an MLflow scoring server.

    ``url`` is the server's, with or without ``/invocations``; ``timeout`` is in seconds, to the end of its answer. With
    ``columns`` rows are sent as ``dataframe_split`` (models with a column signature), else as ``inputs``.
    """

    MAX_BYTES = 1 << 20
    """Of an answer, which has some numbers for each label. JSON takes a multiple of its size in memory."""

    def __init__(self, url: str, *, timeout: float = 2.0, columns: Sequence[str] | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"an MLflow server's address begins with http:// or https://, not {redact(url)}")
        check_url(url, "classifier")
        check_clear_text(url, "classifier")
        bare, self._credentials = split_credentials(url)
        self._url = bare.rstrip("/").removesuffix("/invocations") + "/invocations"
        self._timeout = timeout
        self._columns = list(columns) if columns else None

    def __call__(self, rows: npt.NDArray[np.float32]) -> Any:
        """The server's ``predictions``; raises :class:`PredictionError`."""
        values = rows.tolist()
        return self.invoke(
            {"dataframe_split": {"columns": self._columns, "data": values}} if self._columns else {"inputs": values}
        )

    def invoke(self, body: Mapping[str, object]) -> Any:
        """The server's ``predictions`` for a body of one's own; raises :class:`PredictionError`."""
        request = urllib.request.Request(
            self._url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        if self._credentials is not None:  # not for the server of a redirect
            request.add_unredirected_header("Authorization", self._credentials.basic)
        where = redact(self._url)
        try:
            with open_within(request, self._timeout) as response:
                data = response.read(self.MAX_BYTES + 1)
            if len(data) > self.MAX_BYTES:
                raise PredictionError(f"{where} answered with more than {self.MAX_BYTES} bytes")
            answer = json.loads(data)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(300).decode(errors="replace")
            raise PredictionError(f"{where} answered {error.code}: {text}") from error
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            raise PredictionError(f"{where} did not answer: {error}") from error
        if not isinstance(answer, Mapping) or "predictions" not in answer:
            raise PredictionError(f"{where} answered without predictions: {str(answer)[:100]}")
        return answer["predictions"]


class MLflowClassifier(PoseClassifier):
    """:class:`PoseClassifier` over an MLflow scoring server, or over ``predict_fn``.

    ``labels`` name the classes in the order of the probabilities, or of the class numbers. ``input_example``
    is what MLflow keeps with a model: a row, or columns and a row; its columns have to be those of the schema,
    and its width decides how many there are. ``frame_overlap`` is how many samples two windows share (else
    ``window`` says so). A server that fails gives ``unknown`` and is counted in ``errors``; it never gives
    a label.
    """

    def __init__(
        self,
        server: str | PredictFunction,
        labels: Sequence[str],
        *,
        schema: FeatureSchema | None = None,
        window: WindowSpec | None = None,
        frame_overlap: int | None = None,
        input_example: Any = None,
        timeout: float = 2.0,
        landmarks: Callable[[Frame], Landmarks | None] | None = None,
        decision: DecisionOptions | None = None,
        counter: RepetitionCounter | None = None,
    ) -> None:
        schema = schema or FeatureSchema()
        window = window or WindowSpec()
        if frame_overlap is not None:
            window = _with_overlap(window, frame_overlap)
        columns = _check_example(input_example, window.names(schema.names))
        predict = MLflowScorer(server, timeout=timeout, columns=columns) if isinstance(server, str) else server
        names = tuple(labels)
        model = TrainedModel.from_callable(_checked(predict, names), names, schema, window)
        super().__init__(model, landmarks=landmarks, decision=decision, counter=counter)


def _checked(predict: PredictFunction, labels: Sequence[str]) -> Predict:
    """``predict`` with its answer as probabilities, and whatever it raises as a :class:`PredictionError`."""

    def probabilities(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        try:
            return as_probabilities(predict(rows), labels, len(rows))
        except PredictionError:
            raise
        except Exception as error:  # predict may raise anything; none of it is a label
            raise PredictionError(str(error)) from error

    return probabilities


def as_probabilities(predictions: Any, labels: Sequence[str], rows: int) -> npt.NDArray[np.float64]:
    """[rows, labels] of what a model predicted: probabilities, mappings of them, labels or class numbers.

    Raises :class:`PredictionError` for anything else: an odd answer is never taken for a label.
    """
    items = predictions.tolist() if hasattr(predictions, "tolist") else predictions
    if not isinstance(items, list | tuple) or len(items) != rows:
        raise PredictionError(f"{rows} predictions are expected, not {str(items)[:80]}")
    table = np.zeros((rows, len(labels)))
    for row, item in enumerate(items):
        if isinstance(item, Mapping):
            if set(item) - set(labels):
                raise PredictionError(f"a prediction names labels that are not known: {str(dict(item))[:80]}")
            table[row] = [float(item.get(name, 0.0)) for name in labels]
        elif isinstance(item, list | tuple) and len(item) == len(labels):
            table[row] = [float(value) for value in item]
        elif isinstance(item, str) and item in labels:
            table[row, list(labels).index(item)] = 1.0
        elif isinstance(item, bool | int | float) and float(item).is_integer() and 0 <= item < len(labels):
            table[row, int(item)] = 1.0
        else:
            raise PredictionError(f"a prediction that is no label and no probabilities: {str(item)[:80]}")
    if not np.isfinite(table).all() or (table < 0).any() or (table > 1 + 1e-6).any():
        raise PredictionError("predicted probabilities are not between 0 and 1")
    return table


def _with_overlap(window: WindowSpec, samples: int) -> WindowSpec:
    from dataclasses import replace

    if not 0 <= samples < window.steps:
        raise ConfigurationError(f"frame_overlap is from 0 to {window.steps - 1} samples, not {samples}")
    return replace(window, overlap_ms=1000 * samples / window.rate)


def _check_example(example: Any, names: tuple[str, ...]) -> list[str] | None:
    """The columns to send, or ``None`` to send plain rows."""
    if example is None:
        return None
    if isinstance(example, Mapping) and "columns" in example:
        columns = [str(column) for column in example["columns"]]
        if columns != list(names):
            odd = next((f"{a!r} against {b!r}" for a, b in zip(columns, names, strict=False) if a != b), "their number")
            raise ConfigurationError(f"the input example has other columns than the features: {odd} (example first)")
        return columns
    if hasattr(example, "columns"):  # a pandas frame
        return _check_example({"columns": list(example.columns)}, names)
    width = np.atleast_2d(np.asarray(example)).shape[1]
    if width != len(names):
        raise ConfigurationError(f"the input example has {width} columns, the features {len(names)}")
    return None
