"""A KServe v2 server that is not OVMS: name the model and, where it does not describe itself, its input.

    python examples/other_kserve_server.py host:8001 MODEL [VIDEO] [--input_name NAME] [--layout nhwc] [--dtype FP32]

Triton, MLServer and others speak the same protocol. Everything that the server answers is in `result.outputs`.
"""

import argparse

from stream_client import RunOptions, StreamClient, TransportOptions

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("address")
parser.add_argument("model")
parser.add_argument("video", nargs="?", default="testsrc:160x120@15")
parser.add_argument("--input_name")
parser.add_argument("--layout", choices=("hwc", "nhwc", "nchw"))
parser.add_argument("--dtype")
parser.add_argument("--frames", type=int, default=0, help="0: all")
options = parser.parse_args()
transport = TransportOptions(
    options.address,
    api="unary",
    model_name=options.model,
    input_name=options.input_name,
    input_layout=options.layout,
    input_dtype=options.dtype,
)
with StreamClient(options.video, transport=transport, options=RunOptions(limit_frames=options.frames)) as client:
    for result in client:
        print(result.frame.index, {name: tensor.array.shape for name, tensor in result.outputs.items()})
