"""Settings of glibc's malloc for processes that allocate frames."""

import ctypes

# From <malloc.h> of glibc, see mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

MMAP_THRESHOLD = 32 << 20
"""The largest value that glibc accepts, in bytes. A 4K frame has 25 MB."""

TRIM_THRESHOLD = 64 << 20
"""Free memory at the end of the heap, in bytes, that the process keeps."""


def keep_frame_memory() -> bool:
    """Let malloc keep freed buffers of a frame for the next frame. Returns whether glibc accepted the settings.

    By default, glibc maps the buffers of every frame, fills them page by page and unmaps them again. This makes 1,500
    page faults for a 1920x1080 frame, a quarter of the CPU time of the frame. The settings apply to the whole process
    and cost at most :data:`TRIM_THRESHOLD` of memory.

    All threads share one arena. With one arena for each thread, memory that one thread frees cannot be used for
    another thread's next frame: 4 sessions of 1768x994 took 850 MB in the server instead of 620, and the client's
    memory grew with every reconnection. Nothing changes with other C libraries.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return False
    settings = ((_M_MMAP_THRESHOLD, MMAP_THRESHOLD), (_M_TRIM_THRESHOLD, TRIM_THRESHOLD), (_M_ARENA_MAX, 1))
    return all(mallopt(*setting) for setting in settings)


def return_free_memory() -> None:
    """Give freed memory back to the system, wherever it is in the heap. For once, after much was freed."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # no glibc
        return
