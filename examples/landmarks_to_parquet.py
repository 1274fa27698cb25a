"""Landmarks of pose, hands and face of each frame as a table.

    python examples/landmarks_to_parquet.py [VIDEO] [--out landmarks.parquet]

Needs the extra `parquet`.
"""

import argparse
from pathlib import Path

import pyarrow.parquet

from graph_server.assets import ensure_clip
from stream_client import LandmarksSink, StreamClient, TransportOptions

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("video", nargs="?", type=Path)
parser.add_argument("--out", type=Path, default=Path("landmarks.parquet"))
options = parser.parse_args()
transport = TransportOptions("embedded", model_name="holisticLandmarks")
StreamClient(options.video or ensure_clip(), LandmarksSink(options.out), transport).run()
table = pyarrow.parquet.read_table(options.out)
print(f"{options.out}: {table.num_rows} rows of {', '.join(table.column_names[:6])}, …")
