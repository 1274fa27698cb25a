"""Messages are as docs/events.schema.json says."""

import json
from dataclasses import replace

import jsonschema
import pytest

from stream_client.events.event import Event, Phase, message
from tests.client.events.scenes import at, label
from tests.conftest import ROOT

SCHEMA = json.loads((ROOT / "docs" / "events.schema.json").read_text())
EVENT = Event("rule", "begin", 1_500_000, 1_000_000)
EVENTS = [
    EVENT,
    replace(EVENT, phase="end", end=2_000_000, label=label("lying")),
    replace(EVENT, phase="moment", end=1_500_000, subject=at(3, 0.5, 0.5), direction="left", counts={"left": 1}),
    replace(EVENT, phase="clip", subject=at(None, 0.5, 0.5)),
]


def check(document: object) -> None:
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(document)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.phase)
def test_a_message_is_as_the_schema_says(event: Event) -> None:
    check(message(event, stream="camera", frame=45, clock=1.7e9, snapshot="a.jpg", clip=None))


@pytest.mark.parametrize(("key", "wrong"), [("phase", "maybe"), ("track", -1), ("clip", 3), ("more", 1)])
def test_the_schema_refuses_what_is_no_message(key: str, wrong: object) -> None:
    phase: Phase = "begin"
    row = {**message(replace(EVENT, phase=phase), stream="camera", frame=45, clock=1.7e9), key: wrong}
    with pytest.raises(jsonschema.ValidationError):
        check(row)
