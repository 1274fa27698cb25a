"""Redis, datagrams and files."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import redis

from stream_client.errors import ConfigurationError, SinkError
from stream_client.events.outputs.delivery import Delivery
from stream_client.events.outputs.factory import open_event_output
from stream_client.util.backoff import Backoff
from stream_client.util.urls import CREDENTIALS_VARIABLE
from tests.support.server_process import redis_server
from tests.support.waiting import wait_until


def event(number: int) -> dict[str, object]:
    return {"id": str(number), "message": f"{number}-begin", "phase": "begin", "rule": "fall"}


def started(url: str) -> Delivery:
    delivery = Delivery(open_event_output(url), backoff=Backoff(first=0.05, longest=0.1))
    delivery.start("camera", ())
    return delivery


def end(delivery: Delivery) -> None:
    delivery.finish(5)
    delivery.join()


def test_a_redis_that_is_killed_gets_every_event_in_order(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        delivery = started(f"redis://127.0.0.1:{server.port}/0?stream=alarms")
        for number in range(10):
            delivery.put(event(number))
        wait_until(lambda: delivery.counts.sent == 10)
        server.kill()
        for number in range(10, 20):
            delivery.put(event(number))
        server.start()
        wait_until(lambda: delivery.counts.sent == 20)
        end(delivery)
        with redis.Redis(port=server.port) as reader:
            entries: Any = reader.xrange("alarms")
    assert [fields[b"message"].decode() for _, fields in entries] == [f"{number}-begin" for number in range(20)]
    assert [json.loads(fields[b"event"]) for _, fields in entries] == [event(number) for number in range(20)]


def test_a_key_that_is_no_stream_refuses_and_a_password_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path, "--requirepass", "s3cret") as server:
        address = f"redis://127.0.0.1:{server.port}"
        delivery = started(address)
        delivery.put(event(0))
        wait_until(lambda: "events wait" in caplog.text)
        delivery.finish(0)
        delivery.join()
        monkeypatch.setenv(CREDENTIALS_VARIABLE, address.replace("//", "//:s3cret@"))
        with redis.Redis(port=server.port, password="s3cret") as writer:
            writer.set("taken", "text")
        delivery = started(f"{address}?stream=taken")
        delivery.put(event(1))
        end(delivery)
    assert delivery.counts.refused == 1
    assert "WRONGTYPE" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_datagram_holds_a_message() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        delivery = started(f"udp://127.0.0.1:{receiver.getsockname()[1]}")
        delivery.put(event(0))
        assert json.loads(receiver.recv(65_536)) == event(0)
        delivery.put({**event(1), "label": "x" * 70_000})
        end(delivery)
    assert (delivery.counts.sent, delivery.counts.refused) == (1, 1)


def test_a_file_keeps_the_events_of_earlier_runs(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    for number in range(2):
        delivery = started(str(path))
        delivery.put(event(number))
        end(delivery)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [event(0), event(1)]
    with pytest.raises(SinkError, match="Is a directory"):
        started(str(tmp_path))


@pytest.mark.parametrize("url", ["", "ftp://host", "udp://host", "http://", "redis://host/name", "redis://host?key=a"])
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_event_output(url)
    assert caught.value.option == "events_output"
    assert "\n" not in str(caught.value)
