"""Two users of one machine, root and nobody, with real processes of both: neither reaches the other's frames."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT

NOBODY = 65534
FRAMES = 100
FOLDER = Path("/dev/shm")
PR_SET_DUMPABLE = 4
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
pytestmark = [needs_root, pytest.mark.timeout(180)]

# The interpreter may be readable by root alone, so each program imports everything and then becomes its user.
BECOME = f"""
import ctypes, encodings.ascii, encodings.idna, json, os, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.e2e.two_users import run_client, run_server, run_thief
user, program, *arguments = sys.argv[1:]
if user != "0":
    os.environ["HOME"] = "/nonexistent"
    os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
    ctypes.CDLL(None).prctl({PR_SET_DUMPABLE}, 1)  # as a process that this user started: it sees itself in /proc
{{"client": run_client, "server": run_server, "thief": run_thief}}[program](*arguments)
"""


@contextmanager
def started(user: int, program: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A program of that user; it ends when its standard input does."""
    command = [sys.executable, "-c", BECOME, str(user), program, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("of_server", [0, NOBODY], ids=["a server of root", "a server of nobody"])
def test_frames_of_two_users_are_right_while_one_tries_to_reach_those_of_the_other(of_server: int) -> None:
    """The thief lists, reads, writes, replaces and unregisters whatever it can find."""
    with started(of_server, "server") as server:
        address = line(server)
        with (
            started(0, "client", address, str(FRAMES)) as of_root,
            started(NOBODY, "client", address, str(FRAMES)) as of_nobody,
        ):
            region, secret = line(of_root), FOLDER / f"secret-{os.getpid()}"
            assert line(of_nobody)
            secret.write_bytes(b"PASSWORD".ljust(1 << 16))
            secret.chmod(0o600)
            try:
                with started(NOBODY, "thief", address, region, secret.name) as thief:
                    found = json.loads(line(thief))
                assert secret.read_bytes() == b"PASSWORD".ljust(1 << 16)
            finally:
                secret.unlink()
            results = [json.loads(line(client)) for client in (of_root, of_nobody)]
    assert found == {"listed": [], "read": False, "opened": False, "unregistered": True}
    for user, result in zip((0, NOBODY), results, strict=True):
        # A server of nobody cannot open root's files: then the frames go inside their messages.
        shared = of_server in (0, user)
        assert result == {"delivered": FRAMES, "right": FRAMES, "shared": shared}
