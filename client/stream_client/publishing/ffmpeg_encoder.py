"""An encoder of the system's ffmpeg, for what PyAV's own FFmpeg lacks: h264_vaapi, h264_qsv, h264_nvenc, …

Raw frames go to its standard input. FLV comes from its standard output: each part of FLV states its length, so an
access unit can be read as soon as it is written. ffmpeg only encodes, so no credentials are on its command line.
"""

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import IO

import numpy as np

from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Image, Planes
from stream_client.publishing.encoder import BUFFER_SECONDS, live_x264
from stream_client.publishing.options import DEFAULTS
from stream_client.publishing.wire import VideoTrack
from stream_client.util.bounded_queue import BoundedQueue
from stream_client.util.color import SDR
from stream_client.util.extras import install_command
from stream_client.util.media import ImageShape
from stream_client.util.planes import PlaneImages

_START_CODE = b"\x00\x00\x00\x01"
_SCALE_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
"""The names that FFmpeg's scale filter has for the matrices that can be written."""
_VIDEO_TAG, _CONFIGURATION, _PICTURE = 9, 0, 1


def ffmpeg_command(
    codec: str, shape: ImageShape, *, quality: int = DEFAULTS.quality, limit: int | None = None
) -> list[str]:
    """The command line that encodes images of ``shape``, made by ffmpeg-python; ``limit`` in bits a second."""
    try:
        import ffmpeg
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the encoder ffmpeg needs ffmpeg-python: {install_command('ffmpeg')}", option="encoder"
        ) from error
    if shutil.which("ffmpeg") is None:
        raise ConfigurationError(
            "the encoder ffmpeg needs the program ffmpeg, which is not on the PATH", option="encoder"
        )
    before: dict[str, object] = {"format": "rawvideo", "pix_fmt": "rgb24", "s": f"{shape.width}x{shape.height}"}
    after: dict[str, object] = {
        "format": "flv",
        "vcodec": codec,
        "bf": 0,
        "g": 600,
        "force_key_frames": "expr:gte(t,n_forced)",  # one a second
        "fps_mode": "passthrough",
        "flush_packets": 1,
        "flvflags": "no_duration_filesize",
    }
    aspect, color = shape.sample_aspect_ratio, shape.color
    filters = [
        f"scale=out_color_matrix={_SCALE_MATRICES[color.matrix]}:out_range=tv",
        f"setsar={aspect.numerator}/{aspect.denominator}",
    ]
    if codec.endswith("_vaapi"):
        filters += ["format=nv12", "hwupload"]
    elif codec.endswith("_qsv"):
        filters += ["format=nv12"]
    else:
        filters += ["format=yuv420p"]
    after["vf"] = ",".join(filters)
    after |= {"colorspace": color.matrix, "color_range": "tv"}
    after |= {"color_primaries": color.primaries, "color_trc": color.transfer}
    if codec == "libx264":
        after |= live_x264(quality, careful=limit is not None)
    if limit is not None:
        after |= {"maxrate": limit, "bufsize": round(limit * BUFFER_SECONDS)}
        after |= {} if codec == "libx264" else {"video_bitrate": limit}
    frames = ffmpeg.input("pipe:", use_wallclock_as_timestamps=1, **before)
    options = ["-hide_banner", "-loglevel", "error"]
    if codec.endswith("_vaapi"):
        options += ["-vaapi_device", "/dev/dri/renderD128"]
    return [str(word) for word in frames.output("pipe:", **after).global_args(*options).compile()]


def check_ffmpeg(codec: str) -> None:
    """Raise :class:`.ConfigurationError` if ffmpeg or ffmpeg-python is missing."""
    ffmpeg_command(codec, ImageShape(2, 2, Fraction(1), SDR))


class FfmpegEncoder:
    """Owns an ffmpeg process and the two threads that read its output."""

    WAIT_SECONDS = 0.1
    """Seconds to wait for a frame's access unit. A later one comes with the next frame."""

    def __init__(
        self,
        track: VideoTrack,
        limit: int | None = None,
        *,
        codec: str = "libx264",
        quality: int = DEFAULTS.quality,
    ) -> None:
        command = ffmpeg_command(codec, track.shape, quality=quality, limit=limit)
        self._codec = codec
        self._image = PlaneImages()
        self._units: BoundedQueue[bytes] = BoundedQueue(8)
        self._last_words: list[str] = []
        pipe = subprocess.PIPE
        # Ctrl-C reaches the whole foreground group. This child ends when its owner ends it.
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._threads = [
            threading.Thread(target=self._read_units, args=(self._process.stdout,), name="ffmpeg output"),
            threading.Thread(target=self._read_words, args=(self._process.stderr,), name="ffmpeg messages"),
        ]
        for thread in self._threads:
            thread.start()

    def encode(self, picture: Image | Planes, presentation: int, *, key: bool = False) -> list[bytes]:
        """Send a frame to ffmpeg, which takes RGB, and wait briefly for the access unit."""
        image = self._image(picture) if isinstance(picture, Planes) else picture
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(image).data)
            self._process.stdin.flush()
        except OSError as error:
            self._process.wait()
            self._threads[1].join()
            words = "; ".join(self._last_words[-2:]) or f"exit status {self._process.returncode}"
            raise SinkError(f"ffmpeg cannot encode with {self._codec}: {words}", option="encoder") from error
        units = []
        unit = self._units.get_within(self.WAIT_SECONDS)
        while unit is not None:
            units.append(unit)
            unit = self._units.get_within(0.0)
        return units

    def abort(self) -> None:
        """End the process. This also ends every wait for it."""
        self._process.kill()

    def close(self) -> None:
        """End the process and its threads."""
        self._process.kill()
        self._units.close()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _read_units(self, pipe: IO[bytes]) -> None:
        for unit in access_units(pipe):
            if not self._units.put(unit):
                break
        self._units.close()

    def _read_words(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._last_words = [*self._last_words[-9:], line.decode(errors="replace").strip()]


def access_units(flv: IO[bytes]) -> Iterator[bytes]:
    """The access units of an FLV stream in Annex B's form, the parameter sets before every key frame.

    Adobe's Flash Video specification 10.1, annex E; the configuration record is ISO/IEC 14496-15, 5.2.4.1.
    """
    flv.read(13)
    sets = b""
    while len(header := flv.read(11)) == 11:
        body = flv.read(int.from_bytes(header[1:4], "big"))
        flv.read(4)
        if header[0] & 0x1F != _VIDEO_TAG or len(body) < 5:
            continue
        if body[1] == _CONFIGURATION:
            sets = _parameter_sets(body[5:])
        elif body[1] == _PICTURE:
            unit = _annex_b(body[5:])
            yield sets + unit if body[0] >> 4 == 1 else unit


def _parameter_sets(record: bytes) -> bytes:
    found, position = b"", 5
    for mask in (0x1F, 0xFF):
        count = record[position] & mask
        position += 1
        for _ in range(count):
            length = int.from_bytes(record[position : position + 2], "big")
            found += _START_CODE + record[position + 2 : position + 2 + length]
            position += 2 + length
    return found


def _annex_b(data: bytes) -> bytes:
    parts, position = [], 0
    while position + 4 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        parts += [_START_CODE, data[position + 4 : position + 4 + length]]
        position += 4 + length
    return b"".join(parts)
