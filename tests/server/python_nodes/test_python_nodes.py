"""OVMS's Python nodes over real gRPC: scripts, tensors, generators and errors."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest

from graph_server.config.server_config import single_servable
from graph_server.server import GraphServer
from kserve_wire.messages import ModelInferRequest
from kserve_wire.names import TIMESTAMP
from tests.support.graph_server import graph_server, stream, stream_over, unary, write_onnx

_count = iter(range(10**6))

REGULAR = """
input_stream: "OVMS_PY_TENSOR:a" output_stream: "OVMS_PY_TENSOR:b"
node { name: "py" calculator: "PythonExecutorCalculator" input_side_packet: "PYTHON_NODE_RESOURCES:py"
  input_stream: "INPUT:a" output_stream: "OUTPUT:b"
  node_options: { [type.googleapis.com/mediapipe.PythonExecutorCalculatorOptions]: { handler_path: "SCRIPT" } } }
"""
LOOP = """
input_stream: "OVMS_PY_TENSOR:a" output_stream: "OVMS_PY_TENSOR:b"
node { name: "py" calculator: "PythonExecutorCalculator" input_side_packet: "PYTHON_NODE_RESOURCES:py"
  input_stream: "INPUT:a" input_stream: "LOOPBACK:loop"
  input_stream_info: { tag_index: "LOOPBACK:0" back_edge: true }
  input_stream_handler { input_stream_handler: "SyncSetInputStreamHandler"
    options { [mediapipe.SyncSetInputStreamHandlerOptions.ext] { sync_set { tag_index: "LOOPBACK:0" } } } }
  output_stream: "OUTPUT:b" output_stream: "LOOPBACK:loop"
  node_options: { [type.googleapis.com/mediapipe.PythonExecutorCalculatorOptions]: { handler_path: "SCRIPT" } } }
"""
ADD_ONE = """
import numpy as np
from pyovms import Tensor

class OvmsPythonModel:
    def execute(self, inputs):
        return [Tensor("b", np.array(inputs[0]) + np.float32(1))]
"""


def write_graph(folder: Path, script: str, graph: str = REGULAR) -> Path:
    """Write a graph and its script. Each script has its own name, because scripts with one name are one module."""
    name = f"handler_{next(_count)}.py"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script)
    (folder / "graph.pbtxt").write_text(graph.replace("SCRIPT", name))
    return folder


@contextmanager
def serving(folder: Path, script: str, graph: str = REGULAR) -> Iterator[GraphServer]:
    write_graph(folder, script, graph)
    with graph_server(config=single_servable("g", folder)) as server:
        yield server


def asking(timestamp: int, array: npt.NDArray[Any], datatype: str = "FP32", raw: bytes | None = None) -> Any:
    made = ModelInferRequest(model_name="g", id=str(timestamp))
    made.inputs.add(name="a", datatype=datatype, shape=array.shape)
    made.raw_input_contents.append(array.tobytes() if raw is None else raw)
    made.parameters[TIMESTAMP].int64_param = timestamp
    return made


def numbers(answer: Any) -> npt.NDArray[Any]:
    return np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(answer.outputs[0].shape)


VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_script_computes_with_numpy_unary_and_streaming(tmp_path: Path) -> None:
    with serving(tmp_path, ADD_ONE) as server:
        answer = unary(server.address, asking(7, VALUES))
        answers, code, _ = stream(server.address, asking(1, VALUES), asking(2, 2 * VALUES))
    assert (answer.outputs[0].name, answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("b", "FP32", [2, 3])
    np.testing.assert_array_equal(numbers(answer), VALUES + 1)
    assert code == grpc.StatusCode.OK
    np.testing.assert_array_equal(numbers(answers[1].infer_response), 2 * VALUES + 1)


def test_the_lists_of_a_generator_have_timestamps_one_microsecond_apart(tmp_path: Path) -> None:
    script = """
from pyovms import Tensor
class OvmsPythonModel:
    def execute(self, inputs):
        for word in bytes(inputs[0]).decode().split():
            yield [Tensor("b", word.encode())]
"""
    text = np.frombuffer(b"one two three", np.uint8)
    with serving(tmp_path, script, LOOP) as server:
        answers, code, details = stream(server.address, asking(100, text, "UINT8"))
    assert code == grpc.StatusCode.OK, details
    found = [item.infer_response for item in answers]
    assert [bytes(item.raw_output_contents[0]) for item in found] == [b"one", b"two", b"three"]
    assert [item.parameters[TIMESTAMP].int64_param for item in found] == [100, 101, 102]


def test_a_request_while_a_generator_runs_is_refused(tmp_path: Path) -> None:
    script = """
import time
from pyovms import Tensor
class OvmsPythonModel:
    def execute(self, inputs):
        while True:
            time.sleep(0.001)  # lets other threads run, as a model does
            yield [Tensor("b", b"again")]
