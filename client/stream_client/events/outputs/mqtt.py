"""Events over MQTT, with states that Home Assistant finds by itself."""

import json
import re
import threading
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from stream_client.errors import ConfigurationError
from stream_client.events.event import Message
from stream_client.events.rules import LineRule, Rule
from stream_client.util.extras import install_command
from stream_client.util.redact import redact
from stream_client.util.urls import check_url, credentials_for

try:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode
except ImportError as missing:
    raise ConfigurationError(
        f"mqtt:// needs paho-mqtt: {install_command('events')}", option="events_output"
    ) from missing

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]+")
_SECONDS = 5.0
_GOODBYE_SECONDS = 0.3
_MOST_QUEUED = 100
"""Messages within the MQTT library: states, and the one event that is on its way."""
_MOMENT_SECONDS = 2
"""How long Home Assistant shows a moment."""


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """``mqtt://host:1883/PREFIX?discovery=PREFIX``. ``discovery``: of Home Assistant's topics, empty for none."""

    host: str
    port: int
    tls: bool
    prefix: str
    discovery: str


def mqtt_address(url: str) -> MqttAddress:
    """The parts of a URL; raises :class:`.ConfigurationError`."""
    check_url(url, "events_output")
    parts = urlsplit(url)
    query = parse_qs(parts.query, keep_blank_values=True)
    prefix = parts.path.strip("/") or "stream_client"
    discovery = query.get("discovery", ["homeassistant"])[0]
    if set(query) - {"discovery"} or re.search(r"[+#\0]", prefix + discovery):
        raise ConfigurationError(
            f"{redact(url)}: mqtt://host:1883/PREFIX?discovery=PREFIX is expected", option="events_output"
        )
    tls = parts.scheme.lower() == "mqtts"
    return MqttAddress(str(parts.hostname), parts.port or (8883 if tls else 1883), tls, prefix, discovery.strip("/"))


@dataclass(slots=True)
class _State:
    """A rule's topics, and the events of it that last."""

    rule: Rule
    topic: str
    events_topic: str
    lasting: set[str] = field(default_factory=set)

    @property
    def momentary(self) -> bool:
        """Whether its events have no length."""
        return isinstance(self.rule, LineRule) or self.rule.on != "while"


