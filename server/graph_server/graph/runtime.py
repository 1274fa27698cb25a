"""Runs a graph with worker threads around :class:`Dataflow`.

Nodes that are ready run in parallel, also for different timestamps: the pose of the next frame is computed beside
hands and face of this frame. The oldest timestamp runs first, so frames leave soon.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from typing_extensions import override

from graph_server.errors import GraphError
from graph_server.graph.calculator import NOTHING, Calculator, Registry
from graph_server.graph.dataflow import Dataflow, mismatch
from graph_server.graph.definition import GraphDefinition
from graph_server.graph.lifecycle import Each, GraphCalculators, failure, run_failed
from graph_server.graph.node import Node, Port
from graph_server.graph.packet_types import ANY, PacketType, consistent, named
from graph_server.graph.policies import NodeState
from graph_server.graph.timestamps import MIN_TIMESTAMP, next_allowed
from graph_server.models.repository import Models

OutputListener = Callable[[str, Any, int], None]
"""Takes the name of an output stream, a packet's value and its timestamp. Calls are in order for each stream."""

NodeListener = Callable[[Calculator, float, float], None]
"""Takes a calculator that has run, and when it began and ended, in seconds of :func:`time.monotonic`."""

Watch = Callable[[int], NodeListener | None]
"""Gives the listener for the calls of a timestamp; ``None``: nobody wants to know."""

_DEADLOCK_ALLOWANCE = 1_000


