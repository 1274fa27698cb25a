"""Prometheus metrics of a run, and the verdict: where the time went.

python examples/metrics.py [SOURCE] [--port 9464] [--frames 100]
"""

import argparse
import urllib.request

from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.monitoring.options import MetricsOptions
from stream_client.monitoring.prometheus import Monitor
from stream_client.monitoring.statistics import Statistics

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("source", nargs="?", default="testsrc:320x240@30")
parser.add_argument("--port", type=int, default=9464, help="0: any free one")
parser.add_argument("--frames", type=int, default=100)
options = parser.parse_args()
statistics = Statistics()
client = StreamClient(
    options.source,
    transport=TransportOptions("embedded", model_name="passThrough"),
    options=RunOptions(limit_frames=options.frames),
    observers=[statistics],
)
with Monitor(statistics, MetricsOptions(metrics_port=options.port)) as monitor:
    assert monitor.url is not None
    client.run()
    with urllib.request.urlopen(monitor.url) as page:
        lines = page.read().decode().splitlines()
print("\n".join(line for line in lines if line.startswith("stream_client_frames_total")))
