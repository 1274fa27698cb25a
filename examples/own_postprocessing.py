"""Draw what you like: `postprocess` makes the frame that the sinks show.

    python examples/own_postprocessing.py [VIDEO] [--out annotated.mp4]

Here: a bar for the label's score, and everything gray while nobody is seen.
"""

import argparse
from pathlib import Path

import numpy as np

from graph_server.assets import ensure_clip
from stream_client import Image, Result, StreamClient


def draw(result: Result) -> Image:
    """RGB uint8 [height, width, 3]. The result's image must not be changed: copy it first."""
    image = result.image.copy()
    if result.label is None:
        return np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    width = round(image.shape[1] * result.label.score)
    image[-20:, :width] = (0, 200, 0)
    return image


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("video", nargs="?", type=Path)
parser.add_argument("--out", default="annotated.mp4")
options = parser.parse_args()
summary = StreamClient(options.video or ensure_clip(), options.out, postprocess=draw).run()
print(f"{options.out}: {summary.ledger.line()}")
