"""A worker process of a fleet: runs the streams that it is told to, and reports.

SIGTERM ends it, and so does the end of the fleet's process, whatever ended that.
"""

import logging
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from stream_client.fleet.fleet import Fleet
from stream_client.fleet.messages import Assignment, Report
from stream_client.util.owned_thread import left_behind
from stream_client.util.safe_log import SafeFormatter, log_to_standard_error

REPORT_SECONDS = 0.5


def main() -> None:
    """The fleet is at the other end of standard input."""
    connection: Connection[Report, Assignment] = Connection(os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # nothing else reads from the fleet
    os.close(null)
    log_to_standard_error(logging.WARNING, SafeFormatter())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole foreground group; the fleet decides
    asked_to_end, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    signal.signal(signal.SIGTERM, lambda *_: None)  # its number is in the pipe
    with suppress(EOFError, OSError):  # the fleet has ended
        _work(connection, asked_to_end)
    if left_behind():
        os._exit(0)  # the end of Python would wait for what they wait for


def _work(connection: "Connection[Report, Assignment]", asked_to_end: int) -> None:
    problems: Mapping[str, str] = {}
    due = time.monotonic()
    with Fleet() as fleet:
        while True:
            ready = wait([connection, asked_to_end], max(0.0, due - time.monotonic()))
            if asked_to_end in ready:
                return
            if ready:
                assignment = connection.recv()
                logging.getLogger().setLevel(assignment.log_level)
                problems = fleet.apply(assignment.plans, assignment.paused)
                fleet.look(assignment.looked)
            running = [each.snapshot() for each in fleet.statistics() if each.running]
            connection.send(Report(tuple(fleet.status()), tuple(running), problems, fleet.pictures()))
            due = time.monotonic() + REPORT_SECONDS


if __name__ == "__main__":
    main()
