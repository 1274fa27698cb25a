"""Trained models: rows of features in, probabilities out.

A model directory is laid out for OVMS: a folder for each version, ``1/NAME.onnx``, with ``labels.txt`` and
``schema.json`` beside the model, or one of each beside all folders. The ONNX file's input is called
``features_HASH``, with the first 16 digits of the schema's digest: so a model and a schema that do not belong together
are found out.
"""

import json
import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kserve_wire.openvino_core import new_core
from stream_client.classify.decision import Thresholds
from stream_client.classify.features import FeatureSchema
from stream_client.classify.raw_pose import POSE_INPUT, RawPose
from stream_client.classify.windows import WindowSpec, combined_hash
from stream_client.errors import ConfigurationError
from stream_client.processing.labels import read_label_names
from stream_client.util.extras import install_command

Array = npt.NDArray[np.float64]
Predict = Callable[[npt.NDArray[np.float32]], Any]
"""Features, float32 [rows, features], to probabilities [rows, labels]."""
Schema = FeatureSchema | RawPose

THRESHOLDS = "thresholds.json"
INPUT_PREFIX = "features_"
HASH_DIGITS = 16


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model with its labels and what it was trained on.

    ``schema`` is ``None`` for a model of ready-made columns, ``window`` for a model of single frames. ``thresholds`` to
    enter and leave a label were chosen on held-out data; a label without one has those of :class:`.DecisionOptions`.
    """

    labels: tuple[str, ...]
    schema: Schema | None
    window: WindowSpec | None
    predict_rows: Predict
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)

    def predict(self, rows: npt.NDArray[np.floating]) -> Array:
        """Probabilities, float64 [rows, labels]; raises :class:`.ConfigurationError` for a wrong shape."""
        given = np.atleast_2d(np.asarray(rows, dtype=np.float32))
        answer = np.asarray(self.predict_rows(given), dtype=np.float64)
        if answer.shape != (len(given), len(self.labels)):
            raise ConfigurationError(
                f"the model answers {list(answer.shape)} for {len(given)} rows and {len(self.labels)} labels: "
                "probabilities of shape [rows, labels] are expected"
            )
        return answer

    def scores(self, row: npt.NDArray[np.floating]) -> dict[str, float]:
        """The probability of each label, for one row."""
        return dict(zip(self.labels, self.predict(row)[0].tolist(), strict=True))

    def require(self, schema: Schema | None, window: WindowSpec | None) -> None:
        """Refuse to serve other features than the model was trained on; names the difference."""
        if self.schema is not None and schema is not None and (text := self.schema.difference(schema)):
            raise ConfigurationError(f"the model was trained on other features (model against serving): {text}")
        if (self.schema is None) != (schema is None):
            raise ConfigurationError("the model was trained on ready-made columns, not on landmark features")
        if self.window != window:
            raise ConfigurationError(
                f"the model was trained on other windows: {_window(self.window)} against {_window(window)}"
            )

    @classmethod
    def from_callable(
        cls,
        predict: Predict,
        labels: Sequence[str],
        schema: Schema | None = None,
        window: WindowSpec | None = None,
    ) -> "TrainedModel":
        """A function of rows as a model."""
        return cls(tuple(labels), schema, window, predict)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        labels: Sequence[str],
        schema: Schema | None = None,
        window: WindowSpec | None = None,
    ) -> "TrainedModel":
        """A fitted scikit-learn or XGBoost classifier. ``labels`` are in the order of its classes 0, 1, ….

        Classes that the estimator never saw get probability 0.
        """
        if not hasattr(estimator, "predict_proba"):
            raise ConfigurationError(f"{type(estimator).__name__} gives no probabilities: it has no predict_proba")
        names = tuple(labels)
        classes = [names.index(c) if isinstance(c, str) else int(c) for c in estimator.classes_]

        def predict(rows: npt.NDArray[np.float32]) -> Array:
            full = np.zeros((len(rows), len(names)))
            full[:, classes] = estimator.predict_proba(rows)
            return full

        return cls(names, schema, window, predict)

    @classmethod
    def load(cls, path: Path | str, *, allow_pickle: bool = False) -> "TrainedModel":
        """The newest version in the model directory ``path``, or the one whose folder ``path`` is.

        Raises :class:`.ConfigurationError`.

        ONNX runs on OpenVINO. A pickled estimator (``model.pkl``) is loaded only with ``allow_pickle``, with a
        warning: a pickle runs code, so whoever wrote the file can do what you can.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise ConfigurationError(
                f"no model directory at {folder}: name one that `train` has written", option="classifier"
            )
        found = sorted(folder.glob("[0-9]*/*.onnx"), key=lambda file: int(file.parent.name))
        model = found[-1] if found else next(iter(sorted(folder.glob("*.onnx"))), None)
        beside = model.parent if model is not None and (model.parent / "schema.json").is_file() else folder
        labels = read_label_names(beside / "labels.txt")
        schema, window, digest = read_schema(beside / "schema.json")
        if model is not None:
            return cls(labels, schema, window, _onnx(model, digest), read_thresholds(beside / THRESHOLDS))
        pickled = folder / "model.pkl"
        if not pickled.is_file():
            raise ConfigurationError(f"no model in {folder}: 1/NAME.onnx is expected")
        if not allow_pickle:
            raise ConfigurationError(
                f"{pickled} is a pickle, which runs code when read: allow it if you trust it", option="allow_pickle"
            )
        warnings.warn(f"reading {pickled} runs the code in it", RuntimeWarning, stacklevel=2)
        try:
            with pickled.open("rb") as file:
                estimator = pickle.load(file)
        except Exception as error:
            raise ConfigurationError(f"cannot read {pickled}: {type(error).__name__}: {error}") from error
        return cls.from_estimator(estimator, labels, schema, window)


