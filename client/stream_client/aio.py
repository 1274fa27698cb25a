"""The client for asyncio: the same arguments, the same results, no blocked event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

from stream_client.client import StreamClient
from stream_client.frames import Result
from stream_client.monitoring.summary import Summary

P = ParamSpec("P")
T = TypeVar("T")


def _parameters_of(
    of: Callable[P, object],
) -> Callable[[Callable[..., None]], Callable[Concatenate["AsyncStreamClient", P], None]]:
    """The decorated constructor takes what ``of`` takes, for type checkers and for ``help()``."""

    def decorate(constructor: Callable[..., None]) -> Callable[Concatenate["AsyncStreamClient", P], None]:
        constructor.__wrapped__ = StreamClient.__init__  # type: ignore[attr-defined]
        return constructor

    return decorate


class AsyncStreamClient:
    """A :class:`.StreamClient` in an event loop. It takes the same arguments, and runs once.

    Results come in frame order. Leaving the loop, an error in it, or its cancellation ends the run and everything that
    it started; with ``async with`` at once, else as soon as the loop's iterator is collected. Callbacks of the
    arguments run in the client's own threads.

    >>> async def main() -> None:
    ...     async with AsyncStreamClient("in.mp4", ["out.mp4"]) as client:
    ...         async for result in client:
    ...             print(result.frame.index, result.label)
    """

    @_parameters_of(StreamClient)
    def __init__(self, *arguments: object, **keywords: object) -> None:
        self.client = StreamClient(*arguments, **keywords)  # type: ignore[arg-type]
        """The client underneath: its summary, its connections, its events."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="async client")
        self._closed = False

    async def run(self) -> Summary:
        """Run to the end of the source, a limit or :meth:`stop`. Raises the error that ended the run otherwise."""
        try:
            return await self._call(self.client.run)
        finally:
            await self.close()

    def stop(self) -> None:
        """End the run; see :meth:`.StreamClient.stop`. Returns at once."""
        self.client.stop()

    def finish(self) -> None:
        """Stop reading; see :meth:`.StreamClient.finish`. Returns at once."""
        self.client.finish()

    async def close(self) -> None:
        """End the run and everything that it started. Safe twice, and before it has started."""
        if self._closed:
            return
        self._closed = True
        self.client.stop()  # a thread that waits for a result gets none, so the next call has its turn
        closing = asyncio.ensure_future(self._call(self.client.__exit__, None, None, None))
        try:
            await asyncio.shield(closing)
        finally:
            self._thread.shutdown(wait=closing.done())

    async def __aenter__(self) -> "AsyncStreamClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[Result]:
        results = iter(self.client)
        try:
            while (result := await self._call(next, results, None)) is not None:
                yield result
        finally:
            await self.close()

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
