import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
import pytest
from sklearn.linear_model import LogisticRegression

from stream_client.compat.streamposeml import SequenceTransformer, TrainedModel
from stream_client.errors import ConfigurationError

ROWS = pandas.DataFrame({"a": [0.0, 1.0, 0.1, 0.9], "b": [1.0, 0.0, 0.8, 0.1]})
MODEL = LogisticRegression().fit(ROWS, [0, 1, 0, 1])


def test_two_objects_in_one_pickle_are_the_model_and_its_data(tmp_path: Path) -> None:
    with (tmp_path / "model.pkl").open("wb") as file:
        pickle.dump(MODEL, file)
        pickle.dump({"X_test": ROWS}, file)
    with pytest.warns(RuntimeWarning, match="runs the code"):
        model = TrainedModel.load(tmp_path / "model.pkl", allow_pickle=True, notes="two classes")
    assert model.columns == ["a", "b"]
    assert model.notes == "two classes"
    assert model.predict(data=ROWS)[:2].tolist() == [0, 1]


@pytest.mark.filterwarnings("ignore:reading")
@pytest.mark.parametrize("content", [MODEL, (MODEL, {"feature_names": ["a", "b"]})])
def test_a_joblib_file_holds_a_model_or_a_model_and_its_data(tmp_path: Path, content: Any) -> None:
    joblib.dump(content, tmp_path / "model.joblib")
    assert TrainedModel.load(tmp_path / "model.joblib", allow_pickle=True).columns == ["a", "b"]


def test_a_pickle_is_not_read_without_permission(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"never read")
    with pytest.raises(ConfigurationError, match="allow_pickle=True"):
        TrainedModel.load(tmp_path / "model.pkl")


@pytest.mark.filterwarnings("ignore:reading")
def test_a_broken_pickle_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"not a pickle")
    with pytest.raises(ConfigurationError, match=r"cannot read .*model\.pkl"):
        TrainedModel.load(tmp_path / "model.pkl", allow_pickle=True)


def test_a_row_takes_the_form_of_the_training_data() -> None:
    model = TrainedModel()
    model.set_model(model=MODEL, model_data={"X_test": ROWS})
    row = model.as_input({"b": 0.0, "a": 1.0})
    assert list(row.columns) == ["b", "a"]
    model.set_model(model=MODEL, model_data={"feature_names": ["a", "b"]})
    np.testing.assert_array_equal(model.as_input({"a": 1.0, "b": 0.0}), [[1.0, 0.0]])


def test_what_is_no_model_and_no_transformer_is_refused() -> None:
    model = TrainedModel()
    with pytest.raises(ConfigurationError, match="int is no model"):
        model.set_model(model=3)
    with pytest.raises(ConfigurationError, match="no transformer is set"):
        model.transform_data([])
    with pytest.raises(ConfigurationError, match="has no transform"):
        model.set_data_transformer(3)  # type: ignore[arg-type]
    model.set_data_transformer(SequenceTransformer())
    assert model.data_transformer is not None
