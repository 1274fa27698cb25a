"""A window that plays landmarks: over the video, and as a skeleton that turns."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stream_client.errors import ConfigurationError
from stream_client.frames import Image
from stream_client.review.recording import Recording, Row
from stream_client.review.skeleton import BONES, HAND_BONES
from stream_client.sources.file import FileSource
from stream_client.util.desktop import open_window
from stream_client.util.extras import install_command

_HEIGHT = 480
"""Of the window, in pixels."""
_GREEN, _YELLOW, _GREY = (86, 224, 160), (240, 228, 66), (30, 33, 39)
_TURN = 2 * math.pi / 9000  # radians a millisecond


def show(recording: Recording, *, video: Path | None = None, title: str = "") -> None:
    """Show the window until q, Esc or its closing. Space plays and pauses, arrows go by a frame.

    Raises :class:`.ConfigurationError` without pygame or a display.
    """
    first = recording.rows[0]
    width = max(1, round(first["width"] * _HEIGHT / first["height"]))
    try:
        pygame, window = open_window((width + _HEIGHT, _HEIGHT), title or "landmarks")
    except ImportError as error:
        raise ConfigurationError(
            f"a window needs pygame-ce: {install_command('screen')}, or write a page", option="html"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"no window can be opened ({error}): write a page", option="html") from error
    pygame.font.init()
    images = None if video is None else _Images(video)
    try:
        _play(pygame, window, recording, images, width)
    finally:
        if images is not None:
            images.close()
        pygame.quit()


def _play(pygame: Any, window: Any, recording: Recording, images: "_Images | None", width: int) -> None:
    rows = recording.rows
    clock, font = pygame.time.Clock(), pygame.font.Font(None, 28)
    index, playing, angle, time = 0, True, 0.5, 0.0
    while True:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return
            if event.type == pygame.KEYDOWN:
                if event.key in (pygame.K_q, pygame.K_ESCAPE):
                    return
                if event.key == pygame.K_SPACE:
                    playing = not playing
                elif event.key in (pygame.K_LEFT, pygame.K_RIGHT):
                    playing = False
                    index = min(max(index + (1 if event.key == pygame.K_RIGHT else -1), 0), len(rows) - 1)
                    time = rows[index]["time"] - rows[0]["time"]
        row = rows[index]
        window.fill(_GREY)
        image = None if images is None else images.at(index)
        if image is not None:
            surface = pygame.image.frombuffer(image.tobytes(), (image.shape[1], image.shape[0]), "RGB")
            window.blit(pygame.transform.smoothscale(surface, (width, _HEIGHT)), (0, 0))
        _draw(pygame, window, row, width, angle)
        text = f"{row['time']:.2f} s  {row['label'] or ''}"
        window.blit(font.render(text, True, (255, 255, 255)), (10, 10))
        pygame.display.flip()
        passed = clock.tick(60)
        angle += passed * _TURN
        if playing:
            time += passed / 1000
            while index + 1 < len(rows) and rows[index + 1]["time"] - rows[0]["time"] <= time:
                index += 1
            playing = index + 1 < len(rows)


def _draw(pygame: Any, window: Any, row: Row, width: int, angle: float) -> None:
    if row["pose"] is not None:
        _bones(pygame, window, _flat(row["pose"], width), BONES, _GREEN)
    for hand in (row["left_hand"], row["right_hand"]):
        if hand is not None:
            _bones(pygame, window, _flat(hand, width), HAND_BONES, _YELLOW)
    if row["pose_world"] is not None:
        points = np.array(row["pose_world"])
        across = points[:, 0] * math.cos(angle) + points[:, 2] * math.sin(angle)
        scale = _HEIGHT / 2.1
        places = np.column_stack([width + _HEIGHT / 2 + scale * across, _HEIGHT / 2 + scale * points[:, 1]])
        _bones(pygame, window, places.tolist(), BONES, _GREEN)


def _flat(points: Sequence[Sequence[float]], width: int) -> list[tuple[float, float]]:
    return [(point[0] * width, point[1] * _HEIGHT) for point in points]


def _bones(
    pygame: Any,
    window: Any,
    places: Sequence[Sequence[float]],
    bones: Sequence[tuple[int, int]],
    color: tuple[int, int, int],
) -> None:
    for start, end in bones:
        pygame.draw.line(window, color, places[start], places[end], 3)


class _Images:
    """The frames of a video by their position. Going back reads from the start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._source = self._opened()
        self._next = 0
        self._image: Image | None = None

    def at(self, position: int) -> Image | None:
        """The frame; ``None`` after the end."""
        if position < self._next - 1:
            self._source.close()
            self._source, self._next = self._opened(), 0
        while self._next <= position:
            frame = self._source.read()
            if frame is None:
                return None
            self._image = frame.image
            self._next += 1
        return self._image

    def close(self) -> None:
        """Close the video."""
        self._source.close()

    def _opened(self) -> FileSource:
        source = FileSource(str(self._path))
        source.open()
        return source
