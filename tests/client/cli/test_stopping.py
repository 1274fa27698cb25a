"""Ctrl-C and SIGTERM end the client in every state; closed and full standard streams do not end it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import av.error
import pytest

from tests.conftest import ROOT
from tests.support.video import read_back, write_video
from tests.support.waiting import wait_until

Flags = Callable[[Path], list[str]]


def _fifo(path: Path) -> str:
    os.mkfifo(path)
    return str(path)


def _handles_signals(pid: int) -> bool:
    """Whether the process has its own handler for SIGTERM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


@contextmanager
def full_pipe() -> Iterator[int]:
    """The writing end of a pipe that takes nothing more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    yield writing
    os.close(writing)
    os.close(reading)


@contextmanager
def client(
    address: str, *flags: str, stdout: int = subprocess.DEVNULL, stderr: int = subprocess.DEVNULL
) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "client.py", "--grpc_address", address, "--model_name", "passThrough", *flags]
    process = subprocess.Popen(command, cwd=ROOT / "client", stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    try:
        wait_until(lambda: process.poll() is not None or _handles_signals(process.pid))
        time.sleep(1.0)  # now it is in the state that blocks
        yield process
    finally:
        process.kill()
        process.wait()


PATTERN = ["--input_stream", "testsrc:320x240@30"]
STATES: dict[str, Flags] = {
    "a video for a FIFO without a reader": lambda path: [*PATTERN, "--output_stream", _fifo(path / "out.mkv")],
    "labels for a FIFO without a reader": lambda path: [
        *(*PATTERN, "--output_stream", "none", "--labels_output", _fifo(path / "labels")),
    ],
    "a FIFO without a writer": lambda path: ["--input_stream", _fifo(path / "in.mp4"), "--output_stream", "none"],
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("state", STATES)
def test_a_signal_ends_a_client_that_waits_for_another_program(
    state: str, number: signal.Signals, tmp_path: Path, pass_through_server: str
) -> None:
    with client(pass_through_server, *STATES[state](tmp_path)) as process:
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(30) == 128 + number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_signal_ends_a_client_with_a_full_pipe(stream: str, number: signal.Signals, pass_through_server: str) -> None:
    flags = [*PATTERN, "--output_stream", "none", "--labels_output", "-" if stream == "stdout" else os.devnull]
    flags.append("--verbose")
    with full_pipe() as pipe, client(pass_through_server, *flags, **{stream: pipe}) as process:
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(30) == 128 + number


def shell(line: str, address: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    """The client's command, in the place of ``CLIENT`` in a line of Bash."""
    command = f"{sys.executable} client.py --grpc_address {address} --model_name passThrough {' '.join(flags)}"
    return subprocess.run(
        ["bash", "-c", line.replace("CLIENT", command)],
        cwd=ROOT / "client",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&- 2>&-", "2> >(exit)"])
def test_a_standard_error_that_takes_nothing_is_no_reason_to_end(
    redirection: str, clip: Path, tmp_path: Path, pass_through_server: str
) -> None:
    out = tmp_path / "out.mp4"
    flags = ("--input_stream", str(clip), "--output_stream", str(out), "--labels_output", "-")
    done = shell(f"CLIENT {redirection}", pass_through_server, *flags)
    assert done.returncode == 0
    assert len(read_back(out)) == 30
    assert done.stdout.count('"frame"') == len(done.stdout.splitlines()) == 30


def test_a_closed_standard_output_is_no_place_for_an_output_file(
    clip: Path, tmp_path: Path, pass_through_server: str
) -> None:
    out = tmp_path / "out.mp4"
    done = shell(
        "CLIENT >&-", pass_through_server, "--input_stream", str(clip), "--output_stream", str(out), "--benchmark"
    )
    assert done.returncode == 0
    assert len(read_back(out)) == 30


def test_labels_on_standard_output_are_utf8_in_any_locale() -> None:
    program = """
from stream_client.frames import *
from stream_client.sinks.labels import LabelsSink
sink = LabelsSink("-")
sink.open(StreamInfo("test", 64, 48))
image = np.zeros((48, 64, 3), np.uint8)
sink.write(Result(Frame(0, 0, image, 0.0), image, Label("grüßen 立つ", 1.0, {})))
sink.close()
"""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "POSIX"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout.decode("utf-8"))["label"] == "grüßen 立つ"


def test_delivered_is_what_the_file_has_on_a_full_disk(tmp_path: Path, pass_through_server: str) -> None:
    source = write_video(tmp_path / "in.mp4", frames=300, width=320, height=240)
    out = tmp_path / "out.mp4"
    flags = ("--input_stream", str(source), "--output_stream", str(out), "--quality", "0")
    done = shell("ulimit -f 200; CLIENT", pass_through_server, *flags)
    summary = next(line for line in done.stderr.splitlines() if "delivered" in line)
    kept = 0
    with suppress(av.error.InvalidDataError), av.open(str(out)) as container:  # the last frame may be cut
        for _ in container.decode(video=0):
            kept += 1
    assert done.returncode == 1
    assert 0 < kept < 300
    assert f": {kept} delivered" in summary


@pytest.mark.parametrize("kilobytes", [450_000, 550_000, 700_000])
def test_a_client_with_too_little_memory_says_so_and_can_be_stopped(
    kilobytes: int, tmp_path: Path, pass_through_server: str
) -> None:
    flags = (*PATTERN, "--output_stream", str(tmp_path / "out.mp4"))
    done = shell(f"ulimit -v {kilobytes}; timeout --kill-after 10 5 CLIENT", pass_through_server, *flags)
    assert "the address space is limited" in done.stderr
    assert done.returncode not in (0, 128 + signal.SIGKILL)


INTERRUPTED = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "stream_client.cli." + sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from stream_client.cli import main
sys.exit(main())
"""
"""The command line; Ctrl-C comes while the modules of its command load."""


@pytest.mark.parametrize("command", ["fleet", "find"])
def test_a_command_that_loads_ends_without_a_traceback(command: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, command], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGINT, "")
