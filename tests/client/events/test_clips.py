"""Events of a run: messages, snapshots, and clips that begin when they should and play."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image as PillowImage

from stream_client import ArraySource, Result, SinkOptions, StreamClient
from stream_client.events.clips import Clips, ClipSeconds
from stream_client.events.outputs.file import FileOutput
from stream_client.events.read import parse_rules
from stream_client.events.ring import Ring
from stream_client.events.sink import EventsSink
from stream_client.frames import Image
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.factory import encoder_factory
from stream_client.publishing.sharing import KEY_SECONDS
from stream_client.publishing.wire import PublishedFrame
from stream_client.testing import FakeTransport
from stream_client.transport.base import Request
from stream_client.transport.function import Outputs
from tests.support.video import rgb

RATE = 10


def numbered(index: int) -> Image:
    """A frame with its number: eight bars, white for a binary one."""
    bars = np.array([255 * (index >> bit & 1) for bit in range(8)], np.uint8)
    return np.repeat(np.repeat(bars, 8)[None, :, None], 48, axis=0).repeat(3, axis=2)


def number_of(image: Image) -> int:
    bars = image.reshape(-1, 8, 8, 3)[..., 2:6, :].mean(axis=(0, 2, 3)) > 127
    return int((bars << np.arange(8)).sum())


def run(
    tmp_path: Path, active: range, *, frames: int, rules: dict[str, Any], seconds: tuple[float, float]
) -> list[Any]:
    """The messages of a run whose label is ``yes`` in the frames ``active``."""

    def source() -> Iterator[Image]:
        for index in range(frames):
            yield numbered(index)

    def answer(request: Request) -> Outputs:
        yes = number_of(request.inputs[0].array) in active
        return {"scores": np.array([[0.1, 0.9] if yes else [0.9, 0.1]], np.float32)}

    folder = tmp_path / "events"
    options = SinkOptions()
    clips = Clips(ClipSeconds(*seconds), folder, EncoderPool(), encoder_factory(options), ("pyav", 20))
    sink = EventsSink(
        parse_rules({"rule": [{"name": "yes", "label": "yes", "gap": 0, **rules}]}),
        [FileOutput(folder / "events.jsonl")],
        folder=folder,
        clips=clips,
        stream="test",
    )
    StreamClient(
        ArraySource(source(), frame_rate=RATE),
        sink,
        FakeTransport(answer),
        label_names=["no", "yes"],
        postprocess=lambda result: result.image,
    ).run()
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def shown(path: str) -> list[int]:
    """The numbers of a clip's frames."""
    with av.open(path) as container:
        return [number_of(rgb(frame)) for frame in container.decode(video=0)]


@pytest.mark.parametrize("seconds", [(2.0, 1.0), (0.0, 0.5), (5.0, 3.0)])
def test_a_clip_begins_within_a_key_frame_of_its_time_and_plays(tmp_path: Path, seconds: tuple[float, float]) -> None:
    before, after = seconds
    begin, end, clip = run(tmp_path, range(52, 70), frames=110, rules={}, seconds=seconds)
    assert [row["phase"] for row in (begin, end, clip)] == ["begin", "end", "clip"]
    assert (begin["begin"], begin["end"], end["end"]) == (5.2, None, 7.0)
    assert begin["id"] == end["id"] == clip["id"]
    assert begin["clip"] == clip["clip"]
    numbers = shown(clip["clip"])
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    wanted = max(0, 52 - round(before * RATE))
    assert wanted - KEY_SECONDS * RATE <= numbers[0] <= wanted
    assert numbers[-1] == 70 + round(after * RATE)
    assert number_of(np.asarray(PillowImage.open(begin["snapshot"]))) == 52
    assert not list((tmp_path / "events").glob(".*"))


def test_what_lasts_at_the_end_of_the_stream_ends_there(tmp_path: Path) -> None:
    rows = run(tmp_path, range(12, 20), frames=20, rules={}, seconds=(0.5, 5))
    assert [(row["phase"], row["end"]) for row in rows] == [("begin", None), ("end", 1.9), ("clip", 1.9)]
    assert shown(rows[0]["clip"])[-1] == 19


def test_a_moment_has_one_message_and_a_clip(tmp_path: Path) -> None:
    rows = run(tmp_path, range(12, 20), frames=40, rules={"on": "enter"}, seconds=(0.5, 0.5))
    assert [(row["phase"], row["begin"], row["end"]) for row in rows] == [("moment", 1.2, 1.2), ("clip", 1.2, 1.2)]
    assert shown(rows[0]["clip"])[-1] == 17


def test_a_ring_keeps_whole_groups_within_its_bounds() -> None:
    ring = Ring(2.0, most_bytes=1000)
    for index in range(100):
        ring.add(PublishedFrame(bytes(10), index * 9000, index % 10 == 5, 0.0, index, 0.0))
    kept = ring.since(0)
    assert [frame.index for frame in kept] == list(range(75, 100))  # the key frame before 99 - 20
    assert [frame.index for frame in ring.since(90 * 9000)] == list(range(85, 100))
    assert ring.bytes == 250
    for index in range(100, 300):
        ring.add(PublishedFrame(bytes(90), index * 9000, index % 10 == 5, 0.0, index, 0.0))
        assert ring.bytes <= 1000
    ring.add(PublishedFrame(bytes(5000), 300 * 9000, True, 0.0, 300, 0.0))
    assert (ring.bytes, ring.since(0)) == (0, [])


def test_a_slow_or_lost_output_does_not_hold_the_stream_up(tmp_path: Path) -> None:
    class Lost(FileOutput):
        def send(self, message: object) -> None:
            raise ConnectionRefusedError("nobody is there")

    seen: list[Result] = []
    sink = EventsSink(
        parse_rules({"rule": [{"name": "any", "when": "frame % 2 == 0", "gap": 0}]}),
        [Lost(tmp_path / "lost.jsonl"), FileOutput(tmp_path / "kept.jsonl")],
        folder=tmp_path,
    )
    StreamClient(ArraySource([numbered(1)] * 60, frame_rate=RATE), [sink, seen.append], FakeTransport()).run()
    assert len(seen) == 60
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 60
    assert sink.event_counts().found == {"any": 30}
