"""The clock of live sources, driven by numbers."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from stream_client.sources.media_clock import MediaClock

RATES = st.floats(2, 60)


def run(frames: Sequence[tuple[float | None, float]]) -> list[float]:
    """The times of frames, each a timestamp and an arrival."""
    clock = MediaClock()
    return [clock.time(media, arrival) for media, arrival in frames]


def errors(frames: Sequence[tuple[float | None, float]]) -> list[float]:
    """How far each time is from the frame's arrival, in seconds."""
    return [time - arrival for time, (_, arrival) in zip(run(frames), frames, strict=True)]


def steady(rate: float, seconds: float, speed: float = 1.0, start: float = 0.0) -> list[tuple[float, float]]:
    """Frames whose timestamps run at ``speed``, from ``start`` on."""
    return [(start + speed * n / rate, 1000 + n / rate) for n in range(round(rate * seconds))]


def test_timestamps_are_followed_exactly_whatever_the_jitter() -> None:
    frames = [(n / 25, 1000 + n / 25 + (0.02 if n % 3 else 0.0)) for n in range(1000)]
    assert all(abs(after - before - 0.04) < 1e-9 for before, after in pairwise(run(frames)))


@given(rate=RATES, speed=st.floats(0.2, 5.0))
@settings(max_examples=50, deadline=None)
def test_any_speed_of_the_timestamps_is_learned(rate: float, speed: float) -> None:
    off = errors(steady(rate, 60, speed))
    assert max(map(abs, off)) < 1.5
    assert max(map(abs, off[-round(10 * rate) :])) < 0.3


@given(rate=RATES, jump=st.floats(-10_000, 10_000), jitter=st.lists(st.floats(0, 0.1), min_size=7, max_size=7))
@example(rate=16.0, jump=0.42, jitter=[0.0, 0.1, 0.0, 0.1, 0.1, 0.0, 0.1])
@settings(max_examples=100, deadline=None)
def test_a_jump_of_the_timestamps_is_no_jump_of_the_times(rate: float, jump: float, jitter: list[float]) -> None:
    assume(not -1 / rate < jump < 0)  # back by less than a frame: frames that are close together
    frames = [
        (media + (jump if n > 10 * rate else 0), arrival + jitter[n % 7])
        for n, (media, arrival) in enumerate(steady(rate, 20))
    ]
    times = run(frames)
    steps = [after - before for before, after in pairwise(times)]
    assert min(steps) > 0.3 / rate
    assert max(steps) < 1 / rate + 0.9
    assert max(map(abs, errors(frames))) < 1.2


def test_a_camera_that_pauses_leaves_a_gap_of_its_length() -> None:
    frames = steady(25, 10) + [(media + 10, arrival + 13) for media, arrival in steady(25, 10)]
    off = errors(frames)
    assert max(map(abs, off[270:])) < 0.1  # its clock stood still as well


def test_frames_that_a_stalled_network_delivers_at_once_keep_their_times() -> None:
    frames = [(media, max(arrival, 1008.0) if arrival > 1005 else arrival) for media, arrival in steady(25, 20)]
    times = run(frames)
    assert all(abs(time - 1000 - media) < 0.2 for time, (media, _) in zip(times, frames, strict=True))


def test_what_a_server_sends_at_once_at_the_start_is_spread_and_corrected() -> None:
    frames = [(n / 25, max(1000.0 + n / 25, 1002.0)) for n in range(1000)]
    times = run(frames)
    off = [time - arrival for time, (_, arrival) in zip(times, frames, strict=True)]
    assert max(off) <= MediaClock.LEAD + 0.1
    assert abs(off[-1]) < 0.3
    assert min(after - before for before, after in pairwise(times)) >= 0.001 - 1e-9


def test_timestamps_that_hardly_move_are_no_clock() -> None:
    frames = [(n * 11e-6, 1000 + n / 25) for n in range(1000)]
    assert max(after - before for before, after in pairwise(run(frames)[300:])) < 0.05


def test_without_timestamps_arrival_counts() -> None:
    arrivals = [1000 + n / 10 for n in range(50)]
    assert run([(None, arrival) for arrival in arrivals]) == arrivals


@given(st.lists(st.tuples(st.none() | st.floats(-1e6, 1e6), st.floats(0, 2)), min_size=1, max_size=300))
@settings(max_examples=300, deadline=None)
def test_time_never_goes_backwards_and_stays_near_the_arrival(steps: list[tuple[float | None, float]]) -> None:
    arrival, frames = 1000.0, []
    for media, elapsed in steps:
        arrival += elapsed
        frames.append((media, arrival))
    times = run(frames)
    assert all(after - before > 1e-9 for before, after in pairwise(times))
    # Every frame may need a millisecond more than the arrivals give.
    assert all(
        -4.5 < time - at < MediaClock.LEAD + 0.001 * len(frames) for time, (_, at) in zip(times, frames, strict=True)
    )


def test_frames_that_waited_for_their_reader_keep_the_steps_of_their_timestamps() -> None:
    clock = MediaClock()
    first = clock.time(5.0, 1000.0)
    held = [clock.held(5.0 + n / 25) for n in range(1, 100)]
    assert all(abs(time - first - n / 25) < 1e-6 for n, time in enumerate(held, start=1))
