"""Models on OpenVINO: versions, policies, names, shapes, layouts, formats and what is said when they do not fit."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from graph_server.errors import ConfigError, MissingModelError
from graph_server.metrics.registry import Registry, metrics_config
from graph_server.metrics.servables import ServableMetrics
from graph_server.models.changes.excerpt import Excerpt
from graph_server.models.config import ModelConfig
from graph_server.models.copies import IN_CALLER, Copies
from graph_server.models.model import Model
from graph_server.models.preparation import Preparation, is_dimension, is_layout, is_shape, partial_shape
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from graph_server.models.versions import VersionPolicy, available_versions, model_file, parse_policy
from kserve_wire.openvino_core import new_core
from tests.support.graph_server import write_onnx
from tests.support.model_formats import write_paddle, write_saved_model

X: dict[str, tuple[int, ...]] = {"x": (1, 2)}


def repository(base: Path, **settings: Any) -> ModelRepository:
    return ModelRepository(Runtime(), (ModelConfig("m", base, **settings),))


def available(models: ModelRepository) -> tuple[int, ...]:
    return tuple(number for number, found in models.versions("m").items() if found.state == "AVAILABLE")


def model(base: Path, **settings: Any) -> Model:
    return repository(base, **settings).get("m")


@pytest.fixture
def three(tmp_path: Path) -> Path:
    for version in (1, 2, 10):
        write_onnx(tmp_path / "m" / str(version) / "model.onnx", inputs=X, factor=float(version))
    (tmp_path / "m" / "0").mkdir()
    (tmp_path / "m" / "draft").mkdir()
    return tmp_path / "m"


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ({"latest": {"num_versions": 1}}, (10,)),
        ({"latest": {"num_versions": 2}}, (2, 10)),
        ({"all": {}}, (1, 2, 10)),
        ({"specific": {"versions": [10, 1, 4]}}, (1, 10)),
    ],
)
def test_a_policy_chooses_versions_by_number(three: Path, policy: Any, versions: tuple[int, ...]) -> None:
    models = repository(three, policy=parse_policy(policy))
    assert available(models) == versions
    assert models.get("m").version == versions[-1]
    ones = {"x": np.ones((1, 2), np.float32)}
    assert [models.get("m", version).infer(ones)["x_out"][0, 0] for version in versions] == list(versions)
    with pytest.raises(MissingModelError, match="model m has no version 3"):
        models.get("m", 3)


def test_a_model_that_is_not_there_is_told_from_one_that_cannot_be_loaded(tmp_path: Path, three: Path) -> None:
    with pytest.raises(MissingModelError, match="no model named 'x'"):
        repository(three).get("x")
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere: No such file"):
        model(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="model m has no version to serve"):
        model(three, policy=VersionPolicy("specific", versions=(7,)))
    other = tmp_path / "other" / "1"
    other.mkdir(parents=True)
    (other / "model.pdmodel").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"other/1 holds no model: \.xml with \.bin, \.onnx"):
        model(tmp_path / "other")
    (other / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"model\.onnx cannot be read"):
        model(tmp_path / "other")


def test_openvinos_own_format_is_served(tmp_path: Path, three: Path) -> None:
    folder = tmp_path / "ir" / "1"
    folder.mkdir(parents=True)
    ov.save_model(Runtime().core.read_model(str(three / "2" / "model.onnx")), str(folder / "model.xml"))
    made = model(tmp_path / "ir")
    assert made.path.name == "model.xml"
    assert made.infer({"x": np.array([[1, 2]], np.float32)})["x_out"].tolist() == [[2.0, 4.0]]


@pytest.mark.parametrize("write", [write_saved_model, write_paddle])
def test_models_of_tensorflow_and_paddle_are_served(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "m" / "1")
    made = model(tmp_path / "m")
    assert made.infer({"x": np.array([[-1, 2]], np.float32)})["y"].tolist() == [[0.0, 2.0]]


def test_a_format_needs_all_of_its_files(tmp_path: Path) -> None:
    write_paddle(tmp_path / "m" / "1")
    (tmp_path / "m" / "1" / "model.pdiparams").unlink()
    with pytest.raises(ConfigError, match="holds no model"):
        model(tmp_path / "m")
    with pytest.raises(ConfigError, match=r"model\.pdmodel needs model\.pdiparams beside it"):
        model(tmp_path / "m" / "1" / "model.pdmodel")


def test_of_several_formats_openvinos_own_goes_first(tmp_path: Path, three: Path) -> None:
    folder = tmp_path / "both" / "1"
    write_onnx(folder / "a.onnx", inputs=X)
    ov.save_model(Runtime().core.read_model(str(three / "2" / "model.onnx")), str(folder / "z.xml"))
    assert model(tmp_path / "both").path.name == "z.xml"
    (folder / "z.bin").unlink()
    assert model(tmp_path / "both").path.name == "a.onnx"


def test_a_folder_counts_by_the_number_that_it_begins_with(tmp_path: Path) -> None:
    for name in ("007", "2", "3rd", "-1", "0", "x1"):
        (tmp_path / name).mkdir()
    (tmp_path / "9").write_text("no folder")
    assert available_versions(tmp_path) == (2, 3, 7)
    with pytest.raises(ConfigError, match=r"/7 is missing"):
        model_file(tmp_path, 7)


def test_a_tflite_model_is_served(models_dir: Path) -> None:
    made = model(models_dir / "face_landmark")
    assert made.path.suffix == ".tflite"
    assert made.inputs[0].shape == (1, 192, 192, 3)


def test_a_mapping_renames_tensors(three: Path) -> None:
    mapping = three / "10" / "mapping_config.json"
    mapping.write_text(json.dumps({"inputs": {"x": "given"}, "outputs": {"x_out": "scaled"}}))
    ten = parse_policy({"specific": {"versions": [10]}})
    made = model(three, policy=ten)
    assert ([info.name for info in made.inputs], [info.name for info in made.outputs]) == (["given"], ["scaled"])
    assert made.infer({"given": np.ones((1, 2), np.float32)})["scaled"].tolist() == [[10.0, 10.0]]


@pytest.mark.parametrize("content", ['{"inputs": {"y": "given"}}', "[]", "{", '{"inputs": {"x": 1}}'])
def test_a_mapping_that_is_broken_or_names_other_tensors_changes_nothing(three: Path, content: str) -> None:
    (three / "10" / "mapping_config.json").write_text(content)
    assert [info.name for info in model(three).inputs] == ["x"]


def test_a_version_that_cannot_be_read_makes_way_for_the_next(three: Path) -> None:
    (three / "10" / "model.onnx").write_bytes(b"cut off")
    assert available(repository(three)) == (2,)
    assert available(repository(three, policy=parse_policy({"latest": {"num_versions": 2}}))) == (1, 2)
    assert available(repository(three, policy=parse_policy({"specific": {"versions": [10, 1]}}))) == (1,)
    with pytest.raises(ConfigError, match=r"10/model\.onnx cannot be read"):
        model(three, policy=parse_policy({"specific": {"versions": [10]}}))


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"shapes": {"": "(4,2)"}}, (4, 2)),
        ({"shapes": {"x": "( -1 , 1:8 )"}}, (-1, -1)),
        ({"batch_size": "3"}, (3, 2)),
        ({"batch_size": "1:8"}, (-1, 2)),
        ({"batch_size": "-1"}, (-1, 2)),
    ],
)
def test_shapes_and_batch_sizes_are_set(tmp_path: Path, settings: Any, shape: tuple[int, ...]) -> None:
    write_onnx(tmp_path / "m" / "1" / "model.onnx", inputs={"x": (-1, -1) if "shapes" in settings else (1, 2)})
    made = model(tmp_path / "m", preparation=Preparation(**settings))
    assert made.inputs[0].shape == shape
    values = np.ones([4 if size < 0 else size for size in shape], np.float32)
    assert made.infer({"x": values})["x_out"].shape == values.shape


def test_a_layout_turns_images_for_the_model(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m" / "1" / "model.onnx", inputs={"x": (1, 3, 4, 5)}, factor=1.0)
    made = model(tmp_path / "m", preparation=Preparation(layouts={"x": "nhwc:nchw"}))
    assert made.inputs[0].shape == (1, 4, 5, 3)
    image = np.random.default_rng(0).random((1, 4, 5, 3), np.float32)
    assert np.array_equal(made.infer({"x": image})["x_out"], image.transpose(0, 3, 1, 2))
    both = model(tmp_path / "m", preparation=Preparation(layouts={"x": "NHWC:NCHW", "x_out": "NHWC:NCHW"}))
    assert np.array_equal(both.infer({"x": image})["x_out"], image)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"shapes": {"y": "(1,2)"}}, "shape names 'y', which is no tensor of the model"),
        ({"layouts": {"": "NHWC:NCHW"}}, "model m: layout or preprocessing does not fit"),
    ],
)
def test_what_does_not_fit_the_model_is_named(tmp_path: Path, settings: Any, text: str) -> None:
    write_onnx(tmp_path / "m" / "1" / "model.onnx", inputs={"x": (1, 2)})
    with pytest.raises(ConfigError) as caught:
        model(tmp_path / "m", preparation=Preparation(**settings))
    assert text in str(caught.value)


def test_a_batch_size_needs_a_dimension(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m" / "1" / "model.onnx", inputs={"x": ()})
    with pytest.raises(ConfigError, match="model m: shape or batch_size does not fit"):
        model(tmp_path / "m", preparation=Preparation("4"))


def test_a_shape_without_a_name_needs_a_model_with_one_input(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m" / "1" / "model.onnx", inputs={"x": (1,), "y": (1,)})
    with pytest.raises(ConfigError, match="shape without a tensor's name, but it has 2 inputs"):
        model(tmp_path / "m", preparation=Preparation(shapes={"": "(1)"}))


def test_shapes_are_read_as_ovms_writes_them() -> None:
    assert str(partial_shape("( 1,3,224:448,-1)")) == str(ov.PartialShape([1, 3, ov.Dimension(224, 448), -1]))
    shapes = ("(1)", "(0)", "(-1,2:3)", "()", "1", "(2:2)", "(-2)", "(1,)", "((1))")
    assert [text for text in shapes if is_shape(text)] == ["(1)", "(0)", "(-1,2:3)"]
    assert [text for text in ("8", "1:8", "-1", "8:8", "0:8", "-2", "8:1", "x", "") if is_dimension(text)] == [
        "8", "1:8", "-1", "8:8",
    ]  # fmt: skip
    assert [text for text in ("NHWC", "nhwc:nchw", "N...", "N?", "XY", "NHWC:NCHW:N") if is_layout(text)] == [
        "NHWC", "nhwc:nchw", "N...", "N?",
    ]  # fmt: skip


def test_a_wrong_plugin_configuration_or_device_is_told_with_the_model(three: Path) -> None:
    with pytest.raises(ConfigError, match=r"model m cannot be compiled: .*NO_SUCH_KEY"):
        model(three, plugin_config={"NO_SUCH_KEY": "1"}).infer({"x": np.ones((1, 2), np.float32)})
    with pytest.raises(ConfigError, match=r"model m cannot be compiled: .*NPX"):
        model(three, device="NPX").infer({"x": np.ones((1, 2), np.float32)})


def test_more_threads_than_infer_requests_take_turns(three: Path) -> None:
    made = model(three, nireq=1)
    results: list[float] = []

    def infer(number: int) -> None:
        values = np.full((1, 2), number, np.float32)
        results.extend(float(made.infer({"x": values})["x_out"][0, 0]) for _ in range(20))

    threads = [threading.Thread(target=infer, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(10.0 * number for number in range(4) for _ in range(20))


def test_what_has_not_changed_is_not_loaded_again(three: Path, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n" / "1" / "model.onnx", inputs=X)
    runtime, policy = Runtime(), VersionPolicy("all")
    kept, changed = ModelConfig("m", three, policy=policy), ModelConfig("n", tmp_path / "n")
    models = ModelRepository(runtime, (kept, changed))
    first = {number: models.get("m", number) for number in (1, 2, 10)}
    other = models.get("n")
    write_onnx(three / "11" / "model.onnx", inputs=X)
    models.load((kept, replace(changed, nireq=2)))
    assert available(models) == (1, 2, 10, 11)
    assert all(models.get("m", version) is served for version, served in first.items())
    assert models.get("n") is not other


IN_WORKERS = {"PERFORMANCE_HINT": "THROUGHPUT"}


def threads_of(request: ov.InferRequest) -> tuple[int, int]:
    compiled = request.get_compiled_model()
    return compiled.get_property("NUM_STREAMS"), compiled.get_property("INFERENCE_NUM_THREADS")


WHOLE = Excerpt(("x_out",))


@pytest.mark.parametrize(
    ("plugin_config", "threads"),
    [
        (IN_WORKERS, (1, 1)),  # so that it runs in the thread that calls
        ({"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2}, (2, 2)),
        ({**IN_WORKERS, "NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2}, (2, 2)),
        ({"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 2}, (1, 2)),
    ],
)
def test_threads_that_are_configured_are_used(three: Path, plugin_config: Any, threads: tuple[int, int]) -> None:
    assert threads_of(model(three, plugin_config=plugin_config).request(WHOLE)) == threads


def test_a_compiled_model_says_what_it_computes_in(three: Path) -> None:
    repository = ModelRepository(Runtime(), [ModelConfig("m", three, {"INFERENCE_PRECISION_HINT": "f32"})])
    assert repository.precisions == {}
    repository.get("m").compile()
    assert repository.precisions == {"m": "f32"}


def test_requests_share_as_many_copies_as_they_may_and_take_those_that_were_left(three: Path) -> None:
    made: list[ov.CompiledModel] = []

    def compile_one() -> ov.CompiledModel:
        made.append(new_core().compile_model(str(three / "10" / "model.onnx"), "CPU", IN_CALLER))
        return made[-1]

    copies = Copies(compile_one, most=2)
    for _ in range(3):
        request = copies.request()
        del request
    assert len(made) == 1
    kept = [copies.request() for _ in range(4)]
    assert len(made) == 2
    results = []
    for value, request in enumerate(kept):
        request.infer({"x": np.full((1, 2), value, np.float32)})
        results.append(request.get_output_tensor(0).data[0, 0])
    assert results == [0, 10, 20, 30]


def test_copies_are_made_after_the_source_was_let_go_and_counted(three: Path) -> None:
    registry = Registry(metrics_config(True, None))
    served = ModelRepository(Runtime(), (ModelConfig("m", three, IN_WORKERS),), ServableMetrics(registry)).get("m")
    served.forget_source()
    kept = [served.request(WHOLE, most_copies=3) for _ in range(4)]
    assert 'ovms_streams{name="m",version="10"} 3' in registry.text()
    for request in kept:
        request.infer({"x": np.ones((1, 2), np.float32)})
        assert request.get_output_tensor(0).data[0, 0] == 10
