"""Which streams share credits: those whose sessions live on the same server."""

from stream_client.pipeline.credits import SharedCredits, StreamCredits


def streams(count: int) -> list[StreamCredits]:
    shared = SharedCredits(lambda: 0.0)
    return [shared.join(1.0) for _ in range(count)]


def fill(*credits: StreamCredits) -> int:
    """Take in turn all that there is; how many that was."""
    taken = 0
    while any([each.take() for each in credits]):
        taken += 1
    return taken


def test_a_server_with_all_that_it_can_owe_keeps_back_no_frame_for_another() -> None:
    first, second, third, fourth = streams(4)
    for stream, server in ((first, "a"), (second, "a"), (third, "b"), (fourth, "b")):
        stream.placed(server)
    assert fill(first, second)
    assert third.take()
    assert fourth.take()
    assert not first.take()


def test_streams_that_are_placed_nowhere_share_all_servers() -> None:
    first, second, third = streams(3)
    assert fill(first, second)
    assert not third.take()


def test_what_a_stream_has_in_flight_moves_with_it() -> None:
    moving, staying, there = streams(3)
    for stream, server in ((moving, "a"), (staying, "a"), (there, "b")):
        stream.placed(server)
    assert fill(moving, staying)
    assert not staying.take()
    moving.placed("b")
    assert staying.take()
    assert there.allowance() > 0  # it is not alone there


def test_a_stream_that_has_left_is_placed_no_more() -> None:
    left, there = streams(2)
    left.leave()
    left.placed("a")
    there.placed("a")
    assert there.allowance() == 0  # alone
