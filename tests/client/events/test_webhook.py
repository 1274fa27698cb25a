"""Webhooks: receivers that fail, stall, refuse and redirect."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stream_client.events.outputs.delivery import Delivery
from stream_client.events.outputs.factory import open_event_output
from stream_client.events.outputs.webhook import WebhookOutput, signature
from stream_client.monitoring.events import MessageCounts
from stream_client.util.backoff import Backoff
from stream_client.util.urls import CREDENTIALS_VARIABLE
from tests.support.in_thread import InThread
from tests.support.ports import free_port
from tests.support.waiting import wait_until

Answer = Callable[[int], int | None]
"""The status of the n-th request; ``None``: no answer at all."""


class Receiver(InThread, ThreadingHTTPServer):
    """Keeps what is posted. ``answer`` says with which status."""

    daemon_threads = True

    def __init__(self, answer: Answer, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answer = answer
        self.posts: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def messages(self) -> list[str]:
        return [json.loads(body)["message"] for _, body in self.posts]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        number = len(self.server.posts)
        self.server.posts.append((dict(self.headers), body))
        status = self.server.answer(number)
        if status is None:
            time.sleep(1.0)
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


def event(number: int) -> dict[str, object]:
    return {"id": str(number), "message": f"{number}-begin", "phase": "begin", "rule": "fall"}


def delivery_to(url: str, *, capacity: int = 100, timeout: float = 0.3) -> Delivery:
    delivery = Delivery(
        WebhookOutput(url, timeout=timeout), capacity=capacity, backoff=Backoff(first=0.02, longest=0.05)
    )
    delivery.start("camera", ())
    return delivery


def end(delivery: Delivery, within: float = 5.0) -> None:
    delivery.finish(within)
    delivery.join()


@pytest.mark.parametrize("trouble", [500, 503, 408, 429, None], ids=str)
def test_a_receiver_that_fails_or_stalls_gets_the_same_message_again(trouble: int | None) -> None:
    with Receiver(lambda number: trouble if number in (1, 2) else 200) as receiver:
        delivery = delivery_to(receiver.url)
        for number in range(4):
            delivery.put(event(number))
        end(delivery)
    assert receiver.messages() == ["0-begin", "1-begin", "1-begin", "1-begin", "2-begin", "3-begin"]
    assert [headers["X-Event-Message"] for headers, _ in receiver.posts] == receiver.messages()
    assert (delivery.counts.sent, delivery.counts.waiting) == (4, 0)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
def test_a_refused_message_is_counted_and_the_next_one_goes_on(status: int, caplog: pytest.LogCaptureFixture) -> None:
    with Receiver(lambda number: status if number == 0 else 204) as receiver:
        delivery = delivery_to(receiver.url)
        delivery.put(event(0))
        delivery.put(event(1))
        end(delivery)
    assert receiver.messages() == ["0-begin", "1-begin"]
    assert (delivery.counts.sent, delivery.counts.refused) == (1, 1)
    assert "refused an event" in caplog.text


def test_a_receiver_that_is_away_gets_what_waits_and_the_rest_is_counted() -> None:
    port = free_port()
    delivery = delivery_to(f"http://127.0.0.1:{port}/hook", capacity=5)
    for number in range(12):
        delivery.put(event(number))
    assert delivery.counts.dropped == 7
    with Receiver(lambda number: 200, port) as receiver:
        wait_until(lambda: delivery.counts.sent == 5)
        end(delivery)
    assert receiver.messages() == [f"{number}-begin" for number in range(7, 12)]
    assert (delivery.counts.sent, delivery.counts.dropped) == (5, 7)


def test_what_is_dropped_on_its_way_is_in_doubt_until_it_has_arrived() -> None:
    asked, answer = threading.Event(), threading.Event()

    def late(number: int) -> int:
        asked.set()
        answer.wait(10)
        return 200

    with Receiver(late) as receiver:
        delivery = delivery_to(receiver.url, capacity=1, timeout=10.0)
        delivery.put(event(0))
        assert asked.wait(10)
        delivery.put(event(1))
        assert delivery.counts == MessageCounts(sent=0, dropped=1, waiting=1, in_doubt=1)
        answer.set()
        end(delivery)
    assert delivery.counts == MessageCounts(sent=2)


def test_what_is_not_delivered_at_the_end_is_said(caplog: pytest.LogCaptureFixture) -> None:
    delivery = delivery_to(f"http://127.0.0.1:{free_port()}/hook")
    for number in range(3):
        delivery.put(event(number))
    end(delivery, 0.1)
    assert delivery.counts.waiting == 3
    assert "0 events sent, 0 dropped, 0 refused, 3 not delivered at the end" in caplog.text


def test_the_end_waits_as_long_as_messages_go_out() -> None:
    with Receiver(lambda number: time.sleep(0.05) or 200) as receiver:  # type: ignore[func-returns-value]
        delivery = delivery_to(receiver.url)
        for number in range(20):
            delivery.put(event(number))
        end(delivery, 0.5)
    assert len(receiver.posts) == 20


def test_a_message_is_signed_with_the_secret_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(lambda number: 200) as receiver:
        monkeypatch.setenv(CREDENTIALS_VARIABLE, receiver.url.replace("//", "//hook:s3cret@"))
        delivery = delivery_to(receiver.url)
        delivery.put(event(0))
        end(delivery)
    headers, body = receiver.posts[0]
    assert headers["X-Event-Signature"] == signature("s3cret", headers["X-Event-Timestamp"], body)
    assert "s3cret" not in str(receiver.posts) + caplog.text + delivery.name
    assert "Authorization" not in headers


def test_the_signature_is_the_published_hmac() -> None:
    # printf 1.hello | openssl dgst -sha256 -hmac key
    assert signature("key", "1", b"hello") == (
        "sha256=9233658ef5e21fe59dba8abb099c978547d7626f87090a6a585c26a2a98a91f8"
    )


def test_an_answer_that_is_no_http_is_tried_again() -> None:
    import socketserver

    class Garbage(InThread, socketserver.TCPServer):
        pass

    class Talk(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(b"SSH-2.0\r\n\r\n")

    with Garbage(("127.0.0.1", 0), Talk) as server:
        output = open_event_output(f"http://127.0.0.1:{server.server_address[1]}/")
        with pytest.raises(OSError, match="no answer in HTTP"):
            output.send(event(0))