class MqttOutput:
    """Publishes messages with QoS 1 on ``PREFIX/STREAM/events/RULE``.

    ``PREFIX/STREAM/state/RULE`` is ``ON`` while an event of the rule lasts, retained. ``PREFIX/STREAM/availability`` is
    ``online``, or ``offline`` by the broker's hand when the program is gone. The connection is the library's, in its
    own thread; it reconnects by itself, and a message that was on its way is sent again by the rules of QoS 1.
    """

    def __init__(self, url: str) -> None:
        self.name = redact(url)
        self._address = mqtt_address(url)
        self._connected = threading.Event()
        self._aborted = False
        self._reason = "no broker answers"
        self._base = ""
        self._stream = ""
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}
        self._on_its_way: tuple[object, int] | None = None
        """A message and the number that MQTT has for it."""
        self._changed = threading.Condition()
        self._acknowledged: deque[int] = deque(maxlen=2 * _MOST_QUEUED)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.max_queued_messages_set(_MOST_QUEUED)
        self._client.reconnect_delay_set(min_delay=1, max_delay=5)
        self._client.connect_timeout = _SECONDS
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        credentials = credentials_for(url)
        if credentials is not None:
            self._client.username_pw_set(credentials.user, credentials.password)
        if self._address.tls:
            self._client.tls_set()

    def open(self, stream: str, rules: tuple[Rule, ...]) -> None:
        """Begin to connect."""
        self._stream = stream
        self._base = f"{self._address.prefix}/{stream}"
        self._states = {
            rule.name: _State(rule, f"{self._base}/state/{rule.name}", f"{self._base}/events/{rule.name}")
            for rule in rules
        }
        self._client.will_set(f"{self._base}/availability", "offline", qos=1, retain=True)
        self._client.connect_async(self._address.host, self._address.port, keepalive=15)
        self._client.loop_start()

    def expect(self, message: Message) -> None:
        """The rule's state changes now, also where its messages wait or are dropped."""
        state = self._states[str(message["rule"])]
        with self._lock:
            before = bool(state.lasting)
            if message["phase"] == "begin":
                state.lasting.add(str(message["id"]))
            elif message["phase"] == "end":
                state.lasting.discard(str(message["id"]))
            changed = bool(state.lasting) != before
        if self._connected.is_set() and (changed or message["phase"] == "moment"):
            self._publish_state(state, moment=message["phase"] == "moment")

    def send(self, message: Message) -> None:
        """Publish, and wait for the broker's answer."""
        number = message["message"]
        if self._on_its_way is None or self._on_its_way[0] != number:
            if not self._connected.wait(_SECONDS) or self._aborted:
                raise ConnectionError(self._reason)
            topic = self._states[str(message["rule"])].events_topic
            info = self._client.publish(topic, json.dumps(message, ensure_ascii=False), qos=1)
            if info.rc == paho.MQTT_ERR_QUEUE_SIZE:
                raise ConnectionError("the broker takes nothing")
            self._on_its_way = (number, info.mid)
        known = self._on_its_way[1]
        with self._changed:
            arrived = self._changed.wait_for(lambda: known in self._acknowledged or self._aborted, _SECONDS)
        if not arrived or self._aborted:
            raise ConnectionError(self._reason)
        self._on_its_way = None

    def abort(self) -> None:
        """Make :meth:`send` fail."""
        self._aborted = True
        self._connected.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Say that the stream is offline, and leave."""
        if self._client.is_connected():
            known = self._client.publish(f"{self._base}/availability", "offline", qos=1, retain=True).mid
            with self._changed:
                self._changed.wait_for(lambda: known in self._acknowledged, _GOODBYE_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self, client: paho.Client, data: object, flags: paho.ConnectFlags, reason: ReasonCode, more: Properties | None
    ) -> None:
        if reason.is_failure:
            self._reason = f"the broker refuses: {reason}"
            return
        client.publish(f"{self._base}/availability", "online", qos=1, retain=True)
        for state in self._states.values():
            if self._address.discovery:
                self._announce(state)
            self._publish_state(state)
        self._connected.set()

    def _on_disconnect(
        self,
        client: paho.Client,
        data: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        more: Properties | None,
    ) -> None:
        if not self._aborted:
            self._connected.clear()
        if not self._reason.startswith("the broker refuses"):
            self._reason = "the connection to the broker is lost"

    def _on_publish(self, client: paho.Client, data: object, number: int, reason: ReasonCode, more: Properties) -> None:
        """The broker has it: called once for each message with QoS 1, also where that was sent again."""
        with self._changed:
            self._acknowledged.append(number)
            self._changed.notify_all()

    def _publish_state(self, state: _State, *, moment: bool = False) -> None:
        if state.momentary and not moment:
            return
        with self._lock:
            on = moment or bool(state.lasting)
        self._client.publish(state.topic, "ON" if on else "OFF", qos=1, retain=not moment)

    def _announce(self, state: _State) -> None:
        """As https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery and /binary_sensor.mqtt/ say."""
        node, name = (_NOT_IN_IDS.sub("_", text) for text in (self._stream, state.rule.name))
        entity: dict[str, object] = {
            "name": state.rule.name,
            "unique_id": f"stream_client_{node}_{name}",
            "state_topic": state.topic,
            "payload_on": "ON",
            "payload_off": "OFF",
            "availability_topic": f"{self._base}/availability",
            "json_attributes_topic": state.events_topic,
            "device": {"identifiers": [f"stream_client_{node}"], "name": self._stream},
            "origin": {"name": "ovms-stream-client"},
        }
        if state.momentary:
            entity["off_delay"] = _MOMENT_SECONDS
        topic = f"{self._address.discovery}/binary_sensor/stream_client_{node}/{name}/config"
        self._client.publish(topic, json.dumps(entity, ensure_ascii=False), qos=1, retain=True)
