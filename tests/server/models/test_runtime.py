"""Models that are kept in the form in which they are read fastest."""

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino.opset13 as ops
import pytest

from graph_server.models.runtime import Runtime
from graph_server.scratch import scratch_folder
from tests.support.graph_server import write_onnx


def _answer(runtime: Runtime, model: ov.Model) -> npt.NDArray[np.float32]:
    values = np.random.default_rng(0).random(tuple(model.inputs[0].shape), np.float32)
    answer: npt.NDArray[np.float32] = runtime.core.compile_model(model, "CPU")(values)[0]
    return answer


@pytest.fixture
def network(models_dir: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "hand.tflite"
    copy.write_bytes((models_dir / "hand_recrop" / "1" / "hand_recrop.tflite").read_bytes())
    return copy


def test_a_model_that_was_kept_is_the_same(network: Path, tmp_path: Path) -> None:
    plain = Runtime().read(network)
    for _ in range(2):  # the first keeps it, the second finds it
        kept = Runtime(tmp_path / "cache").read(network)
        assert [port.get_names() for port in kept.inputs + kept.outputs] == [
            port.get_names() for port in plain.inputs + plain.outputs
        ]
        np.testing.assert_array_equal(_answer(Runtime(), kept), _answer(Runtime(), plain))
    assert sorted(path.suffix for path in (tmp_path / "cache" / "read").iterdir()) == [".bin", ".xml"]


def test_what_a_killed_process_left_is_removed_and_what_is_being_made_stays(tmp_path: Path) -> None:
    folder = tmp_path / "read"
    folder.mkdir()
    killed = folder / "tmpkilled"
    killed.mkdir()
    (killed / "model.bin").write_bytes(b"half of it")
    with scratch_folder(folder) as made:
        Runtime(tmp_path)
        assert list(folder.iterdir()) == [made]
    assert not list(folder.iterdir())


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_what_is_kept_and_damaged_is_made_anew(network: Path, tmp_path: Path, suffix: str) -> None:
    runtime = Runtime(tmp_path / "cache")
    runtime.read(network)
    (kept,) = (tmp_path / "cache" / "read").glob(f"*{suffix}")
    size = kept.stat().st_size
    kept.write_bytes(b"")
    assert Runtime(tmp_path / "cache").read(network).inputs
    assert kept.stat().st_size == size


def test_another_process_may_write_the_cache_again(models_dir: Path, tmp_path: Path) -> None:
    """A mapped file that becomes shorter ends the process with a bus error."""
    network = models_dir / "face_landmark" / "1" / "face_landmark.tflite"
    compiled = []
    for _ in range(2):  # the first fills the cache, the second reads from it
        runtime = Runtime(tmp_path)
        compiled.append(runtime.core.compile_model(runtime.read(network), "CPU"))
    assert list(tmp_path.glob("*.blob"))
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


def test_another_process_may_remove_what_is_just_written_into_the_cache(tmp_path: Path) -> None:
    """It does so where it takes a half-written entry for a damaged one."""
    values = ops.parameter([1, 3000], np.float32)
    weights = ops.constant(np.random.default_rng(0).random((3000, 3000), np.float32))  # takes a while to write
    model = ov.Model([ops.matmul(values, weights, False, False)], [values], "large")
    runtime = Runtime(tmp_path / "cache")
    removed, done = [], threading.Event()

    def remove() -> None:
        while not done.wait(0.001):
            for entry in (tmp_path / "cache").glob("*.blob"):
                entry.unlink(missing_ok=True)
                removed.append(entry)

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        compiled = runtime.compile(model, "CPU", {})
    finally:
        done.set()
        remover.join()
    assert removed
    assert compiled.inputs


def test_another_file_in_its_place_is_read(network: Path, models_dir: Path, tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "cache")
    assert list(runtime.read(network).inputs[0].shape) == [1, 256, 256, 3]
    network.write_bytes((models_dir / "face_landmark" / "1" / "face_landmark.tflite").read_bytes())
    assert list(runtime.read(network).inputs[0].shape) == [1, 192, 192, 3]


def test_other_formats_and_what_cannot_be_read_are_openvinos_business(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "cache")
    write_onnx(tmp_path / "model.onnx", inputs={"x": (1, 2)})
    assert runtime.read(tmp_path / "model.onnx").inputs
    (tmp_path / "bad.tflite").write_bytes(b"nothing")
    for missing in ("bad.tflite", "none.tflite"):
        with pytest.raises(RuntimeError):
            runtime.read(tmp_path / missing)
    assert not list((tmp_path / "cache" / "read").iterdir())


def test_a_cache_that_cannot_be_written_is_done_without(network: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert Runtime(tmp_path / "file" / "cache").read(network).inputs
