"""A WHIP server of aiortc's, in a thread: it takes one stream after another and keeps the newest frame."""

import asyncio
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from stream_client.frames import Image


class WhipServer:
    """Takes streams at ``/live/whip`` from clients with ``token``."""

    def __init__(self, token: str = "", port: int = 0) -> None:
        self.newest: Image | None = None
        self.on_frame: Callable[[Image], None] = lambda image: None
        """Called with each frame, in the loop."""
        self.tones = 0
        """How often it became loud."""
        self.deleted = 0
        self.changed = threading.Condition()
        self._token = token
        self._tasks: list[asyncio.Future[None]] = []
        self._peers: list[RTCPeerConnection] = []
        self._loop = asyncio.new_event_loop()
        self._media = threading.Thread(target=self._loop.run_forever)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if server._token and self.headers.get("Authorization") != f"Bearer {server._token}":
                    self.send_error(401)
                    return
                answer = asyncio.run_coroutine_threadsafe(server._answer(offer), server._loop).result(20).encode()
                self.send_response(201)
                self.send_header("Content-Type", "application/sdp")
                self.send_header("Location", "/session/1")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_DELETE(self) -> None:
                server.deleted += 1
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._serving = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self.url = f"whip://127.0.0.1:{self._http.server_address[1]}/live/whip"

    async def _answer(self, offer: str) -> str:
        peer = RTCPeerConnection()
        self._peers.append(peer)

        @peer.on("track")
        def taken(track: Any) -> None:
            self._tasks.append(
                asyncio.ensure_future(self._watch(track) if track.kind == "video" else self._hear(track))
            )

        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    async def _watch(self, track: Any) -> None:
        try:
            while True:
                image = (await track.recv()).to_ndarray(format="rgb24").astype(np.uint8)
                self.on_frame(image)
                with self.changed:
                    self.newest = image
                    self.changed.notify_all()
        except MediaStreamError:
            return

    async def _hear(self, track: Any) -> None:
        loud = False
        try:
            while True:
                samples = (await track.recv()).to_ndarray()
                before, loud = loud, bool(np.abs(samples.astype(int)).max() > 3000)
                with self.changed:
                    self.tones += loud and not before
                    self.changed.notify_all()
        except MediaStreamError:
            return

    def cut(self) -> None:
        """End every session."""
        peers, self._peers = self._peers, []
        for peer in peers:
            asyncio.run_coroutine_threadsafe(peer.close(), self._loop).result(10)

    def wait_for_frame(self) -> Image:
        """A frame that comes from now on."""
        with self.changed:
            self.newest = None
            assert self.changed.wait_for(lambda: self.newest is not None, 30)
            assert self.newest is not None
            return self.newest

    def wait_for_tones(self, count: int) -> None:
        """Until it has become loud so often."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.tones >= count, 30)

    def __enter__(self) -> "WhipServer":
        self._media.start()
        self._serving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._http.shutdown()
        self._serving.join()
        self._http.server_close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._media.join()
        self._loop.close()
