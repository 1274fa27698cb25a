"""The thread that makes results of settled frames and hands them, in order, to callbacks and sinks."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from stream_client.errors import StreamClientError, as_error
from stream_client.frames import Result, Stamps
from stream_client.monitoring.events import EventsSnapshot, together
from stream_client.monitoring.outputs import OutputSnapshot
from stream_client.pipeline.deliveries import Deliveries
from stream_client.pipeline.exchange import Exchange
from stream_client.pipeline.pending import Settled
from stream_client.pipeline.sink_worker import SinkWorker
from stream_client.processing.results import Postprocess, ResultBuilder
from stream_client.util.owned_thread import OwnedThread


class Dispatcher:
    """Runs until the exchange has no more results, then lets the sinks finish.

    ``on_result`` is called for every result before the sinks get it. ``on_error`` is called from the
    dispatcher's thread; the run goes on to drain the exchange, so that the ledger adds up.
    """

    def __init__(
        self,
        exchange: Exchange,
        builder: ResultBuilder,
        postprocess: Postprocess,
        workers: Sequence[SinkWorker],
        on_result: Callable[[Result], None],
        on_error: Callable[[StreamClientError], None],
    ) -> None:
        self._exchange = exchange
        self._builder = builder
        self._postprocess = postprocess
        self._workers = workers
        self._on_result = on_result
        self._on_error = on_error
        self._deliveries = Deliveries(exchange.delivered, exchange.not_taken)
        for worker in workers:
            worker.follow(self._deliveries)
        self.last_failure: StreamClientError | None = None
        self._thread = OwnedThread(self._run, "dispatcher", limit=OwnedThread.LIMIT + 0.1)  # it joins the sinks

    def start(self) -> None:
        """Begin to dispatch."""
        self._thread.start()

    def outputs(self) -> Mapping[str, OutputSnapshot]:
        """What became of the results at each output so far."""
        return {worker.name: worker.output() for worker in self._workers}

    def events(self) -> EventsSnapshot:
        """The events that sinks have found so far."""
        return together(worker.events() for worker in self._workers)

    @property
    def kept(self) -> int | None:
        """How many results are in an output; ``None`` where an output may leave some out, or there is none."""
        counts = [worker.kept for worker in self._workers]
        return max((count for count in counts if count is not None), default=None) if None not in counts else None

    def expect_end(self) -> None:
        """The run was stopped: what is stuck is left behind after a short time."""
        self._thread.expect_end()
        for worker in self._workers:
            worker.expect_end()

    def abandon(self) -> None:
        """Hand nothing more to a sink that is stuck."""
        for worker in self._workers:
            worker.finish()

    def join(self) -> None:
        """Wait until everything is dispatched and every sink is closed, or left behind."""
        if self._thread.ident is not None:
            self._thread.join()
        else:
            self._close_sinks()

    def _run(self) -> None:
        broken = False
        try:
            while (settled := self._exchange.next_settled()) is not None:
                for one in settled:
                    if one.outcome != "delivered":
                        self.last_failure = one.error or self.last_failure
                        self._builder.not_delivered(one.frame)
                    elif broken:
                        self._exchange.not_dispatched()
                    else:
                        broken = not self._dispatch(one)
        except Exception as exception:  # noqa: BLE001 - handed to the owner
            self._on_error(as_error(exception, StreamClientError, "processing a result failed"))
        finally:
            self._close_sinks()
            self._exchange.show()

    def _close_sinks(self) -> None:
        for worker in self._workers:
            worker.finish()
        for worker in self._workers:
            worker.join()

    def _dispatch(self, settled: Settled) -> bool:
        try:
            stamps = replace(settled.stamps, dispatched=time.monotonic())
            result = self._result(settled, stamps)
            if result is None:
                self._exchange.not_reused()
                return True
            image = self._postprocess(result)
            stamps = replace(result.stamps, delivered=time.monotonic())
            planes = result.planes if image is result.image else None
            result = replace(result, image=image, planes=planes, stamps=stamps)
            self._on_result(result)
        except Exception as exception:  # noqa: BLE001 - handed to the owner
            self._exchange.not_dispatched()
            self._on_error(as_error(exception, StreamClientError, "processing a result failed"))
            return False
        self._deliveries.handed(result.frame.index, len(self._workers))
        for worker in self._workers:
            worker.put(result)  # a sink that has ended takes nothing more; its error is reported already
        self._exchange.dispatched(result.stamps, reused=result.reused)
        return True

    def _result(self, settled: Settled, stamps: Stamps) -> Result | None:
        if settled.reused:
            return self._builder.again(settled.frame, stamps)
        return self._builder.build(settled.frame, settled.request.inputs[0], settled.outputs, stamps)
