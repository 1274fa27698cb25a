"""A training set that lives in memory: the newest labeled landmark windows of a running stream.

The buffer keeps landmarks and, on request, small crops of frames. It writes nothing to disk.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stream_client.classify.windows import Resampler, WindowSpec
from stream_client.errors import ConfigurationError
from stream_client.frames import Image, Result, StreamInfo
from stream_client.training.augment import jittered, mirror, rotated, scaled
from stream_client.training.newest import NewestSamples

if TYPE_CHECKING:
    from stream_client.collect.strategies import Strategy

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LandmarkWindow:
    """A sample: ``landmarks`` [steps, points, 3] at a fixed rate, ending at ``timestamp`` (µs).

    ``label`` and ``confidence`` come from the stream's classifier, or from another labeller, at the end of the window.
    ``crop`` is a small part of the frame, if requested.
    """

    timestamp: int
    landmarks: Array
    label: str
    confidence: float
    crop: Image | None = None


LandmarksOf = Callable[[Result], npt.NDArray[np.floating] | None]
LabelOf = Callable[[Result], tuple[str, float] | None]
CropOf = Callable[[Result], Image | None]


def landmarks_of_result(result: Result) -> npt.NDArray[np.floating] | None:
    """The graph's landmarks of body and hands, in pixels."""
    return None if result.landmarks is None else result.landmarks.pixels()


def label_of_result(result: Result) -> tuple[str, float] | None:
    """The stream's own label, for example to train a smaller model."""
    return None if result.label is None else (result.label.name, result.label.score)


class TrainingBuffer(NewestSamples[LandmarkWindow]):
    """A sink that keeps the newest ``capacity`` samples. The stream fills it and a training loop reads it.

    ``landmarks`` returns the landmarks of a result, float [33 or 75, 3]. ``label`` returns its label and confidence,
    or ``None`` to skip it. Each sample is a window as ``window`` describes. A window with a gap, or with a time
    without a person, is skipped. ``crop`` adds a crop to each sample, of at most ``CROP_SIDE`` pixels a side.
    With ``print_to`` each sample is also printed there. With ``strategies`` (``stream_client.collect.strategies``)
    a window is a sample only if one of them wants the result that ends it.

    A full buffer drops the oldest sample. :attr:`~.NewestSamples.counts` has the number of dropped samples.
    """

    CROP_SIDE = 128

    def __init__(
        self,
        landmarks: LandmarksOf = landmarks_of_result,
        *,
        label: LabelOf = label_of_result,
        window: WindowSpec | None = None,
        capacity: int = 1000,
        crop: CropOf | None = None,
        strategies: Sequence["Strategy"] = (),
        print_to: IO[str] | None = None,
    ) -> None:
        super().__init__(capacity)
        self.name = "training buffer"
        self.needs_landmarks = landmarks is landmarks_of_result
        self._landmarks = landmarks
        self._label = label
        self._crop = crop
        self._strategies = tuple(strategies)
        self._print_to = print_to
        self._spec = window or WindowSpec()
        self._resampler = Resampler(self._spec.rate, self._spec.max_gap_ms, most_missing=self._spec.steps)
        self._recent: deque[Array | None] = deque(maxlen=self._spec.steps)
        self._since_sample = 0

    # --- called by the stream

    def open(self, info: StreamInfo) -> None:
        """Begin a stream. Samples of earlier streams stay."""
        with self._changed:
            self._closed = False
        self._resampler.reset()
        self._recent.clear()
        self._since_sample = 0

    def write(self, result: Result) -> bool:
        """Add a result. It may complete a sample."""
        points = self._landmarks(result)
        wanted = not self._strategies or any([strategy.wants(result) for strategy in self._strategies])
        for sample in self._resampler.add(result.frame.timestamp, points):
            if sample.step == 0:
                self._recent.clear()
                self._since_sample = 0
            self._recent.append(sample.landmarks)
            self._since_sample += 1
            due = self._since_sample >= self._spec.hop and len(self._recent) == self._spec.steps
            if due and wanted and (said := self._label(result)) is not None:
                known = [landmarks for landmarks in self._recent if landmarks is not None]
                if len(known) == self._spec.steps:
                    self._since_sample = 0
                    crop = None if self._crop is None else _small(self._crop(result), self.CROP_SIDE)
                    self.add(LandmarkWindow(sample.timestamp, np.stack(known), *said, crop))
        return True

    def add(self, sample: LandmarkWindow) -> None:
        """Add a sample. A full buffer drops the oldest one."""
        super().add(sample)
        if self._print_to is not None:
            shape = "x".join(str(size) for size in sample.landmarks.shape)
            print(
                f"{sample.timestamp / 1e6:.3f} s  {sample.label}  {sample.confidence:.2f}  landmarks {shape}",
                file=self._print_to,
            )

    # --- called by the training loop

    def sample(self, count: int, rng: np.random.Generator, *, uncertainty_weight: float = 0.0) -> list[LandmarkWindow]:
        """``count`` random samples, with replacement. Empty list while the buffer is empty.

        A positive ``uncertainty_weight`` makes samples of low confidence more likely: the weight of a sample
        is 1 + ``uncertainty_weight`` x (1 - confidence).
        """
        kept = self.snapshot()
        if not kept:
            return []
        weights = np.array([1 + uncertainty_weight * (1 - sample.confidence) for sample in kept])
        return [kept[index] for index in rng.choice(len(kept), count, p=weights / weights.sum())]


def augment(sample: LandmarkWindow, rng: np.random.Generator) -> LandmarkWindow:
    """Scale, rotate and jitter a sample. Its label stays. Labels that name a side need :func:`flipped` too."""
    return replace(sample, landmarks=jittered(rotated(scaled(sample.landmarks, rng), rng), rng), crop=None)


def flipped(sample: LandmarkWindow, label: str) -> LandmarkWindow:
    """The mirrored sample, with ``label`` as its label."""
    crop = None if sample.crop is None else np.ascontiguousarray(sample.crop[:, ::-1])
    return replace(sample, landmarks=mirror(sample.landmarks), label=label, crop=crop)


def torch_dataset(buffer: TrainingBuffer, labels: tuple[str, ...], seed: int | None = None) -> Any:
    """A PyTorch ``IterableDataset`` of (landmarks float32 [steps, points, 3], label's number), each sample once.

    With a ``seed`` samples are augmented. Use ``num_workers=0``, because the buffer lives in this process.
    Samples with other labels are skipped. Raises :class:`.ConfigurationError` if PyTorch is not installed.
    """
    try:
        from torch import from_numpy
        from torch.utils.data import IterableDataset
    except ImportError as error:
        raise ConfigurationError("PyTorch is not installed: pip install torch") from error

    class BufferDataset(IterableDataset):  # type: ignore[misc,unused-ignore]
        def __iter__(self) -> Iterator[Any]:
            rng = None if seed is None else np.random.default_rng(seed)
            for sample in buffer:
                if sample.label in labels:
                    varied = sample if rng is None else augment(sample, rng)
                    yield from_numpy(varied.landmarks.astype(np.float32)), labels.index(sample.label)

    return BufferDataset()


def dry_run(**options: Any) -> TrainingBuffer:
    """A buffer that prints its samples and keeps only the last one. Options as for :class:`TrainingBuffer`."""
    return TrainingBuffer(capacity=1, print_to=sys.stdout, **options)


def _small(crop: Image | None, side: int) -> Image | None:
    """A copy of every n-th pixel. A view would keep the whole frame in memory."""
    if crop is None:
        return None
    step = max(1, -(-max(crop.shape[:2]) // side))
    return np.ascontiguousarray(crop[::step, ::step]).copy()
