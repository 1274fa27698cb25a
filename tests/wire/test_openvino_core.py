"""Signals beside OpenVINO, in a process of their own: what fails is a crash."""

import subprocess
import sys

PROGRAM = """
import os, signal, time
from kserve_wire.openvino_core import new_core

first, second = new_core(), new_core()
del first
del second  # OpenVINO now gives back the stack for signals that the first one had
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_after_several_cores_does_not_crash_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
