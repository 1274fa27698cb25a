"""The client for asyncio."""

import asyncio
import inspect
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from stream_client import AsyncStreamClient, Image, Request, Result, RunOptions, StreamClient
from stream_client.errors import SourceNotFoundError
from tests.support.video import picture


def echo(request: Request) -> dict[str, Image]:
    return {"output": request.inputs[0].array}


def endless() -> Iterator[Image]:
    while True:
        yield picture(1)


def test_results_come_in_order_and_the_event_loop_goes_on() -> None:
    async def main() -> tuple[list[int], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        async with AsyncStreamClient([picture(index) for index in range(30)], transport=echo) as client:
            indices = [result.frame.index async for result in client]
        ticking.cancel()
        assert client.client.summary is not None
        assert client.client.summary.ledger.delivered == 30
        return indices, ticks

    indices, ticks = asyncio.run(main())
    assert indices == list(range(30))
    assert ticks > 30


def test_a_whole_run_gives_its_summary() -> None:
    shown: list[Result] = []
    client = AsyncStreamClient([picture(0), picture(1)], shown.append, echo)
    assert asyncio.run(client.run()).ledger.delivered == 2
    assert len(shown) == 2


def test_leaving_the_loop_ends_the_run() -> None:
    async def main() -> int:
        async with AsyncStreamClient(endless(), transport=echo) as client:
            async for result in client:
                if result.frame.index == 5:
                    break
        assert client.client.summary is not None
        return client.client.summary.ledger.entered

    assert asyncio.run(main()) > 5


@pytest.mark.parametrize("with_block", [True, False])
def test_cancellation_leaves_nothing_behind(with_block: bool) -> None:
    async def consume(first: asyncio.Event) -> None:
        client = AsyncStreamClient(endless(), transport=echo, options=RunOptions(drop_policy="block"))
        if with_block:
            async with client:
                async for _ in client:
                    first.set()
        else:
            async for _ in client:
                first.set()

    async def main() -> None:
        first = asyncio.Event()
        task = asyncio.create_task(consume(first))
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= before


def test_an_error_of_the_run_is_raised_in_the_loop() -> None:
    async def main() -> None:
        async for _ in AsyncStreamClient("/nowhere.mp4", transport=echo):
            pass

    with pytest.raises(SourceNotFoundError):
        asyncio.run(main())


def test_closing_before_the_start_and_twice_is_no_fault() -> None:
    async def main() -> None:
        client = AsyncStreamClient([np.zeros((8, 8, 3), np.uint8)], transport=echo)
        await client.close()
        await client.close()

    asyncio.run(main())


def test_the_constructor_shows_the_clients_parameters() -> None:
    assert list(inspect.signature(AsyncStreamClient).parameters) == list(inspect.signature(StreamClient).parameters)
