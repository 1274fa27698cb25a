"""What the scripts of this folder share. They run in an environment of their own, with its clients and no pytest."""

import sys
from collections.abc import Callable

import numpy as np

FRAME = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
"""For the graph `passThrough`, which gives it back."""
COLORS = np.full((1, 8, 8, 3), (1, 2, 3), np.float32)
"""For the model `colors`, which gives the mean of each channel."""

Case = Callable[[str, str], None]


def run(*cases: Case) -> None:
    """Run the case of that name, with the addresses of a server: gRPC and REST."""
    name, grpc, rest = sys.argv[1:]
    {case.__name__: case for case in cases}[name](grpc, rest)
