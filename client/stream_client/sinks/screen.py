"""Frames in a window on the desktop."""

from typing import Any

from stream_client.errors import SinkError
from stream_client.frames import Result, StreamInfo
from stream_client.util.desktop import open_window
from stream_client.util.extras import install_command
from stream_client.util.media import written_shape


class ScreenSink:
    """Shows the frames in a resizable window. q, Esc or closing it ends the run."""

    name = "screen"

    def __init__(self, title: str = "ovms-stream-client") -> None:
        self._title = title
        self._pygame: Any = None
        self._window: Any = None
        self._info: StreamInfo | None = None

    def open(self, info: StreamInfo) -> None:
        """Open the window."""
        size = (round(info.width * info.sample_aspect_ratio), info.height)
        try:
            self._pygame, self._window = open_window(size, self._title, resizable=True)
        except ImportError as error:
            raise SinkError(
                f"the screen needs pygame-ce: {install_command('screen')} ({error})",
                option="sinks",
            ) from error
        except OSError as error:
            raise SinkError(
                f"no display to open a window on ({error}): set DISPLAY, or write a file",
                option="sinks",
                value="out.mp4",
            ) from error
        self._info = info

    def write(self, result: Result) -> bool:
        """Show the result's image, scaled to the window. The aspect is kept, also that of pixels."""
        pygame, window = self._pygame, self._window
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return False
            if event.type == pygame.KEYDOWN and event.key in (pygame.K_q, pygame.K_ESCAPE):
                return False
        height, width = result.image.shape[:2]
        surface = pygame.image.frombuffer(result.image.tobytes(), (width, height), "RGB")
        assert self._info is not None
        aspect = written_shape(self._info, result.image).sample_aspect_ratio
        area = pygame.Rect(0, 0, round(width * aspect), height).fit(window.get_rect())
        if area.size == (width, height):
            window.blit(surface, area)
        else:
            window.fill((0, 0, 0))
            window.blit(pygame.transform.smoothscale(surface, area.size), area)
        pygame.display.flip()
        return True

    def close(self) -> None:
        """Close the window."""
        if self._pygame is not None:
            self._pygame.display.quit()
            self._pygame = self._window = None
