"""One run from flags: prints a summary line, returns the exit status."""

import argparse
import logging
import signal
import sys
from types import FrameType

from stream_client.cli.assembly import make_benchmark, make_client, make_monitor
from stream_client.cli.messages import error_line, with_flag
from stream_client.cli.parser import RUN_ERROR, USAGE_ERROR
from stream_client.embedded import EmbeddedServer
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.monitoring.progress import Progress
from stream_client.monitoring.statistics import Statistics
from stream_client.monitoring.summary import Summary
from stream_client.monitoring.verdict import verdict
from stream_client.processing.results import LandmarkClassifier
from stream_client.run_settings import run_conditions


def run(flags: argparse.Namespace, server: EmbeddedServer | None) -> int:
    """Run; 0 at the end of the source, a limit or q; 1 when the run failed, or an output took no frame or was away at
    the end; 2 for flags that cannot work.

    ``server`` is an embedded server that is starting. The caller closes it.
    """
    try:
        benchmark = make_benchmark(flags, lambda: client.finish())  # noqa: PLW0108 - there is no client yet
        statistics = Statistics()
        client = make_client(flags, (statistics, *benchmark.observers) if benchmark else (statistics,), server)
        monitor = make_monitor(flags, statistics)
    except StreamClientError as error:
        return _report(error, flags.verbose, USAGE_ERROR)
    stopped_by: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        stopped_by.append(number)
        if not client.opened and len(stopped_by) == 1:
            raise KeyboardInterrupt  # before the run has started there is nothing to finish
        client.stop()

    previous = {number: signal.signal(number, on_signal) for number in _stopping_signals()}
    try:
        with monitor, Progress() as progress:
            client.on_start(progress.start)
            client.on_result(progress.result)
            summary = client.run()
    except KeyboardInterrupt:
        return 128 + stopped_by[0]
    except StreamClientError as error:
        if client.summary is not None and client.summary.info is not None:
            _print_summary(client.summary)
        if stopped_by:
            return 128 + stopped_by[0]
        return _report(error, flags.verbose, USAGE_ERROR if isinstance(error, ConfigurationError) else RUN_ERROR)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    _print_summary(summary)
    _print_last_failure(summary)
    _print_verdict(statistics, summary, flags)
    _print_classifier(client.classifier)
    if benchmark is not None:
        try:
            benchmark.finish(summary)
        except StreamClientError as error:
            return _report(error, flags.verbose, RUN_ERROR)
    if stopped_by:
        return 128 + stopped_by[0]
    loss = summary.loss
    return 0 if loss is None else _report(loss, flags.verbose, RUN_ERROR)


def _stopping_signals() -> list[signal.Signals]:
    """Ctrl-C, a request to end, and a closed terminal, except under nohup."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals


def _print_summary(summary: Summary) -> None:
    delivered, seconds = summary.ledger.delivered, summary.seconds
    rate = f", {delivered / seconds:.1f} frames/s" if delivered and seconds else ""
    print(f"{summary.ledger.line()} in {seconds:.1f} s{rate}", file=sys.stderr, flush=True)
    if summary.budget is not None:
        print(summary.budget.line(), file=sys.stderr, flush=True)
    for name, connection in summary.connections.items():
        if connection.losses:
            print(f"{name}: {connection.line()}", file=sys.stderr, flush=True)
    for name, output in summary.outputs.items():
        if output.wanted_rate or output.skipped or output.repeated or output.lost:
            print(f"{name}: {output.line()}", file=sys.stderr, flush=True)
    if summary.events.found:
        print(summary.events.line(), file=sys.stderr, flush=True)
    for name, messages in summary.events.messages.items():
        print(f"{name}: {messages.line()}", file=sys.stderr, flush=True)


def _print_last_failure(summary: Summary) -> None:
    """Of a run that went well otherwise."""
    if summary.ledger.delivered and sum(summary.ledger.failed.values()) and summary.last_failure is not None:
        print(f"last failure: {error_line(summary.last_failure)}", file=sys.stderr, flush=True)


def _print_verdict(statistics: Statistics, summary: Summary, flags: argparse.Namespace) -> None:
    assert summary.info is not None
    found = verdict(statistics.snapshot(), run_conditions(vars(flags), summary.info, summary.upload_rate))
    if found is not None:
        print(f"verdict: {with_flag(found.sentence, found.option, found.value)}", file=sys.stderr, flush=True)


def _print_classifier(classifier: LandmarkClassifier | None) -> None:
    if classifier is None:
        return
    from stream_client.classify.pose_classifier import PoseClassifier

    if isinstance(classifier, PoseClassifier):
        if classifier.counter is not None:
            counter = classifier.counter
            print(f"{counter.label}: {counter.count} repetitions", file=sys.stderr, flush=True)
        if classifier.errors:
            reason = with_flag(str(classifier.last_error), None)
            print(f"{classifier.errors} predictions failed: {reason}", file=sys.stderr, flush=True)


def _report(error: StreamClientError, verbose: bool, status: int) -> int:
    if verbose:
        logging.getLogger(__name__).error("", exc_info=error)
    print(f"error: {error_line(error)}", file=sys.stderr, flush=True)
    return status
