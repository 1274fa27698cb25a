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
    from kserve_wire.loading import let_idle_threads_sleep, without_collections
    from stream_client.cli.standard_streams import mend_standard_streams

    mend_standard_streams()
    let_idle_threads_sleep()
    with without_collections():
        from stream_client.cli.command import main as run
        from stream_client.cli.last_resort import LastResort, end_now
        from stream_client.util.owned_thread import left_behind

    with LastResort():
        signal.signal(signal.SIGINT, interrupted)
        status = run()
    if left_behind():
        end_now(status)  # the end of Python would wait for what they wait for
    return status