"""
    with serving(tmp_path, script, LOOP) as server, grpc.insecure_channel(server.address) as channel:
        text = np.frombuffer(b"x", np.uint8)
        _, _, details = stream_over(channel, asking(1, text, "UINT8"), asking(2, text, "UINT8"))
    assert "RESOURCE_EXHAUSTED" in details
    assert "Node is already processing data. Create new stream for another request." in details


def test_yielding_without_a_loopback_fails_the_call(tmp_path: Path) -> None:
    script = "class OvmsPythonModel:\n    def execute(self, inputs):\n        yield inputs\n"
    with serving(tmp_path, script) as server, pytest.raises(grpc.RpcError) as refused:
        unary(server.address, asking(1, VALUES))
    assert "Error occurred during graph execution" in str(refused.value.details())


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('no')",
        "return 3",
        "return [b'no tensor']",
        "return [Tensor('unknown', b'')]",
        "return [Tensor('b', 'text has no buffer')]",
    ],
)
def test_an_error_in_a_script_fails_the_call_but_not_the_server(tmp_path: Path, body: str) -> None:
    script = f"from pyovms import Tensor\nclass OvmsPythonModel:\n    def execute(self, inputs):\n        {body}\n"
    with serving(tmp_path, script) as server:
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as refused:
                unary(server.address, asking(1, VALUES))
            assert "Error occurred during graph execution" in str(refused.value.details())
        answers, code, details = stream(server.address, asking(1, VALUES))
    assert not answers
    assert code == grpc.StatusCode.INTERNAL or "Error occurred during graph execution" in details


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "does not exist"),
        ("x = ", "SyntaxError"),
        ("class Other: pass", "OvmsPythonModel"),
        ("class OvmsPythonModel: pass", "no execute"),
        (
            "class OvmsPythonModel:\n    def initialize(self, kwargs): raise OSError('no disk')\n"
            "    def execute(self, inputs): return []",
            "no disk",
        ),
    ],
)
def test_a_script_that_cannot_be_used_makes_the_graph_unavailable(
    tmp_path: Path, script: str | None, reason: str
) -> None:
    write_graph(tmp_path, script or "")
    if script is None:
        next(tmp_path.glob("handler_*.py")).unlink()
    with (
        pytest.raises(Exception, match=reason),
        graph_server(config=single_servable("g", tmp_path)),
    ):
        pass


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('name: "py" ', "", "needs a name"),
        ('input_side_packet: "PYTHON_NODE_RESOURCES:py"\n', "", "PYTHON_NODE_RESOURCES"),
        ('output_stream: "OUTPUT:b"', 'output_stream: "OUTPUT:b" output_stream: "LOOPBACK:c"', "both input and output"),
        ("SCRIPT", "", "handler_path"),
    ],
)
def test_a_node_that_ovms_refuses_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    write_graph(tmp_path, ADD_ONE, REGULAR.replace(old, new))
    with (
        pytest.raises(Exception, match=reason),
        graph_server(config=single_servable("g", tmp_path)),
    ):
        pass


def test_a_script_is_initialised_once_with_its_streams_and_finalised_with_the_server(tmp_path: Path) -> None:
    script = """
import pathlib
class OvmsPythonModel:
    def initialize(self, kwargs):
        self.log = pathlib.Path(kwargs["base_path"]) / "log.txt"
        self.write(f"{kwargs['node_name']} {kwargs['input_names']} {kwargs['output_names']}")
    def execute(self, inputs):
        from pyovms import Tensor
        return [Tensor("b", inputs[0])]
    def finalize(self):
        self.write("finalize")
    def write(self, line):
        with self.log.open("a") as file:
            file.write(line + "\\n")
"""
    with serving(tmp_path, script) as server:
        for timestamp in (1, 2):
            unary(server.address, asking(timestamp, VALUES))
        stream(server.address, asking(1, VALUES), asking(2, VALUES))
    assert (tmp_path / "log.txt").read_text().splitlines() == ["py ['a'] ['b']", "finalize"]


def test_a_tensor_has_the_properties_of_the_request(tmp_path: Path) -> None:
    script = """
from pyovms import Tensor
class OvmsPythonModel:
    def execute(self, inputs):
        (x,) = inputs
        said = f"{x.name} {x.shape} {x.datatype} {x.size} {x.data.format} {x.data.shape} {x.data.readonly}"
        return [Tensor("b", said.encode(), shape=[1], datatype="my type")]
"""
    with serving(tmp_path, script) as server:
        plain = unary(server.address, asking(1, VALUES.astype(np.int16), "INT16"))
        custom = unary(server.address, asking(1, np.zeros((4, 2)), "<U7", raw=b"12345"))
    assert plain.raw_output_contents[0] == b"a (2, 3) INT16 12 h (2, 3) True"
    assert (plain.outputs[0].datatype, list(plain.outputs[0].shape)) == ("my type", [1])
    assert custom.raw_output_contents[0] == b"a (4, 2) <U7 5 B (5,) True"


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "text"),
    [
        ("FP32", (2, 3), b"123", "Invalid Python tensor buffer size. Actual: 3; Expected: 24"),
        ("FP32", (-1,), b"123", "Negative dimension size is not acceptable"),
        ("INT64", (2**40, 2**40), b"", "too large buffer"),
    ],
)
def test_a_tensor_with_a_size_that_does_not_fit_its_shape_is_refused(
    tmp_path: Path, datatype: str, shape: tuple[int, ...], raw: bytes, text: str
) -> None:
    made = ModelInferRequest(model_name="g")
    made.inputs.add(name="a", datatype=datatype, shape=shape)
    made.raw_input_contents.append(raw)
    with serving(tmp_path, ADD_ONE) as server, pytest.raises(grpc.RpcError) as refused:
        unary(server.address, made)
    assert text in str(refused.value.details())


def test_typed_contents_and_texts_reach_the_script(tmp_path: Path) -> None:
    script = """
