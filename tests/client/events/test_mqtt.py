"""Events at the real mosquitto, which comes and goes."""

import json
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from stream_client import ArraySource, Result, StreamClient
from stream_client.errors import ConfigurationError
from stream_client.events.outputs.delivery import Delivery
from stream_client.events.outputs.factory import open_event_output
from stream_client.events.read import parse_rules
from stream_client.events.sink import EventsSink
from stream_client.testing import FakeTransport, frames
from stream_client.util.backoff import Backoff
from stream_client.util.urls import CREDENTIALS_VARIABLE
from tests.support.server_process import ServerProcess, mosquitto
from tests.support.waiting import wait_until

RULES = parse_rules(
    {
        "rule": [
            {"name": "fall", "label": "lying"},
            {"name": "the door", "line": [[0, 0], [1, 1]]},
        ]
    }
)


class Subscriber:
    """Hears everything below a topic, through restarts of the broker, and counts.

    What a killed broker sends once more, since our acknowledgement had not reached it, is heard once: it is marked,
    while a message that was published twice is not.
    """

    def __init__(self, port: int, topic: str = "#") -> None:
        self.heard: list[tuple[str, str, bool]] = []
        self.ready = threading.Event()
        # The broker keeps what comes while the subscriber is away.
        self._client = paho.Client(CallbackAPIVersion.VERSION2, secrets.token_hex(8), clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = self._on_message
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        assert self.ready.wait(10)

    def _on_message(self, _: paho.Client, __: object, message: paho.MQTTMessage) -> None:
        heard = (message.topic, message.payload.decode(), message.retain)
        if not (message.dup and heard in self.heard):
            self.heard.append(heard)

    def events(self) -> list[Any]:
        return [json.loads(text) for topic, text, _ in list(self.heard) if "/events/" in topic]

    def last(self, topic: str) -> str | None:
        return next((text for found, text, _ in reversed(self.heard) if found == topic), None)

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ServerProcess]:
    with mosquitto(tmp_path) as server:
        yield server


def event(number: int, phase: str = "begin", rule: str = "fall", name: str | None = None) -> dict[str, object]:
    return {"id": name or f"{number}", "message": f"{number}-{phase}", "phase": phase, "rule": rule}


def deliver(port: int, **options: Any) -> Delivery:
    output = open_event_output(f"mqtt://127.0.0.1:{port}")
    delivery = Delivery(output, backoff=Backoff(first=0.1, longest=0.2), **options)
    delivery.start("camera", RULES)
    return delivery


def kill(broker: ServerProcess, folder: Path) -> None:
    """Kill it after it has written down who has subscribed."""
    broker.signal(signal.SIGUSR1)
    wait_until((folder / "mosquitto.db").exists)
    broker.kill()


def end(delivery: Delivery) -> None:
    delivery.finish(5)
    delivery.join()


def test_events_and_states_arrive_by_topic(broker: ServerProcess) -> None:
    with Subscriber(broker.port, "stream_client/#") as subscriber:
        delivery = deliver(broker.port)
        wait_until(lambda: subscriber.last("stream_client/camera/availability") == "online")
        assert subscriber.last("stream_client/camera/state/fall") == "OFF"
        delivery.put(event(1))
        delivery.put(event(2, "moment", "the door"))
        wait_until(lambda: len(subscriber.events()) == 2)
        assert subscriber.last("stream_client/camera/state/fall") == "ON"
        assert subscriber.last("stream_client/camera/state/the door") == "ON"
        delivery.put(event(3, "end", name="1"))
        end(delivery)
        wait_until(lambda: subscriber.last("stream_client/camera/availability") == "offline")
        assert subscriber.last("stream_client/camera/state/fall") == "OFF"
        assert [each["message"] for each in subscriber.events()] == ["1-begin", "2-moment", "3-end"]
    with Subscriber(broker.port, "stream_client/#") as late:  # what is retained, and nothing else
        wait_until(lambda: len(late.heard) >= 2)
        assert {topic: text for topic, text, _ in late.heard} == {
            "stream_client/camera/availability": "offline",
            "stream_client/camera/state/fall": "OFF",
        }
        assert all(retained for _, _, retained in late.heard)


def test_home_assistant_finds_a_sensor_for_each_rule(broker: ServerProcess) -> None:
    delivery = deliver(broker.port)
    with Subscriber(broker.port, "homeassistant/#") as subscriber:
        wait_until(lambda: len(subscriber.heard) >= 2)
    end(delivery)
    found = {topic: json.loads(text) for topic, text, _ in subscriber.heard}
    fall = found["homeassistant/binary_sensor/stream_client_camera/fall/config"]
    assert fall["state_topic"] == "stream_client/camera/state/fall"
    assert fall["availability_topic"] == "stream_client/camera/availability"
    assert "off_delay" not in fall
    assert found["homeassistant/binary_sensor/stream_client_camera/the_door/config"]["off_delay"] == 2
    assert fall["device"] == found["homeassistant/binary_sensor/stream_client_camera/the_door/config"]["device"]
    assert len({each["unique_id"] for each in found.values()}) == 2


