import json
from pathlib import Path

import pytest

from stream_client.classify.decision import UNKNOWN, Decision, DecisionOptions, Thresholds
from stream_client.classify.models import read_thresholds, thresholds_document
from stream_client.errors import ConfigurationError


def test_each_label_has_its_own_thresholds_and_others_the_common_ones() -> None:
    options = DecisionOptions(smoothing=0, enter=0.6, exit=0.4, labels={"a": Thresholds(0.9, 0.8)})
    decision = Decision(options)
    assert decision.update(0, {"a": 0.85, "b": 0.15}).label == UNKNOWN
    assert decision.update(1, {"a": 0.9, "b": 0.1}).label == "a"
    assert decision.update(2, {"a": 0.8, "b": 0.2}).label == "a"
    assert decision.update(3, {"a": 0.79, "b": 0.21}).label == UNKNOWN
    assert decision.update(4, {"a": 0.4, "b": 0.6}).label == "b"
    assert decision.update(5, {"a": 0.6, "b": 0.4}).label == "b"


def test_thresholds_are_read_as_they_were_written(tmp_path: Path) -> None:
    thresholds = {"a": Thresholds(0.7, 0.3)}
    path = tmp_path / "thresholds.json"
    assert read_thresholds(path) == {}
    path.write_text(thresholds_document(thresholds))
    assert read_thresholds(path) == thresholds
    path.write_text(json.dumps({"a": {"enter": 0.3, "exit": 0.7}}))
    with pytest.raises(ConfigurationError, match=r"thresholds\.json"):
        read_thresholds(path)
