"""The HTTP of a WebRTC session."""

import asyncio
import socket
import threading

import pytest

from stream_client.webrtc.endpoint import Endpoint


@pytest.mark.parametrize("answer", [b"\x00\x00\x12\x04 gRPC\r\n\r\n", b"HTTP/1.1 201 Created\r\n" + bytes(70_000)])
def test_a_server_that_does_not_speak_http_is_named_so(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection = server.accept()[0]
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        url = f"whep://127.0.0.1:{server.getsockname()[1]}/live"
        endpoint = Endpoint(url, token_variable="NONE", timeout=5, insecure=False)
        with pytest.raises(ConnectionError, match="the server does not speak HTTP"):
            asyncio.run(endpoint.offer("v=0\r\n"))
        serving.join()