def test_a_stream_that_is_gone_is_offline_by_the_brokers_hand(broker: ServerProcess) -> None:
    from stream_client.events.outputs.mqtt import MqttOutput

    output = MqttOutput(f"mqtt://127.0.0.1:{broker.port}")
    with Subscriber(broker.port, "stream_client/#") as subscriber:
        output.open("camera", RULES)
        wait_until(lambda: subscriber.last("stream_client/camera/availability") == "online")
        output._client.socket().close()  # type: ignore[union-attr] # as when the machine loses power
        wait_until(lambda: subscriber.last("stream_client/camera/availability") == "offline")
        wait_until(lambda: subscriber.last("stream_client/camera/availability") == "online")
    output.abort()
    output.close()


def test_a_broker_that_is_killed_in_a_run_gets_every_event_once(broker: ServerProcess, tmp_path: Path) -> None:
    sink = EventsSink(
        parse_rules({"rule": [{"name": "even", "when": "frame % 2 == 0", "gap": 0}]}),
        [open_event_output(f"mqtt://127.0.0.1:{broker.port}")],
        folder=tmp_path / "events",
        stream="camera",
    )
    seen: list[int] = []

    def step(result: Result) -> None:
        """The broker is away from frame 40 to 80."""
        index = result.frame.index
        if index == 40:
            wait_until(lambda: sink._deliveries[0].counts.sent == 40)  # one message a frame, and none on its way
            wait_until(lambda: len(subscriber.events()) == 40)
            kill(broker, tmp_path)
        if index == 80:
            broker.start()
        if index == 110:
            wait_until(lambda: sink._deliveries[0].counts.sent > 80)  # the broker is found again
        seen.append(index)

    with Subscriber(broker.port) as subscriber:
        StreamClient(ArraySource(frames(120), frame_rate=30), sink, FakeTransport(), on_result=step).run()
        assert seen == list(range(120))
        wait_until(lambda: len(subscriber.events()) >= 120)
        messages = [each["message"] for each in subscriber.events()]
    assert len(messages) == len(set(messages)) == 120
    phases = [each["phase"] for each in subscriber.events()]
    assert phases == ["begin", "end"] * 60  # in order


def test_beyond_the_buffer_the_oldest_are_dropped_and_counted(broker: ServerProcess, tmp_path: Path) -> None:
    with Subscriber(broker.port) as subscriber:
        kill(broker, tmp_path)
        delivery = deliver(broker.port, capacity=10)
        for number in range(25):
            delivery.put(event(number))
        assert delivery.counts.dropped == 15
        broker.start()
        wait_until(lambda: not delivery.counts.waiting)
        end(delivery)
        wait_until(lambda: len(subscriber.events()) >= delivery.counts.sent)
    # One of the dropped may have been on its way, and arrives after all.
    heard = [int(each["message"].partition("-")[0]) for each in subscriber.events()]
    assert heard[-10:] == [*range(15, 25)]
    assert len(heard) == 10 or (len(heard) == 11 and heard[0] < 15)
    assert (delivery.counts.sent, delivery.counts.dropped) == (len(heard), 25 - len(heard))


def test_a_password_comes_from_the_environment_and_is_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    subprocess.run(["mosquitto_passwd", "-b", "-c", tmp_path / "users", "me", "s3cret"], check=True)
    (tmp_path / "users").chmod(0o644)
    with mosquitto(tmp_path, "allow_anonymous false", f"password_file {tmp_path / 'users'}") as broker:
        address = f"mqtt://127.0.0.1:{broker.port}"
        monkeypatch.setenv(CREDENTIALS_VARIABLE, address.replace("//", "//me:wr0ng@"))
        delivery = deliver(broker.port)
        delivery.put(event(1))
        wait_until(lambda: "the broker refuses: Not authorized" in caplog.text, seconds=15)
        delivery.finish(0)
        delivery.join()
        monkeypatch.setenv(CREDENTIALS_VARIABLE, address.replace("//", "//me:s3cret@"))
        delivery = deliver(broker.port)
        delivery.put(event(2))
        wait_until(lambda: delivery.counts.sent == 1)
        end(delivery)
    assert "wr0ng" not in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("url", ["mqtt://", "mqtt://host/a+b", "mqtt://host?topic=a", "mqtt://host:99999"])
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_event_output(url)
    assert caught.value.option == "events_output"
