"""Cameras at this machine, by Video4Linux."""

import errno
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from stream_client.cameras.found import FoundCamera, Mode
from stream_client.errors import ConfigurationError
from stream_client.util.extras import install_command

_MOST_MODES = 64
"""Modes of a camera that are listed. Some virtual ones name thousands of sizes."""


def local_cameras(folder: Path = Path("/dev")) -> list[FoundCamera]:
    """The devices that give frames, in the order of their numbers; raises :class:`.ConfigurationError` elsewhere than
    on Linux, or without linuxpy.
    """
    if not sys.platform.startswith("linux"):
        raise ConfigurationError("local cameras are listed on Linux only: try 0, 1, …", option="input_stream")
    try:
        from linuxpy.video import device
    except ImportError as error:
        raise ConfigurationError(f"listing cameras needs linuxpy: {install_command('cameras')}") from error
    found = []
    for path in sorted(folder.glob("video*"), key=_number):
        camera = _described(device, path)
        if camera is not None:
            found.append(camera)
    return found


def _described(device: Any, path: Path) -> FoundCamera | None:
    """A camera; ``None`` for a device that gives no frames, such as one for metadata."""
    number = str(_number(path))
    try:
        with device.Device(path) as opened:
            info = opened.info
            if device.Capability.VIDEO_CAPTURE not in info.device_capabilities:
                return None
            rates: dict[tuple[str, int, int], set[float]] = defaultdict(set)
            for kind in info.frame_types[: _MOST_MODES * 8]:
                key = (kind.pixel_format.name, kind.width, kind.height)
                rates[key].add(round(float(kind.max_fps), 3))
            modes = tuple(Mode(*key, tuple(sorted(values, reverse=True))) for key, values in rates.items())
            return FoundCamera("local", str(info.card), number, modes[:_MOST_MODES])
    except PermissionError:
        return FoundCamera("local", str(path), number, problem="it may not be read: join the group video")
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            return None
        busy = error.errno == errno.EBUSY
        problem = "another program uses it" if busy else (error.strerror or os.strerror(error.errno or 0))
        return FoundCamera("local", str(path), number, problem=problem)


def _number(path: Path) -> int:
    digits = path.name.removeprefix("video")
    return int(digits) if digits.isdigit() else sys.maxsize
