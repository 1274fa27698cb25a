"""A WHEP server of aiortc's that plays the numbered test pattern; a process of its own that can be killed."""

import argparse
import asyncio
import base64
import sys
import threading
import time
import uuid
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from stream_client.test_source.code import FrameCode
from stream_client.test_source.pattern import TestPattern
from tests.conftest import ROOT
from tests.support.claps import clap
from tests.support.server_process import ServerProcess

RATE = 30


class Tone(MediaStreamTrack):
    """Loud in the first fifth of each half second since the frames began, as :mod:`tests.support.claps` is."""

    kind = "audio"
    RATE, SAMPLES = 48_000, 960

    def __init__(self, began: float) -> None:
        super().__init__()
        self._index = 0
        self._began = began

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, at their time."""
        start = self._index * self.SAMPLES
        await asyncio.sleep(max(0.0, self._began + (start + self.SAMPLES) / self.RATE - time.monotonic()))
        times = np.arange(start, start + self.SAMPLES) / self.RATE
        samples = np.where(times % 0.5 < 0.1, 16_000 * np.sin(2 * np.pi * 1000 * times), 0.0).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self.RATE, start, Fraction(1, self.RATE)
        self._index += 1
        return frame


class Claps(MediaStreamTrack):
    """White while a tone is loud, else black."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._index = 0
        self.began = time.monotonic()

    async def recv(self) -> av.VideoFrame:
        """The next frame, at its time."""
        await asyncio.sleep(max(0.0, self.began + self._index / RATE - time.monotonic()))
        frame = av.VideoFrame.from_ndarray(clap(self._index), format="rgb24")
        frame.pts, frame.time_base = self._index, Fraction(1, RATE)
        self._index += 1
        return frame


class Pattern(MediaStreamTrack):
    """Frames that are numbered from 0, ``RATE`` a second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._pattern = TestPattern(320, 240)
        self._index = 0
        self._began = time.monotonic()

    async def recv(self) -> av.VideoFrame:
        """The next frame, at its time."""
        await asyncio.sleep(max(0.0, self._began + self._index / RATE - time.monotonic()))
        code = FrameCode(self._index, round(1e6 * time.time()))
        frame = av.VideoFrame.from_ndarray(self._pattern.paint(code), format="rgb24")
        frame.pts, frame.time_base = self._index, Fraction(1, RATE)
        self._index += 1
        return frame


def main() -> None:
    """Serve ``/live/whep`` and, with sound, ``/claps/whep`` to whom has the login; nobody publishes elsewhere."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--token", default="")
    parser.add_argument("--login", default="")
    given = parser.parse_args()
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    peers: dict[str, RTCPeerConnection] = {}
    """By the path of the session."""
    logins = [f"Bearer {given.token}"] if given.token else []
    logins += ["Basic " + base64.b64encode(given.login.encode()).decode()] if given.login else []

    async def answer(offer: str, path: str, session: str) -> str:
        peer = peers[session] = RTCPeerConnection()
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        if path == "/claps/whep":
            claps = Claps()
            peer.addTrack(claps)
            peer.addTrack(Tone(claps.began))
        else:
            peer.addTrack(Pattern())
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if logins and self.headers.get("Authorization") not in logins:
                self.send_error(401)
            elif self.path not in ("/live/whep", "/claps/whep"):
                self.send_error(404)
            else:
                session = f"/session/{uuid.uuid4()}"
                body = asyncio.run_coroutine_threadsafe(answer(offer, self.path, session), loop).result(20).encode()
                self.send_response(201)
                self.send_header("Content-Type", "application/sdp")
                self.send_header("Location", session)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def do_DELETE(self) -> None:
            peer = peers.pop(self.path, None)
            if peer is not None:
                asyncio.run_coroutine_threadsafe(peer.close(), loop).result(20)
            self.send_response(200 if peer is not None else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", given.port), Handler).serve_forever()


class WhepServer(ServerProcess):
    """Runs :func:`main` as long as it is a context."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.support.whep_server", "--port", "{port}", *arguments]
        super().__init__(command, "python3", ROOT)

    def url(self, path: str = "live", login: str = "") -> str:
        """The address of ``path``."""
        return f"whep://{login}127.0.0.1:{self.port}/{path}/whep"


if __name__ == "__main__":
    main()
