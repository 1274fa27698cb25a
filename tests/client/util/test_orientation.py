"""The orientation of decoded frames; tests/client/sources has the files that are turned and mirrored."""

import gc
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import SideDataContainer
from PIL import ExifTags, Image, ImageOps

from stream_client.util.orientation import Orientation, orientation


def test_a_frame_that_was_looked_at_goes_with_its_last_reference(clip: Path) -> None:
    with av.open(str(clip)) as container:
        frame = next(container.decode(video=0))
    assert orientation(frame) == Orientation()
    assert not [one for one in gc.get_referrers(frame) if isinstance(one, SideDataContainer)]
    # What it would be otherwise: a container that the frame keeps.
    assert len(frame.side_data) >= 0
    assert [one for one in gc.get_referrers(frame) if isinstance(one, SideDataContainer)]


@pytest.mark.parametrize("tag", range(1, 9))
def test_a_photo_is_turned_as_its_exif_says(tag: int, tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 16), "blue")
    image.paste("red", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = tag
    image.save(tmp_path / "photo.jpg", exif=exif, quality=95, subsampling=0)
    with av.open(str(tmp_path / "photo.jpg")) as container:
        frame = next(container.decode(video=0))
    ours = orientation(frame).upright(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    theirs = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "photo.jpg")))
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).mean() < 3
