"""An RTSP server that sends without end."""

import socketserver
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress

from stream_client.rtsp.messages import interleaved
from tests.support.kserve_server import ScriptedServer
from tools.attacks.attacked_client import AttackedClient, attacked_client, figures, under_attack
from tools.attacks.base import Attack, Figure

DESCRIPTION = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 packetization-mode=1\r\na=control:t\r\n"
)


def _packets(payload: bytes, first: int) -> bytes:
    """Sixteen packets of one frame."""
    header = [struct.pack("!BBHII", 0x80, 96, (first + index) & 0xFFFF, 5, 1) for index in range(16)]
    return b"".join(interleaved(0, each + payload) for each in header)


FLOODS = {
    "units of one frame": ("PLAY", b"\x41" + bytes(60_000)),
    "fragments of one unit": ("PLAY", b"\x7c\x05" + bytes(60_000)),
    "small units of one frame": ("PLAY", b"\x18" + b"\0\1\x41" * 20_000),
    "packets before an answer": ("SETUP", b"\x41" + bytes(60_000)),
    "a body without end": ("BODY", b""),
}


class _Connection(socketserver.StreamRequestHandler):
    server: "FloodingRtsp"

    def handle(self) -> None:
        with suppress(OSError):
            self._answer()

    def _answer(self) -> None:
        method = number = ""
        for line in self.rfile:
            if b"RTSP/1.0" in line:
                method = line.split()[0].decode()
            elif line.lower().startswith(b"cseq"):
                number = line.split()[1].decode()
            elif not line.strip():
                if method == self.server.when:
                    self._flood()
                self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{self._rest(method)}".encode())
                if method == "PLAY":
                    self._flood()

    def _rest(self, method: str) -> str:
        if method == "DESCRIBE":
            return f"Content-Type: application/sdp\r\nContent-Length: {len(DESCRIPTION)}\r\n\r\n{DESCRIPTION}"
        if method == "SETUP":
            return "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
        return "\r\n"

    def _flood(self) -> None:
        self.server.flooding.set()
        if self.server.when == "BODY":
            self.wfile.write(b"RTSP/1.0 200 OK\r\nCSeq: 9\r\nContent-Length: 9999999999\r\n\r\n")
        if self.server.payload.startswith(b"\x7c"):
            self.wfile.write(_packets(b"\x7c\x85" + bytes(1000), 0))
        number = 16
        while True:
            self.wfile.write(_packets(self.server.payload, number) if self.server.payload else bytes(1 << 20))
            number += 16


class FloodingRtsp(socketserver.ThreadingTCPServer):
    """Sends ``payload`` for ever: after PLAY's answer, or in place of the answer to ``when``."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, when: str, payload: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.when = when if when != "PLAY" else ""
        self.payload = payload
        self.flooding = threading.Event()
        self.url = f"rtsp://127.0.0.1:{self.server_address[1]}/x"
        threading.Thread(target=self.serve_forever, daemon=True).start()


def floods(short: bool) -> Sequence[Figure]:
    """A relay from each of the servers, ended after some seconds."""
    clients: list[AttackedClient] = []
    with ScriptedServer() as server:
        for when, payload in FLOODS.values():
            rtsp = FloodingRtsp(when, payload)
            flags = ("--grpc_address", server.address, "--model_name", "graph", "--source_timeout", "2")
            with attacked_client(*flags, "--input_stream", rtsp.url, "--output_stream", "none") as client:
                under_attack(client, rtsp.flooding.is_set, 2 if short else 12)
            clients.append(client)
            rtsp.shutdown()
            rtsp.server_close()
    return figures(clients)


ATTACKS = (Attack("an RTSP server that sends without end", "client", floods),)