class Graph:
    """One instance of a graph, with its own state and its own worker threads. ``each`` makes its calculators.

    The workers call the listener. ``num_threads`` in the graph's text limits the workers. Without it the limit is
    ``THREADS``: one for each processor, because workers compute and do not wait. ``own`` holds side packets that the
    server gives to every run. Raises :class:`ConfigError` if a calculator cannot be made.
    """

    THREADS = min(max(2, os.cpu_count() or 1), 8)

    def __init__(
        self,
        definition: GraphDefinition,
        registry: Registry,
        models: Models,
        each: Each = map,
        *,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        self._own = own or {}
        self._definition = definition
        self._calculators = GraphCalculators(definition, registry, models, each)
        # One lock with two conditions: workers wait for work, callers of this class wait for news.
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._news = threading.Condition(self._lock)
        self._bounds = dict.fromkeys((port.name for port in definition.input_streams), MIN_TIMESTAMP)
        self._flow = Dataflow((), self._bounds)
        self._max_timestamps = definition.max_queue_size
        self._max_bytes: int | None = None
        self._watch: Watch | None = None
        self._running = 0
        self._sleeping = 0
        self._throttled = 0
        self._closing = False
        self._ended = False
        self._error: GraphError | None = None
        self._threads: list[threading.Thread] = []
        self._most_threads = definition.num_threads or self.THREADS

    @property
    def error(self) -> GraphError | None:
        """The error of the graph, or ``None``."""
        return self._error

    @property
    def pending(self) -> int:
        """The number of timestamps that have entered the graph and not left it."""
        with self._lock:
            return self._flow.in_progress

    def limit_queue(self, timestamps: int, nbytes: int) -> None:
        """Let :meth:`add_packet` wait while this number of timestamps, or of bytes of input packets, is in progress."""
        self._max_timestamps, self._max_bytes = timestamps, nbytes

    def watch(self, find: Watch | None) -> None:
        """Tell the listener that ``find`` gives for a timestamp about every call of a calculator for it."""
        self._watch = find

    def start(self, side_packets: Mapping[str, Any], listener: OutputListener) -> None:
        """Open every calculator. Raises :class:`GraphError` with the code ``FAILED_PRECONDITION``."""
        try:
            self._calculators.open({**side_packets, **self._own})
        except GraphError:
            self._close_calculators()
            raise
        outlets = [_Outlet(port.name, listener) for port in self._definition.output_streams]
        self._flow = Dataflow([*self._calculators.made, *outlets], self._bounds)

    def add_packet(self, stream: str, value: Any, timestamp: int, holds: PacketType = ANY) -> None:
        """Give a packet to an input stream. Waits while ``max_queue_size`` timestamps are in progress.

        ``holds`` is the type of the value. A type that the stream's consumers do not take puts the graph into error.

        Like MediaPipe, it does not wait if the graph needs more packets to go on. In this case a thousand more
        timestamps, or more bytes than :meth:`limit_queue` allows, put the graph into error.

        Raises :class:`GraphError` after :meth:`close_inputs`, when the graph is in error, and for a timestamp that
        does not rise. Such a timestamp also puts the graph into error.
        """
        with self._lock:
            self._raise_error()
            bound = self._bounds[stream]
            if timestamp < bound:
                # As in MediaPipe, the text is there once for each calculator that receives from the stream.
                texts = ["; " + mismatch(stream, bound, timestamp)] * max(1, len(self._flow.inputs[stream]))
                self._fail(run_failed("".join(texts), "INVALID_ARGUMENT"))
            wanted = self._definition.stream_types.inputs[stream]
            if not consistent(holds, wanted):
                text = (
                    f'Packet type mismatch on a calculator receiving from stream "{stream}": '
                    f'The Packet stores "{named(holds)}", but "{named(wanted)}" was requested.'
                )
                self._fail(run_failed(f"; {text}", "INVALID_ARGUMENT"))
            if not self._has_room():
                self._throttled += 1
                self._news.wait_for(lambda: self._error is not None or self._has_room() or self._idle())
                self._throttled -= 1
                self._raise_error()
            if self._closing:
                raise GraphError(f'Packet sent to closed stream "{stream}".', "FAILED_PRECONDITION")
            if not self._has_room():
                self._check_deadlock()
            self._bounds[stream] = next_allowed(timestamp)
            self._flow.add(stream, value, timestamp)
            self._wake()

    def close_inputs(self) -> None:
        """Close the input streams: no more packets will come. The graph still processes the packets inside."""
        with self._lock:
            if not self._closing:
                self._closing = True
                for stream in self._bounds:
                    self._flow.close(stream)
                self._wake()
                self._news.notify_all()

    def wait_until_idle(self) -> None:
        """Wait until nothing more can be processed. Raises the graph's error."""
        with self._lock:
            self._news.wait_for(lambda: self._error is not None or self._idle())
            self._raise_error()

    def wait_until_done(self) -> None:
        """After :meth:`close_inputs`, wait for the remaining packets and end the workers. Raises the graph's error."""
        with self._lock:
            self._news.wait_for(lambda: self._error is not None or (self._closing and self._idle()))
        self._end()
        with self._lock:
            self._raise_error()

    def abort(self) -> None:
        """Let the workers end after their current calls, without waiting for them. :meth:`cancel` waits."""
        with self._lock:
            self._break(GraphError("the graph was cancelled", "CANCELLED"))

    def cancel(self) -> None:
        """End at once. Packets inside are lost. Waits for the current calls of calculators."""
        self.abort()
        self._end()

    # --- private; callers hold the lock, unless the docstring says otherwise

    def _idle(self) -> bool:
        return not self._running and not self._flow.ready

    def _has_room(self) -> bool:
        flow = self._flow
        return flow.in_progress < self._max_timestamps and (self._max_bytes is None or flow.nbytes < self._max_bytes)

    def _wake(self) -> None:
        """Wake or start a worker if a call is ready."""
        if not self._flow.ready:
            return
        if self._sleeping:
            self._sleeping -= 1
            self._work.notify()
        elif len(self._threads) < self._most_threads:
            name = f"graph {self._definition.source} {len(self._threads)}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _run(self) -> None:
        """Run one worker. Takes the lock itself."""
        # As in C++, NaN and infinite values give no warning. The calculators handle them.
        with np.errstate(all="ignore"), self._lock:
            while self._error is None and not self._ended:
                if not self._flow.ready:
                    if not self._running:
                        self._news.notify_all()
                    self._sleeping += 1
                    self._work.wait()
                    continue
                self._step(*self._flow.pop())  # no variable keeps the task alive while this worker waits
                if self._throttled and self._has_room():
                    self._news.notify_all()

    def _step(self, _turn: int, _place: int, timestamp: int, state: NodeState, values: list[Any]) -> None:
        """Call one calculator. The lock is free during the call."""
        if self._flow.ready and not state.calculator.brief:
            self._wake()
        self._running += 1
        try:
            self._lock.release()
            try:
                listener = None if self._watch is None else self._watch(timestamp)
                began = 0.0 if listener is None else time.monotonic()
                results = state.run(values, timestamp)
                if listener is not None:
                    listener(state.calculator, began, time.monotonic())
            finally:
                self._lock.acquire()
                self._running -= 1
            self._flow.done(state, timestamp, results)
        except Exception as error:  # noqa: BLE001 - becomes the graph's error
            code = error.code if isinstance(error, GraphError) else "INTERNAL"
            self._break(run_failed(failure("Process", state.calculator.node, error), code))

    def _break(self, error: GraphError) -> None:
        """Put the graph into error. The first error stays."""
        if self._error is None:
            self._error = error
        self._closing = True
        self._work.notify_all()
        self._news.notify_all()

    def _check_deadlock(self) -> None:
        """Check a graph that is full and idle. More packets may help, but only up to a limit."""
        flow = self._flow
        if self._max_bytes is not None and flow.nbytes >= self._max_bytes:
            text = f"{flow.nbytes} bytes of packets wait for packets of other streams; the limit is {self._max_bytes}"
            self._fail(GraphError(text, "RESOURCE_EXHAUSTED"))
        if not self._definition.report_deadlock and flow.in_progress < self._max_timestamps + _DEADLOCK_ALLOWANCE:
            return
        _, node, stream = max(
            (len(queue.packets), state.calculator.node.name, port.name)
            for state in flow.states
            for queue, port in zip(state.inputs, state.calculator.node.inputs, strict=True)
        )
        text = (
            f'Detected a deadlock due to input throttling for input stream: "{stream}" of a node "{node}". '
            "All calculators are idle while packet sources remain active and throttled.  Consider adjusting "
            '"max_queue_size" or "report_deadlock".'
        )
        self._fail(run_failed(text, "UNAVAILABLE"))

    def _fail(self, error: GraphError) -> NoReturn:
        """Put a graph without an error into this one, and raise it."""
        self._break(error)
        raise _copy(error)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise _copy(self._error)

    def _end(self) -> None:
        """End the workers and release the calculators and the listener. Waits, so the caller must not hold the lock."""
        with self._lock:
            self._ended = True
            self._work.notify_all()
            threads, self._threads = self._threads, []
            self._most_threads = 0
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        self._close_calculators()
        with self._lock:
            self._flow.unlink()
            self._flow = Dataflow((), self._bounds)

    def _close_calculators(self) -> None:
        """Close the open calculators once. The first failure becomes the graph's error. Takes the lock itself."""
        for error in self._calculators.close():
            with self._lock:
                self._break(error)


class _Outlet(Calculator):
    """The end of an output stream. It gives the packets to the listener, in order."""

    def __init__(self, stream: str, listener: OutputListener) -> None:
        self.node = Node(f"output {stream}", "", 0, (Port("", 0, stream),), ())
        self._stream = stream
        self._listener = listener

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        self._listener(self._stream, inputs[0], timestamp)
        return NOTHING


def _copy(error: GraphError) -> GraphError:
    """To raise: a traceback refers to the graph, so a graph with the very error would refer to itself."""
    return GraphError(str(error), error.code)
