"""Your own OVMS, or any KServe v2 server, with one call for each frame.

    python examples/own_ovms_unary.py host:9000 [VIDEO] [--model_name NAME]

Unary calls suit models that are served by themselves. Several calls are in flight; results come in order.
"""

import argparse
from pathlib import Path

from graph_server.assets import ensure_clip
from stream_client import RunOptions, StreamClient, TransportOptions

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("address")
parser.add_argument("video", nargs="?", type=Path)
parser.add_argument("--model_name")
options = parser.parse_args()
transport = TransportOptions(options.address, api="unary", model_name=options.model_name)
run = RunOptions(max_inflight=4)
with StreamClient(options.video or ensure_clip(), transport=transport, options=run) as client:
    for result in client:
        shapes = {name: tensor.array.shape for name, tensor in result.outputs.items()}
        print(result.frame.index, f"{1000 * result.latency:.0f} ms", shapes)
