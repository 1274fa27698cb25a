"""A model that is a Python function: no server, the same flow control, ledger and sinks.

python examples/model_as_function.py
"""

import numpy as np

from stream_client import Outputs, Request, StreamClient
from stream_client.testing import frames


def brightness(request: Request) -> Outputs:
    """Scores of two labels; `inputs[0]` is the frame."""
    light = float(request.inputs[0].array.mean()) / 255
    return {"scores": np.array([[1 - light, light]], np.float32)}


with StreamClient(frames(200), transport=brightness, label_names=["dark", "light"]) as client:
    found = [result.label.name for result in client if result.label]
print(f"{found.count('dark')} dark, {found.count('light')} light")