from pyovms import Tensor
class OvmsPythonModel:
    def execute(self, inputs):
        return [Tensor("b", bytes(inputs[0]))]
"""
    numbers_given = ModelInferRequest(model_name="g")
    given = numbers_given.inputs.add(name="a", datatype="INT32", shape=[2])
    given.contents.int_contents.extend([1, -1])
    texts = ModelInferRequest(model_name="g")
    texts.inputs.add(name="a", datatype="BYTES", shape=[2]).contents.bytes_contents.extend([b"hi", b""])
    with serving(tmp_path, script) as server:
        assert unary(server.address, numbers_given).raw_output_contents[0] == np.array([1, -1], np.int32).tobytes()
        assert unary(server.address, texts).raw_output_contents[0] == b"\x02\0\0\0hi\0\0\0\0"


def test_inputs_come_in_the_order_of_their_tags_and_missing_ones_are_left_out(tmp_path: Path) -> None:
    graph = REGULAR.replace(
        'input_stream: "OVMS_PY_TENSOR:a"', 'input_stream: "OVMS_PY_TENSOR:0:a" input_stream: "OVMS_PY_TENSOR:1:c"'
    )
    graph = graph.replace('input_stream: "INPUT:a"', 'input_stream: "SECOND:a" input_stream: "FIRST:c"')
    script = """
from pyovms import Tensor
class OvmsPythonModel:
    def execute(self, inputs):
        return [Tensor("b", " ".join(tensor.name for tensor in inputs).encode())]
"""
    both = asking(1, VALUES)
    both.inputs.add(name="c", datatype="FP32", shape=VALUES.shape)
    both.raw_input_contents.append(VALUES.tobytes())
    with serving(tmp_path, script, graph) as server:
        assert unary(server.address, both).raw_output_contents[0] == b"c a"
        answers, _, _ = stream(server.address, asking(1, VALUES), asking(2, VALUES))
    assert [item.infer_response.raw_output_contents[0] for item in answers][:1] == [b"a"]


def test_a_python_node_and_a_model_work_in_one_graph(tmp_path: Path) -> None:
    """As in OVMS's documentation, nodes convert the tensors before and after the model."""
    write_onnx(tmp_path / "models" / "m" / "1" / "m.onnx", inputs={"x": (2, 3)})
    graph = """
input_stream: "OVMS_PY_TENSOR:a" output_stream: "OVTENSOR:b"
node { name: "py" calculator: "PythonExecutorCalculator" input_side_packet: "PYTHON_NODE_RESOURCES:py"
  input_stream: "INPUT:a" output_stream: "OUTPUT:x"
  node_options: { [type.googleapis.com/mediapipe.PythonExecutorCalculatorOptions]: { handler_path: "SCRIPT" } } }
node { calculator: "PyTensorOvTensorConverterCalculator" input_stream: "OVMS_PY_TENSOR:x" output_stream: "OVTENSOR:t" }
node { calculator: "PyTensorOvTensorConverterCalculator" input_stream: "OVTENSOR:t" output_stream: "OVMS_PY_TENSOR:p"
  node_options: { [type.googleapis.com/mediapipe.PyTensorOvTensorConverterCalculatorOptions]: {
    tag_to_output_tensor_names { key: "OVMS_PY_TENSOR" value: "p" } } } }
node { calculator: "PyTensorOvTensorConverterCalculator" input_stream: "OVMS_PY_TENSOR:p" output_stream: "OVTENSOR:b" }
"""
    with serving(tmp_path, ADD_ONE.replace('"b"', '"x"'), graph) as server:
        np.testing.assert_array_equal(numbers(unary(server.address, asking(1, VALUES))), VALUES + 1)


def test_sessions_share_the_script_and_run_in_parallel(tmp_path: Path) -> None:
    script = """
import threading
from pyovms import Tensor
class OvmsPythonModel:
    def initialize(self, kwargs):
        self.barrier = threading.Barrier(2, timeout=20)
    def execute(self, inputs):
        self.barrier.wait()  # passes only with two sessions at the same time
        return [Tensor("b", inputs[0])]
"""
    results: list[grpc.StatusCode] = []
    with serving(tmp_path, script) as server:
        threads = [
            threading.Thread(target=lambda: results.append(stream(server.address, asking(1, VALUES))[1]))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [grpc.StatusCode.OK] * 2
