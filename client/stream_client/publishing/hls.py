"""HLS in a folder, for a web server to serve: a playlist and its newest segments."""

from pathlib import Path

from stream_client.errors import OutputRefusedError
from stream_client.publishing.mpegts import SOUND_RULE
from stream_client.publishing.muxer import Muxer
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import SoundRule
from stream_client.sound.track import SoundFormat

_SEGMENTS = 6
_LONGEST_WAIT = "100000"
"""Microseconds that FFmpeg waits for sound before it writes a frame."""
_FLAGS = "delete_segments+program_date_time+temp_file+independent_segments+append_list+discont_start"


class HlsWire:
    """Writes ``playlist``, whole at each change, and segments of ``seconds`` beside it. Old segments are deleted."""

    def __init__(self, playlist: Path, seconds: float) -> None:
        self._playlist = playlist
        self._seconds = seconds
        self._muxer: Muxer | None = None

    sound_rule: SoundRule | None = SOUND_RULE

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        """Find out whether the folder can be written, and go on with the playlist that is there."""
        folder = self._playlist.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".{self._playlist.name}.probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
            raise OutputRefusedError(f"{folder} cannot be written: {reason}; name another one", final=True) from error
        options = {
            "hls_time": f"{self._seconds:g}",
            "hls_list_size": str(_SEGMENTS),
            "hls_delete_threshold": "2",
            "hls_flags": _FLAGS,
            "hls_segment_filename": str(folder / f"{self._playlist.stem}%05d.ts"),
            "max_interleave_delta": _LONGEST_WAIT,
        }
        self._muxer = Muxer(str(self._playlist), "hls", first, options, sound)

    def send(self, frame: PublishedFrame) -> int:
        """Write a frame."""
        assert self._muxer is not None
        return self._muxer.mux(frame)

    def send_sound(self, packet: SoundPacket) -> int:
        """Write sound."""
        assert self._muxer is not None
        return self._muxer.mux_sound(packet)

    def queued(self) -> int | None:
        """A disk is no line."""
        return None

    def close(self) -> None:
        """Finish the last segment and the playlist."""
        muxer, self._muxer = self._muxer, None
        if muxer is not None:
            muxer.close()

    def abort(self) -> None:
        """Nothing waits here but a disk."""
