"""Frame-sized memory that is used again instead of going back to the system after every frame."""

import ctypes

# <malloc.h> of glibc; see mallopt(3)
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

MMAP_THRESHOLD = 32 << 20
"""The largest that glibc takes, in bytes: a 4K frame has 25 MB."""

TRIM_THRESHOLD = 64 << 20
"""Free memory at the heap's end, in bytes, that stays with the process."""


def keep_frame_memory() -> bool:
    """Let glibc keep freed buffers of a frame's size for the next frame; whether it could be told so.

    By its defaults every frame's buffers are mapped, filled page by page and unmapped again: 1,500 page faults
    for a 1920x1080 frame, and a quarter of the CPU that it costs. The setting holds for the whole process and
    costs at most :data:`TRIM_THRESHOLD` of memory. One arena serves all threads: with one for each, every
    reconnection's threads leave frames' memory behind that no other thread uses, and memory grows for a long time.
    Other C libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return False
    settings = ((_M_MMAP_THRESHOLD, MMAP_THRESHOLD), (_M_TRIM_THRESHOLD, TRIM_THRESHOLD), (_M_ARENA_MAX, 1))
    return all(mallopt(*setting) for setting in settings)
