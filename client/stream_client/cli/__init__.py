"""``ovms-stream-client``: only here are arguments parsed."""

import os
import signal

__all__ = ["main"]


def main() -> int:
    """The command line of this process; returns its exit status."""
    # Ctrl-C while modules load ends the process without a word; after that the command sees to it.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_DFL)
    # gRPC reads it when it is loaded. What its log says of a failure is in our errors.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from stream_client.cli.command import main as run

    signal.signal(signal.SIGINT, interrupted)
    return run()