def thresholds_document(thresholds: Mapping[str, Thresholds]) -> str:
    """The text of ``thresholds.json``."""
    return json.dumps({label: asdict(of_label) for label, of_label in thresholds.items()}, indent=1) + "\n"


def read_thresholds(path: Path) -> dict[str, Thresholds]:
    """The thresholds of each label, empty if there is no file. Raises :class:`.ConfigurationError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(label): Thresholds(float(one["enter"]), float(one["exit"])) for label, one in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigurationError) as error:
        raise ConfigurationError(f"cannot read the thresholds {path}: {type(error).__name__}: {error}") from error


def schema_document(schema: Schema | None, window: WindowSpec | None, columns: Sequence[str]) -> str:
    """The text of ``schema.json``. ``columns`` names the columns of a model without a schema."""
    content = {
        "schema": schema.to_json() if schema else None,
        "window": window.to_json() if window else None,
        "columns": list(columns) if schema is None else None,
        "hash": model_hash(schema, window, columns),
    }
    return json.dumps(content, indent=1) + "\n"


def model_hash(schema: Schema | None, window: WindowSpec | None, columns: Sequence[str]) -> str:
    """The digest of what a model's input columns mean."""
    if schema is not None:
        return combined_hash(schema, window)
    import hashlib

    return hashlib.sha256(json.dumps(list(columns)).encode()).hexdigest()


def read_schema(path: Path) -> tuple[Schema | None, WindowSpec | None, str]:
    """Features, windows and their digest, as ``train`` wrote them; raises :class:`.ConfigurationError`."""
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stored = str(content["hash"])
        schema = _schema_of(content["schema"]) if content["schema"] else None
        window = WindowSpec.from_json(content["window"]) if content["window"] else None
        actual = model_hash(schema, window, content["columns"] or ())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"cannot read the feature schema {path}: {type(error).__name__}: {error}") from error
    if actual != stored:
        raise ConfigurationError(f"{path} was changed after training: its content does not give its hash")
    return schema, window, stored


def _schema_of(content: Mapping[str, Any]) -> Schema:
    return RawPose.from_json(content) if "raw" in content else FeatureSchema.from_json(content)


# OpenVINO computes in bfloat16 where the processor has it, and then gives other scores than on other processors.
_PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}


def _onnx(path: Path, digest: str) -> Predict:
    try:
        core = new_core()
    except ImportError as error:
        raise ConfigurationError(
            f"ONNX models run on OpenVINO, which is not installed: {install_command('embedded')}"
        ) from error
    try:
        compiled = core.compile_model(str(path), "CPU", _PROPERTIES)
    except RuntimeError as error:
        line = next((text for text in reversed(str(error).splitlines()) if text.strip()), "")
        raise ConfigurationError(f"cannot read the model {path}: {line}") from error
    (name,) = (port.get_any_name() for port in compiled.inputs)
    if name != POSE_INPUT and not name.startswith(INPUT_PREFIX):
        raise ConfigurationError(f"{path} takes {name!r}: neither features nor a pose")
    if (name == POSE_INPUT) != (digest == model_hash(RawPose(), None, ())):
        raise ConfigurationError(f"{path} and schema.json do not belong together: the model takes {name!r}")
    if name != POSE_INPUT and name != INPUT_PREFIX + digest[:HASH_DIGITS]:
        raise ConfigurationError(
            f"{path} and schema.json do not belong together: the model was trained with schema "
            f"{name.removeprefix(INPUT_PREFIX)}, schema.json is {digest[:HASH_DIGITS]}"
        )
    request = compiled.create_infer_request()

    def predict(rows: npt.NDArray[np.float32]) -> Any:
        try:
            if name == POSE_INPUT:  # a graph's model takes one frame at a time
                return np.concatenate([request.infer([row[None]])[compiled.outputs[0]] for row in rows])
            return request.infer([rows])[compiled.outputs[0]].copy()
        except RuntimeError as error:
            raise ConfigurationError(
                f"{path} refuses {rows.shape[1]} features a row: {str(error).splitlines()[0]}"
            ) from error

    return predict


def _window(window: WindowSpec | None) -> str:
    if window is None:
        return "none (single frames)"
    return (
        f"{window.length_ms:g} ms, overlap {window.overlap_ms:g} ms, {window.rate:g}/s, "
        f"gaps to {window.max_gap_ms:g} ms, {'+'.join(window.pooling)}"
    )
