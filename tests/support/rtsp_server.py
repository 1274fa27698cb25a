"""A real RTSP server for tests: GStreamer's, in a process of its own that can be killed and started again."""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from tests.support.killable import KillableProcess
from tests.support.ports import free_port

SCRIPT = Path(__file__).with_name("gst_rtsp_server.py")
SYSTEM_PYTHON = "/usr/bin/python3"
"""Debian's, which has GStreamer's bindings."""
PATTERN = (
    "( videotestsrc is-live=1 pattern=smpte ! video/x-raw,width=160,height=120,framerate=30/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 )"
)
"""A live test picture, 160x120 at 30 frames a second, a key frame each half second."""
SOUND_ONLY = "( audiotestsrc is-live=1 ! alawenc ! rtppcmapay name=pay0 pt=8 )"
MJPEG = (
    "( videotestsrc is-live=1 ! video/x-raw,format=I420,width=160,height=120,framerate=30/1 "
    "! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
)
UNKNOWN_CODEC = (
    "( videotestsrc is-live=1 ! video/x-raw,width=160,height=120,framerate=30/1 ! x264enc tune=zerolatency "
    "! rtpgstpay name=pay0 )"
)


class RtspServer(KillableProcess):
    """Takes streams at ``/publish/NAME`` and plays them at ``/NAME``; ``play`` names pipelines to play."""

    def __init__(
        self,
        *,
        publish: Sequence[str] = (),
        play: dict[str, str] | None = None,
        credentials: tuple[str, str] | None = None,
        auth: str = "digest",
        certificate: Path | None = None,
        port: int | None = None,
        udp_only: bool = False,
        tcp_only: bool = False,
        address: str = "127.0.0.1",
        before: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self._address = address
        command = [*before, SYSTEM_PYTHON, str(SCRIPT), "--port", str(self.port), "--auth", auth]
        command += ["--address", address]
        for name in publish:
            command += ["--publish", name]
        for name, pipeline in (play or {}).items():
            command += ["--play", f"{name}={pipeline}"]
        if credentials is not None:
            command += ["--user", credentials[0], "--password", credentials[1]]
        if certificate is not None:
            command += ["--certificate", str(certificate)]
        if tcp_only:
            command.append("--tcp_only")
        if udp_only:
            command.append("--udp_only")
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def url(self, path: str, user: str = "") -> str:
        """The address of ``path``."""
        return f"rtsp://{user and user + '@'}127.0.0.1:{self.port}/{path}"

    @override
    def start(self) -> None:
        """Serve, at the same port as before."""
        super().start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.kill()
            raise AssertionError(f"the RTSP server does not start: {' '.join(self.command)}")

    def freeze(self) -> None:
        """Say nothing more, and keep every connection open."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self.signal(signal.SIGCONT)
