"""Windows over landmarks, in milliseconds.

Landmarks come at whatever rate the stream has; they are resampled to a fixed one, so that a model trained on
30 frames a second stays valid at 12. What is missing is not invented: a window that touches a gap or a
time without a person has no features. Only somebody who is known to be hidden, and comes back, is taken to have
moved straight on meanwhile.
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.classify.features import FeatureSchema
from stream_client.classify.pooling import Moments, SlidingMoments
from stream_client.classify.raw_pose import RawPose
from stream_client.errors import ConfigurationError

Array = npt.NDArray[np.float64]

POOLINGS = ("mean", "sum", "max", "min", "std", "range")
FLATTENED = ("flatten",)


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """The length of windows in ms, the overlap of two in a row, and how a window becomes one row.

    ``rate`` is in samples a second. Frames further apart than ``max_gap_ms`` are not bridged. ``pooling`` is
    any of mean, sum, max, min, std and range, or ``("flatten",)``: every sample's features, oldest first.
    """

    length_ms: float = 1000.0
    overlap_ms: float = 500.0
    rate: float = 20.0
    max_gap_ms: float = 300.0
    pooling: tuple[str, ...] = ("mean", "std", "range")

    def __post_init__(self) -> None:
        if not 0 < self.length_ms <= 600_000:
            raise ConfigurationError(f"window: length is above 0 ms and at most 10 minutes, not {self.length_ms:g}")
        if not 0 <= self.overlap_ms < self.length_ms:
            raise ConfigurationError(f"window: overlap is from 0 to below the length, not {self.overlap_ms:g} ms")
        if not 0 < self.rate <= 1000 or self.steps < 2:
            raise ConfigurationError(f"window: {self.rate:g} samples a second give fewer than two a window")
        if self.pooling != FLATTENED and (not self.pooling or set(self.pooling) - set(POOLINGS)):
            raise ConfigurationError(f"window: pooling is {', '.join(POOLINGS)} or flatten alone, not {self.pooling}")

    @property
    def steps(self) -> int:
        """Samples in a window."""
        return round(self.length_ms * self.rate / 1000)

    @property
    def hop(self) -> int:
        """Samples from one window's start to the next one's."""
        return max(1, round((self.length_ms - self.overlap_ms) * self.rate / 1000))

    def names(self, features: tuple[str, ...]) -> tuple[str, ...]:
        """A name for each column of a window's row."""
        prefixes = [str(step) for step in range(self.steps)] if self.pooling == FLATTENED else self.pooling
        return tuple(f"{prefix}:{name}" for prefix in prefixes for name in features)

    def pool(self, features: Array) -> Array:
        """[steps, features] to one row."""
        if self.pooling == FLATTENED:
            return features.reshape(-1)
        mean = features.mean(axis=0)
        squares = ((features - mean) ** 2).sum(axis=0)
        return self.pooled(Moments(len(features), mean, squares, features.max(axis=0), features.min(axis=0)))

    def pooled(self, moments: Moments) -> Array:
        """A window's statistics to one row."""
        return np.concatenate([moments.pooled(name) for name in self.pooling])

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "WindowSpec":
        """What :meth:`to_json` wrote; raises :class:`.ConfigurationError`."""
        try:
            return cls(**{**content, "pooling": tuple(content["pooling"])})
        except (TypeError, KeyError) as error:
            raise ConfigurationError(f"window: {error}") from error


def combined_hash(schema: FeatureSchema | RawPose, window: WindowSpec | None) -> str:
    """The digest that a model stores: of its features, and of its windows if it has any."""
    content = [schema.to_json(), window.to_json() if window else None]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Sample:
    """A resampled step: its number on the grid, its time in µs, its landmarks or ``None``: not known."""

    step: int
    timestamp: int
    landmarks: Array | None


class Resampler:
    """Puts landmarks on a grid of fixed rate, by linear interpolation between neighbouring frames."""

    def __init__(self, rate: float, max_gap_ms: float, *, most_missing: int) -> None:
        self._period = 1e6 / rate
        self._max_gap = max_gap_ms * 1000
        self._most_missing = most_missing
        self._origin: int | None = None
        self._next = 0
        self._frame_time = 0  # of the last frame
        self._seen_time = 0  # of the last landmarks
        self._seen: Array | None = None  # no longer, if what comes next cannot be joined to them

    def reset(self) -> None:
        """Forget everything: the next frame begins a new grid."""
        self._origin = None
        self._seen = None

    def hide(self, timestamp: int) -> None:
        """A frame in which the person is hidden: its samples wait for the next landmarks, which are joined to the last
        ones.
        """
        self._go_on(timestamp)

    def add(self, timestamp: int, landmarks: npt.NDArray[np.floating] | None) -> list[Sample]:
        """The samples that a frame completes; ``timestamp`` in µs. Time that runs back begins a new grid.

        Of a long gap no more than ``most_missing`` samples are given: enough to empty a window.
        """
        points = None if landmarks is None else np.asarray(landmarks, dtype=np.float64)
        origin = self._go_on(timestamp)
        joined = points is not None and self._seen is not None
        end = int((timestamp - origin) / self._period + 1e-6)
        if not joined:
            self._next = max(self._next, end + 1 - self._most_missing)
        samples = []
        for step in range(self._next, end + 1):
            time = origin + round(step * self._period)
            value = None
            if points is not None and time >= timestamp:
                value = points
            elif points is not None and self._seen is not None:
                share = (time - self._seen_time) / (timestamp - self._seen_time)
                value = self._seen + (points - self._seen) * share
            samples.append(Sample(step, time, value))
        self._next = end + 1
        self._seen_time, self._seen = timestamp, points
        return samples

    def _go_on(self, timestamp: int) -> int:
        """Take a frame's time. Returns the time of the grid's first sample."""
        if self._origin is None or timestamp <= self._frame_time:
            self._origin, self._next, self._seen = timestamp, 0, None
        elif timestamp - self._frame_time > self._max_gap:
            self._seen = None
        self._frame_time = timestamp
        return self._origin


