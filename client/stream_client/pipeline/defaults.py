"""What options stand for where they leave it to the source: it is live, or a file."""

from stream_client.frames import StreamInfo
from stream_client.options import DamagePolicy, DropPolicy, RunOptions
from stream_client.pipeline.credits import StreamCredits
from stream_client.pipeline.flow import LONG_QUEUE, SHORT_QUEUE, AdaptiveWindow, FixedWindow, Window


def server_timeout(options: RunOptions, info: StreamInfo) -> float | None:
    """How long to try to reach a lost server: a live source waits for ever by default, a file does not."""
    if options.reconnect_timeout is None and not info.live:
        return options.FILE_RECONNECT_TIMEOUT
    return options.reconnect_timeout


def damage_policy(options: RunOptions, info: StreamInfo) -> DamagePolicy:
    """By default a live source's damaged frames are skipped, unless no frame may be dropped. A file's are used."""
    return options.damaged or ("skip" if info.live and options.drop_policy != "block" else "pass")


def drop_policy(options: RunOptions, info: StreamInfo) -> DropPolicy:
    """By default a live source's frames may be dropped, a file's wait."""
    return options.drop_policy or ("latest" if info.live else "block")


def window(options: RunOptions, info: StreamInfo, credits: StreamCredits | None) -> Window:
    """Under ``latest`` latency counts, under ``block`` throughput. ``credits``: what the run has of a shared server."""
    if options.max_inflight == "auto":
        waiting = SHORT_QUEUE if drop_policy(options, info) == "latest" else LONG_QUEUE
        adaptive = AdaptiveWindow(waiting=waiting, latency_target=options.latency_target or options.latency_budget)
        return adaptive if credits is None else credits.widen(adaptive)
    fixed = FixedWindow(options.max_inflight)
    return fixed if credits is None else credits.heard_by(fixed)
