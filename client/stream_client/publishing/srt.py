"""MPEG-TS by SRT, which the system's ffmpeg carries. It takes bytes as they are, so it adds no frame of delay.

The options of the URL's query, a passphrase among them, reach it by a file that only it reads: every user of the
machine can see a command line.
"""

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import termios
import threading
from typing import IO
from urllib.parse import urlsplit

from stream_client.errors import ConfigurationError, OutputRefusedError
from stream_client.publishing.mpegts import DATAGRAM, SOUND_RULE, TransportStream
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import SoundRule
from stream_client.sound.track import SoundFormat
from stream_client.util.srt_url import srt_parameters

_NOTHING = (b"\x47\x1f\xff\x10" + bytes(184)) * 7
"""Empty packets of MPEG-TS: ffmpeg connects when the first bytes come."""
_OPENED = "Output #0"
_MEANINGS = {
    "Incorrect passphrase": "the passphrase is wrong",
    "BADSECRET": "the passphrase is wrong",
    "UNSECURE": "the server wants a passphrase: ?passphrase=…",
    "PEER REJECTED": "the server refuses the stream: look at the passphrase and the streamid",
}


def check_srt_url(url: str) -> None:
    """Raise :class:`.ConfigurationError` for a URL or a machine that cannot work."""
    srt_parameters(url, "sinks")
    if shutil.which("ffmpeg") is None or sys.platform == "win32":
        raise ConfigurationError("srt:// output needs the program ffmpeg, which is not on the PATH", option="sinks")


class SrtWire:
    """Owns an ffmpeg process, and the thread that reads what it says."""

    def __init__(self, url: str, *, timeout: float) -> None:
        parts = urlsplit(url)
        self._address = f"srt://{parts.netloc.rpartition('@')[2]}"
        self._options = {"mode": "caller", **srt_parameters(url, "sinks")}
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._changed = threading.Condition()
        self._opened = self._over = False
        self._words: list[str] = []
        self._stream: TransportStream | None = None

    sound_rule: SoundRule | None = SOUND_RULE

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        """Start ffmpeg and wait until it is connected."""
        self._start()
        self._put(_NOTHING)
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._over, min(within, self._timeout))
            if not self._opened:
                self._refuse()
        self._stream = TransportStream(sound)

    def send(self, frame: PublishedFrame) -> int:
        """Send a frame."""
        assert self._stream is not None
        return self._put(self._stream.mux(frame))

    def send_sound(self, packet: SoundPacket) -> int:
        """Send sound."""
        assert self._stream is not None
        return self._put(self._stream.mux_sound(packet))

    def queued(self) -> int | None:
        """Bytes that ffmpeg has not taken. SRT itself drops what is older than its latency."""
        assert self._process is not None
        assert self._process.stdin is not None
        return int(struct.unpack("i", fcntl.ioctl(self._process.stdin.fileno(), termios.FIONREAD, b"\0" * 4))[0])

    def close(self) -> None:
        """End the process and its thread."""
        self._stream = None
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if self._listener is not None:
            self._listener.join()
        for pipe in (process.stdin, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def abort(self) -> None:
        """End the process. This also ends every wait for it."""
        process = self._process
        if process is not None:
            process.kill()

    def _start(self) -> None:
        reading, writing = os.pipe()
        with os.fdopen(writing, "w") as options:
            options.writelines(f"{name}={value}\n" for name, value in self._options.items())
        command = ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "info"]
        command += ["-f", "data", "-raw_packet_size", str(DATAGRAM), "-i", "pipe:0", "-map", "0", "-c", "copy"]
        command += ["-f", "data", "-fpre", f"/dev/fd/{reading}", "-flush_packets", "1", self._address]
        pipe = subprocess.PIPE
        try:
            # Ctrl-C reaches the whole foreground group. This child ends when its owner ends it.
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, pass_fds=[reading], start_new_session=True
            )
        finally:
            os.close(reading)
        assert self._process.stderr is not None
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), name="ffmpeg messages")
        self._listener.start()

    def _listen(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            with self._changed:
                text = line.decode(errors="replace").strip()
                self._opened |= text.startswith(_OPENED)
                self._words = [*self._words[-9:], text]
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _put(self, data: bytes) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError as error:
            with self._changed:  # its last words come after its end of the pipe has closed
                self._changed.wait_for(lambda: self._over, self._timeout)
            raise ConnectionResetError(self._reason()) from error
        return len(data)

    def _refuse(self) -> None:
        if not self._over:
            raise TimeoutError
        reason = self._reason()
        raise OutputRefusedError(reason, final=reason in _MEANINGS.values())

    def _reason(self) -> str:
        said = " ".join(self._words)
        for sign, meaning in _MEANINGS.items():
            if sign in said:
                return meaning
        return "nobody takes the stream there; is the server running?"
