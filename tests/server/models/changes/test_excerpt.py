"""What is taken of a network, and that it is kept for the next start."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from graph_server.models.changes.excerpt import Excerpt
from graph_server.models.config import ModelConfig
from graph_server.models.model import Model
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime

FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}
PARTS = [Excerpt(("Identity", "Identity_1")), Excerpt(("Identity",), half=2, side=28, rounded=True)]


@pytest.fixture
def hand(models_dir: Path, tmp_path: Path) -> Path:
    """A hand's network, to change."""
    (tmp_path / "hand" / "1").mkdir(parents=True)
    copy = tmp_path / "hand" / "1" / "hand.tflite"
    copy.write_bytes((models_dir / "hand_landmark_full" / "1" / "hand_landmark_full.tflite").read_bytes())
    return copy


def served(hand: Path, cache: Path | None) -> Model:
    return ModelRepository(Runtime(cache), [ModelConfig("hand", hand.parents[1], FLOAT32)]).get("hand")


def answer(model: Model, part: Excerpt) -> npt.NDArray[np.float32]:
    request = model.request(part)
    shape = tuple(request.get_input_tensor(0).shape)
    request.infer({0: np.random.default_rng(0).random(shape, np.float32)})
    return np.array(request.get_output_tensor(0).data)


@pytest.mark.parametrize("part", PARTS)
def test_an_excerpt_that_was_kept_is_the_same(hand: Path, tmp_path: Path, part: Excerpt) -> None:
    plain = answer(served(hand, None), part)
    for _ in range(2):  # the first keeps it, the second finds it
        np.testing.assert_array_equal(answer(served(hand, tmp_path / "cache"), part), plain)
        assert len(list((tmp_path / "cache" / "read").glob("*.xml"))) == 2  # the whole and the excerpt


def test_another_excerpt_file_mapping_or_code_makes_it_anew(
    hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> int:
        served(hand, tmp_path / "cache").request(PARTS[0])
        return len(list((tmp_path / "cache" / "read").glob("*.xml")))

    assert kept() == kept() == 2
    served(hand, tmp_path / "cache").request(PARTS[1])
    assert kept() == 3
    (hand.parent / "mapping_config.json").write_text('{"inputs": {"input_1": "image"}}')
    assert kept() == 4
    monkeypatch.setattr("graph_server.models.model.revision", lambda: "other")
    assert kept() == 5
    hand.write_bytes(hand.read_bytes() + b"\0")
    assert kept() == 7
