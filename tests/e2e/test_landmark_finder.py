"""Landmarks of single frames, with the local graph server."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from stream_client import ConnectionLostError, LandmarkFinder, RunOptions, StreamClient, TransportOptions
from stream_client.errors import ConfigurationError
from stream_client.sources.file import FileSource
from stream_client.transport.servable import LANDMARK_GRAPH

pytestmark = pytest.mark.timeout(180)


def test_landmarks_are_those_of_a_stream_and_a_server_that_was_killed_is_started_again(person: Path) -> None:
    options = RunOptions(limit_frames=8)
    client = StreamClient(str(person), (), TransportOptions(model_name=LANDMARK_GRAPH), options=options)
    expected = [result.landmarks for result in client]
    source = FileSource(str(person))
    source.open()
    with LandmarkFinder() as finder:
        for landmarks in expected:
            frame = source.read()
            assert frame is not None
            found = finder.find(frame.image, frame.timestamp)
            assert (found is None) == (landmarks is None)
            if found is not None and landmarks is not None:
                np.testing.assert_allclose(found.pose, landmarks.pose, atol=1e-3)
        server = finder._connector.embedded
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        assert frame is not None
        with pytest.raises(ConnectionLostError):
            finder.find(frame.image)
        finder.find(frame.image)
        assert finder.find(frame.image) is not None
    source.close()


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_image_starts_no_server(image: np.ndarray) -> None:
    with LandmarkFinder() as finder, pytest.raises(ConfigurationError, match="an image is uint8"):
        finder.find(image)
