"""A trained model with what its program knows of it."""

import importlib
import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stream_client.errors import ConfigurationError


@runtime_checkable
class Transformer(Protocol):
    """Anything with ``transform(data, columns)``, which gives the model's input, or that and further data."""

    @property
    def transform(self) -> Callable[..., Any]:
        """From a sequence and columns."""


class TrainedModel:
    """Any object with ``predict``, the columns it was trained on, and a transformer.

    >>> TrainedModel().predict(data=[[0.0]])
    Traceback (most recent call last):
    stream_client.errors.ConfigurationError: no model is set: call set_model(model=…) first
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.model_data: Any = None
        self.data_transformer: Transformer | None = None
        self.notes: str | None = "There are no notes for this model."

    def set_model(self, model: Any, model_data: Any = None, notes: str | None = None) -> None:
        """Take ``model``, which has ``predict``, and ``model_data``: ``X_test`` or ``feature_names``.

        Raises :class:`.ConfigurationError` for an object without ``predict``.
        """
        if not callable(getattr(model, "predict", None)):
            raise ConfigurationError(f"{type(model).__name__} is no model: it has no predict")
        self.model = model
        self.model_data = model_data
        self.notes = notes

    @classmethod
    def load(cls, path: Path | str, *, allow_pickle: bool = False, notes: str | None = None) -> "TrainedModel":
        """The model in a pickle or joblib file: one object, or two: the model and its data.

        Both run code when they are read; so they are read with ``allow_pickle`` only, with a warning.
        """
        file = Path(path)
        if not file.is_file():
            raise ConfigurationError(f"no model file at {file}: give a pickle or joblib file")
        if not allow_pickle:
            raise ConfigurationError(
                f"{file} runs code when it is read: give allow_pickle=True if you trust it", option="allow_pickle"
            )
        warnings.warn(f"reading {file} runs the code in it", RuntimeWarning, stacklevel=2)
        try:
            model, data = _joblib(file) if file.suffix == ".joblib" else _pickled(file)
        except Exception as error:  # a pickle may raise anything
            raise ConfigurationError(f"cannot read {file}: {type(error).__name__}: {error}") from error
        loaded = cls()
        loaded.set_model(model, data, notes)
        return loaded

    def set_data_transformer(self, transformer: Transformer) -> None:
        """Take the transformer that :meth:`transform_data` calls."""
        if not callable(getattr(transformer, "transform", None)):
            raise ConfigurationError(f"{type(transformer).__name__} is no transformer: it has no transform")
        self.data_transformer = transformer

    def transform_data(self, data: Any) -> Any:
        """What the transformer makes of ``data``, for the model's columns where they are known."""
        if self.data_transformer is None:
            raise ConfigurationError("no transformer is set: call set_data_transformer first")
        columns = self.columns
        return (
            self.data_transformer.transform(data) if columns is None else self.data_transformer.transform(data, columns)
        )

    def predict(self, data: Any) -> Any:
        """What the model predicts for the rows of ``data``."""
        if self.model is None:
            raise ConfigurationError("no model is set: call set_model(model=…) first")
        return self.model.predict(data)

    def confidence(self, data: Any) -> float | None:
        """The probability of what the model predicts for the first row; ``None`` where it gives none."""
        probabilities = getattr(self.model, "predict_proba", None)
        return None if probabilities is None else float(np.max(np.asarray(probabilities(data))[0]))

    @property
    def columns(self) -> list[str] | None:
        """The names of the model's columns, from its data or from itself; ``None`` where neither has them."""
        data = self.model_data if isinstance(self.model_data, Mapping) else {}
        tested = data.get("X_test")
        for names in (
            getattr(tested, "columns", None),
            tested if _are_names(tested) else None,
            data.get("feature_names"),
            getattr(self.model, "feature_names_in_", None),
        ):
            if names is not None and len(names):
                return [str(name) for name in names]
        return None

    def as_input(self, row: Mapping[str, float]) -> Any:
        """A row in the form the model was trained on: ``X_test``'s own class, or float64 [1, columns]."""
        data = self.model_data if isinstance(self.model_data, Mapping) else {}
        table: Any = type(data.get("X_test"))
        values = [list(row.values())]
        return table(values, columns=list(row)) if hasattr(table, "columns") else np.array(values)


def _are_names(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(name, str) for name in value)


def _pickled(path: Path) -> tuple[Any, Any]:
    with path.open("rb") as file:
        model = pickle.load(file)
        try:
            return model, pickle.load(file)
        except EOFError:
            return _parts(model)


def _joblib(path: Path) -> tuple[Any, Any]:
    joblib: Any = importlib.import_module("joblib")
    return _parts(joblib.load(path))


def _parts(content: Any) -> tuple[Any, Any]:
    """The model and its data, if one object holds both."""
    if isinstance(content, tuple | list) and len(content) == 2:
        return content[0], content[1]
    return content, None
