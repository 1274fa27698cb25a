"""The orientation of decoded frames; tests/client/sources has the files that are turned and mirrored."""

import gc
from pathlib import Path

import av
from av.sidedata.sidedata import SideDataContainer

from stream_client.util.orientation import Orientation, orientation


def test_a_frame_that_was_looked_at_goes_with_its_last_reference(clip: Path) -> None:
    with av.open(str(clip)) as container:
        frame = next(container.decode(video=0))
    assert orientation(frame) == Orientation()
    assert not [one for one in gc.get_referrers(frame) if isinstance(one, SideDataContainer)]
    # What it would be otherwise: a container that the frame keeps.
    assert len(frame.side_data) >= 0
    assert [one for one in gc.get_referrers(frame) if isinstance(one, SideDataContainer)]
