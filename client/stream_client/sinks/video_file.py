"""Video files: H.264, or VP9 in WebM, by PyAV; timestamps as in the source, finalised on every exit."""

import logging
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import av.error
from av.video.frame import PictureType

from kserve_wire.pictures.rgb import threads_for
from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Image, Result, StreamInfo
from stream_client.publishing.encoder import LEAD_QUALITY, live_x264
from stream_client.publishing.leading import Lead
from stream_client.publishing.options import DEFAULTS
from stream_client.publishing.sharing import RawFrame, raw_frame
from stream_client.publishing.wire import VideoTrack
from stream_client.rtsp.h264 import annex_b, parameter_sets, split_access_unit
from stream_client.sinks.audio import RULES, AudioWriter
from stream_client.sinks.output_file import OutputFile, sink_errors
from stream_client.sound.packets import SoundFeed
from stream_client.util.media import YuvFrames, declare, written_shape

logger = logging.getLogger(__name__)

_TIME_BASE = Fraction(1, 90_000)  # MPEG's clock: exact for the usual frame rates
_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".ts": "mpegts", ".webm": "webm"}


class FileSink:
    """Writes the frames to ``path``. The container follows the extension (.mp4, .m4v, .mov, .mkv, .ts, .webm).

    MP4 is written in fragments, which become an ordinary file at the end. So after a full disk or a killed process the
    file plays, without the last few frames. With ``fragmented`` it stays in fragments, as browsers' Media Source
    Extensions take it, and nothing is written a second time at the end. ``quality`` is x264's constant rate factor,
    0…51, lower is better. Where live outputs follow ``lead``, they take what the file encodes.

    One of several files that follow each other begins at ``zero``, in seconds of the source, and has the rest of the
    ``sound`` that those before it had.
    """

    takes_planes = True

    def __init__(
        self,
        path: str | Path,
        *,
        quality: int = DEFAULTS.quality,
        fragmented: bool = False,
        zero: float = 0.0,
        sound: SoundFeed | None = None,
        lead: Lead | None = None,
    ) -> None:
        self._path = Path(path)
        self._zero = zero
        self._sound = sound
        self._output: OutputFile | None = None
        self._pipe: IO[bytes] | None = None
        self.name = f"file {self._path.name}"
        if self._path.suffix.lower() not in _CONTAINERS:
            raise ConfigurationError(
                f"{self._path}: unknown extension {self._path.suffix!r}; {', '.join(_CONTAINERS)} can be written",
                option="sinks",
            )
        self._fragmented = fragmented
        self._codec, self._options = _encoder(self._path.suffix.lower(), quality)
        self._lead = lead if self._codec == "libx264" else None
        self._led_options = live_x264(min(51, quality + LEAD_QUALITY), careful=False)
        self._leads = False
        self._sets = b""  # parameter sets that packets lack
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._frame = YuvFrames()
        self._audio: AudioWriter | None = None
        self._info: StreamInfo | None = None
        self._matrix = 0
        self._last_pts = -1
        self._failed = False
        self._resized = False
        self._count = 0

    def open(self, info: StreamInfo) -> None:
        """Create the file."""
        if info.path is not None and self._path.exists() and Path(info.path).samefile(self._path):
            raise SinkError(f"{self._path} is the input as well", option="sinks")
        self._info = info
        suffix = self._path.suffix.lower()
        container = _CONTAINERS[suffix]
        options = {"flush_packets": "1"}
        if container in ("mp4", "mov"):
            fragments = "+frag_keyframe+empty_moov+default_base_moof" if self._fragmented else "+hybrid_fragmented"
            options["movflags"] = fragments
            options["frag_duration"] = "30000"  # µs: one or two frames a fragment cost 2 % in size
        self._output = OutputFile(self._path, "sinks")
        with sink_errors(f"cannot write {self._path}", "sinks"):
            self._pipe = self._path.open("wb", buffering=0) if self._output.is_pipe else None
            target = self._pipe or f"file:{self._output.written_to}"
            self._container = av.open(target, "w", format=container, options=options)
        if self._sound is None and info.sound is not None:
            self._sound = SoundFeed(info.sound, RULES[suffix])
        if self._sound is not None:
            self._audio = AudioWriter(self._sound, self._zero)

    def write(self, result: Result) -> bool:
        """Encode the result's image at the frame's own time."""
        assert self._container is not None
        assert self._output is not None
        assert self._info is not None
        try:
            if self._stream is None:
                self._start(result.image)
            assert self._stream is not None
            raw = raw_frame(result)
            frame = self._frame(raw.picture, self._matrix)
            seconds = result.time - self._zero
            pts = max(round(seconds / _TIME_BASE), self._last_pts + 1)
            self._last_pts = pts
            frame.pts = pts
            frame.time_base = _TIME_BASE
            if (frame.width, frame.height) != (self._stream.width, self._stream.height):
                self._note_size(frame.width, frame.height)
                frame = frame.reformat(width=self._stream.width, height=self._stream.height)
            packets = self._encode(frame, raw)
            if self._audio is not None:
                self._audio.advance(seconds)
            self._container.mux(packets)
            self._output.take_place()
            self._count += 1
        except (OSError, av.error.FFmpegError) as error:
            self._failed = True
            raise SinkError(
                f"writing {self._path} failed: {error.strerror}; what was written is kept", option="sinks"
            ) from error
        return True

    def close(self) -> None:
        """Finish the file."""
        try:
            self._finish()
        finally:
            if self._lead is not None and self._leads:
                self._lead.end()
                self._leads = False
            if self._output is not None:
                self._output.close()
            if self._pipe is not None:
                self._pipe.close()

    @property
    def kept(self) -> int:
        """Frames in the file: all that were written, or what can be read of it after an error."""
        return min(self._count, _frames_in(self._path)) if self._failed else self._count

    def _finish(self) -> None:
        if self._container is None:
            return
        container, self._container = self._container, None
        try:
            if self._stream is None:
                container.close()
                return
            if not self._failed:
                container.mux(self._stream.encode(None))
                if self._audio is not None:
                    self._audio.advance(self._last_pts * float(_TIME_BASE) + self._frame_seconds())
                    self._audio.close()
            container.close()
            if not self._failed and self._output is not None:
                self._output.check()
        except (OSError, av.error.FFmpegError) as error:
            if not self._failed:
                self._failed = True
                raise SinkError(f"finishing {self._path} failed: {error.strerror}", option="sinks") from error

    def _start(self, image: Image) -> None:
        assert self._container is not None
        assert self._info is not None
        shape = written_shape(self._info, image)
        self._matrix = shape.color.matrix
        stream = self._container.add_stream(self._codec, rate=self._info.frame_rate or Fraction(30))
        assert isinstance(stream, av.VideoStream)
        declare(stream.codec_context, shape)
        stream.codec_context.time_base = _TIME_BASE
        stream.codec_context.thread_count = threads_for(shape.width, shape.height)
        stream.codec_context.gop_size = max(1, round(2 * float(self._info.frame_rate or 30)))
        self._leads = self._lead is not None and self._lead.begin(VideoTrack(shape, self._info.frame_rate))
        stream.options = dict(self._led_options if self._leads else self._options)
        self._stream = stream
        if self._audio is not None:
            self._audio.start(self._container)
        self._container.start_encoding()  # else FFmpeg opens the file with the first packet, when it has moved
        self._sets = annex_b(parameter_sets(split_access_unit(stream.codec_context.extradata or b"")) or ())

    def _encode(self, frame: av.VideoFrame, raw: RawFrame) -> "list[av.Packet[av.VideoStream]]":
        """The frame's packets, which live outputs take before the disk does."""
        assert self._stream is not None
        if self._lead is None or not self._leads:
            return self._stream.encode(frame)
        if self._lead.wants_key(raw):
            frame.pict_type = PictureType.I
        packets = self._stream.encode(frame)
        for packet in packets:
            key = packet.is_keyframe
            self._lead.put(raw, self._sets + bytes(packet) if key else bytes(packet), key=key)
        return packets

    def _note_size(self, width: int, height: int) -> None:
        """Said once: a server may change the size with each frame."""
        if not self._resized:
            self._resized = True
            logger.warning(
                "%s: the frame size changed to %dx%d; frames are scaled to the first size", self.name, width, height
            )

    def _frame_seconds(self) -> float:
        assert self._info is not None
        return 1.0 / float(self._info.frame_rate or 30)


def _encoder(suffix: str, quality: int) -> tuple[str, dict[str, str]]:
    """FFmpeg's name of the encoder for files with this extension, and its options."""
    if suffix == ".webm":
        # VP9's constant quality goes to 63. Its fastest mode keeps up with a stream.
        speed = {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "lag-in-frames": "0"}
        return "libvpx-vp9", {**speed, "crf": str(min(63, 6 + round(quality * 63 / 51))), "b": "0"}
    # No B-frames: in a fragmented file they would shift every timestamp by their delay.
    # Motion in whole pixels (subq) saves a third of the encoder's time. It costs 0.2 dB and a tenth in size.
    # Looking 3 frames ahead instead of 10 writes them sooner. It costs 0.7 dB; the file is a tenth smaller.
    return "libx264", {"preset": "veryfast", "subq": "0", "crf": str(quality), "bf": "0", "rc-lookahead": "3"}


def _frames_in(path: Path) -> int:
    """How many video frames can be read from a file that may be cut off."""
    count = 0
    try:
        with av.open(f"file:{path}") as container:
            for packet in container.demux(video=0):
                count += packet.size > 0 and not packet.is_corrupt  # the last one may be cut
    except (OSError, av.error.FFmpegError):
        pass  # the end of what can be read
    return count
