"""A window on the desktop, by SDL (pygame-ce)."""

import os
import sys
from typing import Any

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
"""Environment variables. One of them names the display, or how to do without one."""


def open_window(size: tuple[int, int], title: str, *, resizable: bool = False) -> tuple[Any, Any]:
    """pygame, and a window of that width and height in pixels.

    Raises ``ImportError`` without pygame-ce, and ``OSError`` with the reason where there is no display.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    try:
        if sys.platform == "linux" and not any(name in os.environ for name in _DISPLAYS):
            raise pygame.error("no window system")  # SDL would print its own message as well
        pygame.display.init()
        if pygame.display.get_driver() in ("dummy", "offscreen"):
            raise pygame.error("no window system")
        window = pygame.display.set_mode(size, pygame.RESIZABLE if resizable else 0)
    except pygame.error as error:
        pygame.display.quit()
        raise OSError(str(error)) from error
    pygame.display.set_caption(title)
    return pygame, window
