"""``ovms-stream-client``: the only place that parses arguments."""

import os
import signal

__all__ = ["main"]


def main() -> int:
    """The command line of this process; returns its exit status."""
    # Ctrl-C while modules load ends the process silently. Later the command handles it.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_DFL)
    # gRPC reads this variable when it is loaded. Our errors contain what its log would say.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from stream_client.cli.command import main as run

    signal.signal(signal.SIGINT, interrupted)
    return run()
