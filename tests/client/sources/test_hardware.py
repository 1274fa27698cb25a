"""Decoding by hardware, as far as it shows without any: what is chosen, falling back, and what is said."""

import logging
from pathlib import Path

import numpy as np
import pytest
from av.codec.hwaccel import hwdevices_available

from stream_client.errors import SourceError
from stream_client.frames import Frame
from stream_client.sources.factory import open_source
from stream_client.sources.options import SourceOptions
from stream_client.util import hardware
from stream_client.util.decoder import Decoder
from stream_client.util.hardware import acceleration, why_not
from tests.support.video import write_video

DEVICES: tuple[Decoder, ...] = ("vaapi", "cuda", "videotoolbox")


def frames(path: Path, decoder: Decoder) -> list[Frame]:
    source = open_source(path, SourceOptions(decoder=decoder))
    source.open()
    try:
        return list(iter(source.read, None))
    finally:
        source.close()


def test_auto_takes_what_is_there_and_says_once_that_nothing_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hardware._found.cache_clear()
    clip = write_video(tmp_path / "clip.mp4", frames=5)
    with caplog.at_level(logging.INFO):
        first, second, software = frames(clip, "auto"), frames(clip, "auto"), frames(clip, "software")
    assert len(first) == len(second) == len(software) == 5
    said = [record.getMessage() for record in caplog.records if record.name == hardware.__name__]
    if acceleration("auto") is None:
        assert len(said) == 1
        assert said[0].startswith("no hardware decodes here, software does: ")
        assert all(np.array_equal(a.image, b.image) for a, b in zip(first, software, strict=True))


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_that_is_named_has_to_be_there(device: Decoder) -> None:
    reason = why_not(device)
    if not reason:
        assert acceleration(device) is not None
        return
    with pytest.raises(SourceError) as error:
        open_source("in.mp4", SourceOptions(decoder=device))
    assert error.value.option == "decoder"
    assert str(error.value).startswith(reason)
    known = device in hwdevices_available()
    assert ("does not start" if known else "was built without") in reason


def test_an_ffmpeg_without_a_device_says_what_it_has() -> None:
    assert "built without vaapi, with cuda, qsv:" in why_not("vaapi", ["cuda", "qsv"])
    assert "built without cuda, with none:" in why_not("cuda", [])


def test_software_asks_no_hardware() -> None:
    assert acceleration("software") is None