@dataclass(frozen=True, slots=True)
class Window:
    """A window from ``start`` to ``end``, in µs. ``row`` is ``None`` where something was missing: unknown."""

    start: int
    end: int
    row: Array | None


class WindowBuffer:
    """Turns a stream of landmarks into windows.

    Each sample's features are computed once, and pooled in constant time however long the window is; only a
    flattened window has to be copied whole.
    """

    def __init__(self, schema: FeatureSchema | RawPose, spec: WindowSpec) -> None:
        self._schema = schema
        self._spec = spec
        self._resampler = Resampler(spec.rate, spec.max_gap_ms, most_missing=spec.steps)
        self._nothing = np.zeros(len(schema.names))
        self._moments = None if spec.pooling == FLATTENED else SlidingMoments(spec.steps)
        self._recent: deque[Array] = deque(maxlen=spec.steps)
        self._count = 0
        self._known = 0  # samples without a gap, up to the newest one
        self._previous: Sample | None = None

    def reset(self) -> None:
        """Begin anew, after a discontinuity of the stream."""
        self._resampler.reset()
        self._clear()

    def add(self, timestamp: int, landmarks: npt.NDArray[np.floating] | None) -> list[Window]:
        """The windows that a frame completes. ``landmarks`` is [33 or 75, 3], ``None`` without a person."""
        return self._windows(self._resampler.add(timestamp, landmarks))

    def hide(self, timestamp: int) -> None:
        """A frame in which the person is hidden, but may come back: windows wait for the next landmarks.

        Then they go on as if the person had moved straight on meanwhile. :meth:`add` with ``None`` ends the wait.
        """
        self._resampler.hide(timestamp)

    def add_all(self, timestamps: Iterable[int], landmarks: Iterable[npt.NDArray[np.floating] | None]) -> list[Window]:
        """The same windows as :meth:`add` gives for each frame. Features of many frames are computed at once."""
        frames = zip(timestamps, landmarks, strict=True)
        return self._windows([sample for at, points in frames for sample in self._resampler.add(at, points)])

    def _windows(self, samples: Sequence[Sample]) -> list[Window]:
        windows = []
        for sample, features in zip(samples, self._features(samples), strict=True):
            if self._previous is not None and sample.step <= self._previous.step:
                self._clear()
            self._append(sample, features)
            if self._count >= self._spec.steps and (self._count - self._spec.steps) % self._spec.hop == 0:
                windows.append(self._window(sample))
        return windows

    def _clear(self) -> None:
        self._count = self._known = 0
        self._previous = None
        self._recent.clear()
        if self._moments is not None:
            self._moments.clear()

    def _append(self, sample: Sample, features: Array) -> None:
        if self._moments is None:
            self._recent.append(features)
        else:
            self._moments.push(features)
        self._known = 0 if sample.landmarks is None else self._known + 1
        self._count += 1
        self._previous = sample

    def _features(self, samples: Sequence[Sample]) -> Iterator[Array]:
        """A row for each sample. Velocities need the step before."""
        before = self._previous
        for run in _runs(samples):
            if run[0].landmarks is None:
                yield self._nothing
            else:
                known = [before, *run] if before is not None and _follows(before, run[0]) else run
                points = np.stack([sample.landmarks for sample in known if sample.landmarks is not None])
                times = np.array([sample.timestamp for sample in known]) / 1e6
                yield from self._schema.compute(points, times)[-len(run) :]
            before = run[-1]

    def _window(self, last: Sample) -> Window:
        steps = self._spec.steps
        start = last.timestamp - round((steps - 1) * 1e6 / self._spec.rate)
        if self._known < steps:
            return Window(start, last.timestamp, None)
        if self._moments is None:
            return Window(start, last.timestamp, np.concatenate(self._recent))
        return Window(start, last.timestamp, self._spec.pooled(self._moments.value))


def _follows(before: Sample, sample: Sample) -> bool:
    """Whether both are known and neighbors on the grid."""
    return before.landmarks is not None and sample.landmarks is not None and sample.step == before.step + 1


def _runs(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Neighbors that are all known; what is unknown is alone."""
    run: list[Sample] = []
    for sample in samples:
        if run and not _follows(run[-1], sample):
            yield run
            run = []
        run.append(sample)
    if run:
        yield run
