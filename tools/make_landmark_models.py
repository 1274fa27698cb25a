"""Make the small models of graphs/holistic_landmarks anew. They hold no weights, only arithmetic.

    python tools/make_landmark_models.py

Calculators that OVMS links turn no landmarks into tensors, but a model may join and change tensors as it likes.
docs/decisions/landmarks.md says what the tensors mean.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

MODELS = Path(__file__).resolve().parents[1] / "models"
GRID = (1, 16, 16, 3)
WIDTHS = {"pose": 195 + 117 + 1 + 768, "left_hand": 63 + 1 + 768, "right_hand": 63 + 1 + 768, "face": 1404 + 1 + 768}
"""Values of each part's tensor: landmarks (of the pose also world landmarks), presence, crop of coordinates."""
Shapes = dict[str, tuple[int, ...]]


def _model(
    name: str, nodes: list[onnx.NodeProto], constants: dict[str, npt.NDArray[Any]], inputs: Shapes, outputs: Shapes
) -> onnx.ModelProto:
    def infos(shapes: Shapes) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in shapes.items()]

    tensors = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, infos(inputs), infos(outputs), tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def _join(parts: list[str], output: str) -> list[onnx.NodeProto]:
    """All values of all parts in one row."""
    flat = [helper.make_node("Flatten", [part], [f"{part}_row"], axis=1) for part in parts]
    return [*flat, helper.make_node("Concat", [f"{part}_row" for part in parts], [output], axis=1)]


def pose_points() -> onnx.ModelProto:
    """x and y of the pose's landmarks refined by the heat map, as MediaPipe does; the rest is passed on.

    Source: mediapipe/calculators/util/refine_landmarks_from_heatmap_calculator.cc: the center of mass of a 7x7
    window around each landmark, where the heat map is confident there (0.5). The window comes by a mask.
    """
    float32, int64 = np.float32, np.int64
    constants: dict[str, npt.NDArray[Any]] = {
        "table_shape": np.array([39, 5], int64),
        "row_shape": np.array([1, 195], int64),
        "map_shape": np.array([64, 64, 39], int64),
        "x_at": np.array([0], int64),
        "y_at": np.array([1], int64),
        "rest_at": np.array([2, 3, 4], int64),
        "line_shape": np.array([39], int64),
        "column_shape": np.array([39, 1], int64),
        "cell": np.array(4, float32),  # of the heat map, in pixels of the crop
        "side": np.array(64, float32),
        "none": np.array(0, float32),
        "half": np.array(0.5, float32),
        "tiny": np.array(1e-20, float32),
        "reach": np.array(3, float32),
        "window_axes": np.array([0, 1], int64),
        "columns": np.arange(64, dtype=float32).reshape(1, 64, 1),
        "lines": np.arange(64, dtype=float32).reshape(64, 1, 1),
    }
    nodes: list[onnx.NodeProto] = []

    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    node("Reshape", ["landmarks", "table_shape"], "table")
    node("Reshape", ["heatmap", "map_shape"], "logits")
    node("Sigmoid", ["logits"], "heat")
    conditions = []
    for axis in "xy":
        node("Gather", ["table", f"{axis}_at"], f"{axis}_column", axis=1)
        node("Reshape", [f"{axis}_column", "line_shape"], f"{axis}")
        node("Div", [axis, "cell"], f"{axis}_cells")
        node("Cast", [f"{axis}_cells"], f"{axis}_whole", to=TensorProto.INT32)  # towards zero, as C++ does
        node("Cast", [f"{axis}_whole"], f"{axis}_cell", to=TensorProto.FLOAT)
        node("Sub", [{"x": "columns", "y": "lines"}[axis], f"{axis}_cell"], f"{axis}_offset")
        node("Abs", [f"{axis}_offset"], f"{axis}_distance")
        node("LessOrEqual", [f"{axis}_distance", "reach"], f"{axis}_near")
        conditions.append(node("GreaterOrEqual", [f"{axis}_cell", "none"], f"{axis}_from"))
        conditions.append(node("Less", [f"{axis}_cell", "side"], f"{axis}_to"))
    node("And", ["x_near", "y_near"], "near")
    node("Where", ["near", "heat", "none"], "weights")
    node("ReduceSum", ["weights", "window_axes"], "total", keepdims=0)
    node("ReduceMax", ["weights", "window_axes"], "peak", keepdims=0)
    node("Max", ["total", "tiny"], "divisor")
    use = node("GreaterOrEqual", ["peak", "half"], "confident")
    for condition in conditions:
        use = node("And", [use, condition], f"use_{condition}")
    for axis, ruler in (("x", "columns"), ("y", "lines")):
        node("Mul", ["weights", ruler], f"{axis}_moments")
        node("ReduceSum", [f"{axis}_moments", "window_axes"], f"{axis}_moment", keepdims=0)
        node("Div", [f"{axis}_moment", "divisor"], f"{axis}_mean")
        node("Mul", [f"{axis}_mean", "cell"], f"{axis}_refined")
        node("Where", [use, f"{axis}_refined", axis], f"{axis}_chosen")
        node("Reshape", [f"{axis}_chosen", "column_shape"], f"{axis}_new")
    node("Gather", ["table", "rest_at"], "rest", axis=1)
    node("Concat", ["x_new", "y_new", "rest"], "new_table", axis=1)
    node("Reshape", ["new_table", "row_shape"], "refined")
    nodes += _join(["refined", "world", "presence", "crop"], "pose")
    inputs: Shapes = {
        "landmarks": (1, 195),
        "heatmap": (1, 64, 64, 39),
        "world": (1, 117),
        "presence": (1, 1),
        "crop": GRID,
    }
    return _model("pose_points", nodes, constants, inputs, {"pose": (1, WIDTHS["pose"])})


def part_points(name: str, landmarks: tuple[int, ...], presence: tuple[int, ...], width: int) -> onnx.ModelProto:
    """Landmarks, presence and the crop of the coordinates, in one row."""
    inputs: Shapes = {"landmarks": landmarks, "presence": presence, "crop": GRID}
    return _model(name, _join(["landmarks", "presence", "crop"], "points"), {}, inputs, {"points": (1, width)})


def no_landmarks() -> onnx.ModelProto:
    """``tick`` FP32 [1, 8, 8, 3] to zeros for every part: what a graph answers while nobody is seen."""
    constants: dict[str, npt.NDArray[Any]] = {
        "axes": np.array([1, 2, 3], np.int64),
        "axis": np.array([1], np.int64),
        "nothing": np.array(0, np.float32),
        **{f"no_{part}": np.zeros((1, width), np.float32) for part, width in WIDTHS.items()},
    }
    nodes = [
        helper.make_node("ReduceMax", ["tick", "axes"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "nothing"], ["zero"]),
        helper.make_node("Unsqueeze", ["zero", "axis"], ["column"]),
        *(helper.make_node("Add", ["column", f"no_{part}"], [part]) for part in WIDTHS),
    ]
    outputs: Shapes = {part: (1, width) for part, width in WIDTHS.items()}
    return _model("no_landmarks", nodes, constants, {"tick": (1, 8, 8, 3)}, outputs)


def main() -> None:
    """Write the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder to write to (default: models)")
    options = parser.parse_args()
    made = {
        "pose_points": pose_points(),
        "hand_points": part_points("hand_points", (1, 63), (1, 1), WIDTHS["left_hand"]),
        "face_points": part_points("face_points", (1, 1, 1, 1404), (1, 1, 1, 1), WIDTHS["face"]),
        "no_landmarks": no_landmarks(),
    }
    for name, model in made.items():
        path = options.models / name / "1" / f"{name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
