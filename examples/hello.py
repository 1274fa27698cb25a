"""The shortest program: a video in, labels out, with the local graph server.

    python examples/hello.py [VIDEO]

Without VIDEO it takes the demo clip.
"""

import sys

from graph_server.assets import ensure_clip
from stream_client import StreamClient

video = sys.argv[1] if len(sys.argv) > 1 else ensure_clip()
with StreamClient(video) as client:
    for result in client:
        print(f"{result.time:6.2f} s  {result.label.name if result.label else '-'}")
