"""Settings of glibc's malloc for processes that allocate frames."""

import ctypes

# <malloc.h> of glibc; see mallopt(3)
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

MMAP_THRESHOLD = 32 << 20
"""The largest value that glibc takes, in bytes. A 4K frame has 25 MB."""

TRIM_THRESHOLD = 64 << 20
"""Free memory at the end of the heap, in bytes, that the process keeps."""


def keep_frame_memory() -> bool:
    """Let malloc keep freed buffers of a frame's size for the next frame. Returns whether glibc took the settings.

    By default, glibc maps the buffers of every frame, fills them page by page and unmaps them again: 1,500 page
    faults for a 1920x1080 frame, a quarter of the CPU time that the frame costs. The settings hold for the whole
    process and cost at most :data:`TRIM_THRESHOLD` of memory.

    All threads share one arena. With an arena for each thread, a frame's memory that one thread frees does not serve
    the next frame of another: 4 sessions of 1768x994 took 850 MB in the server instead of 620, and the client's
    memory grew with every reconnection. Other C libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return False
    settings = ((_M_MMAP_THRESHOLD, MMAP_THRESHOLD), (_M_TRIM_THRESHOLD, TRIM_THRESHOLD), (_M_ARENA_MAX, 1))
    return all(mallopt(*setting) for setting in settings)
