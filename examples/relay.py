"""RTSP in, annotated RTSP out. Source, server and output may go away and come back.

python examples/relay.py rtsp://host/camera rtsp://host/annotated [--seconds 0]
"""

import argparse

from stream_client import RunOptions, StreamClient

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("source")
parser.add_argument("output")
parser.add_argument("--seconds", type=float, default=0.0, help="end after this time; 0: never")
options = parser.parse_args()
client = StreamClient(options.source, options.output, options=RunOptions(limit_stream_duration=options.seconds))
summary = client.run()
print(summary.ledger.line())
for name, connection in summary.connections.items():
    print(f"{name}: {connection.line()}")
