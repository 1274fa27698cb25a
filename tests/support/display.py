"""A virtual screen, and pictures of it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt


@contextmanager
def virtual_display(screen: str) -> Iterator[str]:
    """Xvfb with a screen such as ``320x240x24``; gives the display's name."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", screen, "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as ready:
            yield f":{ready.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def screenshot(path: Path) -> npt.NDArray[np.uint8]:
    """The whole screen of ``DISPLAY``, RGB uint8; ``path`` is where it is kept."""
    subprocess.run(["import", "-window", "root", str(path)], check=True)
    with av.open(str(path)) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)
