"""Mutated requests and broken connections against the graph server: no crash, no leak, the next client is served.

    python -m tests.fuzz                      100,000 requests, 200 connections, a server of its own
    python -m tests.fuzz --requests 1000 --seed 7
    python -m tests.fuzz --record             write the recorded requests anew

The memory of the server is that of its process, in MiB (``VmRSS``).
"""

import argparse
import logging
import sys
import time
from collections import Counter

from tests.fuzz.attack import break_off, fuzz_in_parallel, is_served, resident_mib
from tests.fuzz.record import record
from tests.support.graph_server import CONFORMANCE, graph_server_process


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="record requests of real clients instead")
    options = parser.parse_args()
    if options.record:
        record()
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # what the server logs
    started = time.monotonic()
    codes: Counter[str] = Counter()
    faults: list[str] = []
    before = 0.0
    with graph_server_process(*CONFORMANCE, "--log_level", "WARNING") as server:
        address, pid = server.address, server.pid
        rounds = 10
        break_off(address, 10, options.seed)
        for index in range(rounds):
            report = fuzz_in_parallel(address, options.requests // rounds, options.seed + index)
            codes += report.codes
            faults += report.faults
            memory = resident_mib(pid)
            before = before or memory
            done = (index + 1) * (options.requests // rounds)
            print(f"{done:>7} requests  {memory:7.1f} MiB  {time.monotonic() - started:5.0f} s", flush=True)
        break_off(address, options.connections, options.seed)
        after = resident_mib(pid)
        served = is_served(address)
    print(f"calls by status: {dict(codes.most_common())}")
    print(f"{options.connections} connections broke off; the next client is {'served' if served else 'NOT served'}")
    print(f"memory after the first tenth {before:.1f} MiB, at the end {after:.1f} MiB")
    for fault in faults[:10]:
        print(f"FAULT {fault}")
    return 1 if faults or not served else 0


if __name__ == "__main__":
    sys.exit(main())
