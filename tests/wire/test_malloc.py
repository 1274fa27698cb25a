"""malloc uses buffers of a frame again."""

import platform
import resource
import subprocess
import sys

import pytest

from kserve_wire.malloc import keep_frame_memory

_FAULTS = """
import resource, sys
from kserve_wire.malloc import keep_frame_memory
if sys.argv[1] == "kept":
    assert keep_frame_memory()
frame = 6_000_000
for _ in range(3):
    buffers = [bytearray(frame) for _ in range(4)]
    del buffers
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    buffers = [bytearray(frame) for _ in range(4)]
    del buffers
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc has these settings")


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_buffers_of_a_frame_are_not_mapped_again_for_every_frame() -> None:
    pages = 20 * 4 * 6_000_000 // resource.getpagesize()
    assert faults("default") > pages / 2
    assert faults("kept") < pages / 20


def test_the_settings_can_be_made_twice() -> None:
    assert keep_frame_memory()
    assert keep_frame_memory()


_RETURNED = """
from kserve_wire.malloc import keep_frame_memory, return_free_memory
keep_frame_memory()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
parts = [bytes(100_000) for _ in range(2000)]
full, last = resident(), parts[-1]
del parts
return_free_memory()
print(full - resident())
"""


def test_freed_memory_goes_back_although_something_behind_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", _RETURNED], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100_000_000
