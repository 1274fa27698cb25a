"""From labeled clips to a dataset. One clip is in memory at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from stream_client.classify.features import FeatureSchema
from stream_client.classify.windows import Window, WindowSpec
from stream_client.errors import ConfigurationError, SourceError
from stream_client.training.augment import mirrored_target
from stream_client.training.clips import FindLandmarks, LabelledClip, Prepare, Span, Track
from stream_client.training.consensus import Consensus, agreed, disagreement_note
from stream_client.training.cutting import cut, span_at, streams_of, unlabeled, varied
from stream_client.training.dataset import Dataset, Rows, check_labels, group_of
from stream_client.training.duplicates import duplicate_notes, near_duplicates, together
from stream_client.training.grouping import BETWEEN, Groups, Origin, grouped
from stream_client.training.tables import poses_to_dataset, torso_aligned
from stream_client.util.file_kinds import is_recording
from stream_client.util.wording import counted, listed

Array = npt.NDArray[np.float64]

_VARIANTS = 12
"""Random variations of each clip and of its mirror image."""
_MANY_CLIPS = 50
"""With more clips there are fewer variations of each, so that memory stays the same."""
_STREAMS = 20
"""The number of clips with which models are compared at lower frame rates."""
_SLOWER = (2, 3)
"""Also learn from every second and every third of the frames: a tracker with fewer frames finds other landmarks."""
_SHORTEST_GAP = 500_000
"""Time in µs after which a pose counts as another one, for blocks of time."""


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """How clips become samples.

    ``window`` of ``None`` makes single poses, and ``poses_of_photos`` does so where a class has photos only.
    ``labels`` are the only ones, in this order. ``background`` names a class for the unlabeled time of annotated
    clips. ``group_by`` finds the person or session in ``FOLDER/FILE`` of a clip (:func:`.group_of`). With ``strict``,
    the first file that cannot be used raises. ``vary`` adds varied rows, which are for training only.
    """

    schema: FeatureSchema = field(default_factory=FeatureSchema)
    window: WindowSpec | None = None
    poses_of_photos: bool = False
    labels: tuple[str, ...] = ()
    background: str | None = None
    group_by: str | None = None
    strict: bool = False
    vary: bool = True
    fewest_labels: int = 2


def clips_dataset(
    clips: Sequence[LabelledClip], find: FindLandmarks, options: ClipOptions, prepare: Prepare | None = None
) -> Dataset:
    """The windows, or single poses, that lie within one labeled span.

    ``prepare`` may find landmarks beforehand, of several clips at once. A clip that cannot be read is skipped with a
    note, or raises with ``strict``. Raises :class:`~stream_client.errors.StreamClientError`.
    """
    names = options.labels or tuple(sorted({span.label for clip in clips for span in clip.spans}))
    _check_labels(names, clips)
    found = agreed(clips, options.labels or None, strict=options.strict)
    groups = [_group(clip, options.group_by) for clip in clips]
    variants = max(1, _VARIANTS * _MANY_CLIPS // max(_MANY_CLIPS, len(clips))) if options.vary else 0
    if prepare is not None:
        videos = [clip.path for clip in clips if not is_recording(clip.path)]
        prepare(videos, lambda track: slower_streams(track, options), options.strict)
    collected = _Collected(options, _kind(clips, options.group_by), variants)
    for clip, one, group in zip(tqdm(clips, unit="clip", disable=None), found, groups, strict=True):
        try:
            collected.add(clip, one, group, find)
        except SourceError as error:
            if options.strict:
                raise
            collected.skipped.append(f"skipped: {error.message}")
    return collected.dataset(names, clips)


def slower_streams(track: Track, options: ClipOptions) -> tuple[int, ...]:
    """Of which every-N-th frames of a clip landmarks are learned from, besides those of all frames."""
    if options.window is None or not options.vary or not len(track.timestamps):
        return ()
    # Even at half this rate there must be no gap.
    period = float(track.timestamps[-1] - track.timestamps[0]) / max(1, len(track.timestamps) - 1) / 1000
    return tuple(every for every in _SLOWER if 2 * every * period <= options.window.max_gap_ms)


def _check_labels(names: Sequence[str], clips: Sequence[LabelledClip]) -> None:
    there = {span.label for clip in clips for span in clip.spans}
    if absent := [name for name in names if name not in there]:
        raise ConfigurationError(f"no {', '.join(absent)} among the labels {', '.join(sorted(there))}", option="labels")


def _group(clip: LabelledClip, group_by: str | None) -> str:
    if group_by:
        return group_of(f"{clip.path.parent.name}/{clip.path.name}", group_by)
    return clip.group or str(clip.path)


def _kind(clips: Sequence[LabelledClip], group_by: str | None) -> str:
    return "person or session" if group_by or any(clip.group for clip in clips) else "clip"


class _Collected:
    """Rows with their labels and origins, and augmented rows."""

    def __init__(self, options: ClipOptions, kind: str, variants: int) -> None:
        self._options = options
        self._kind = kind
        self._variants = variants
        self._rng = np.random.default_rng(0)
        self._rows: list[Rows] = []
        self._labels: list[str] = []
        self._origins: list[Origin] = []
        self._extra_rows: list[Rows] = []
        self._extra_labels: list[tuple[str, bool]] = []
        self._extra_origins: list[Origin] = []
        self._streams: list[tuple[tuple[Window, ...], ...]] = []
        self._seconds: dict[str, float] = {}
        self._disputes: list[tuple[Path, Consensus, float]] = []
        self.skipped: list[str] = []
        """Notes about clips without a sample."""

    def add(self, clip: LabelledClip, labels: Consensus, group: str, find: FindLandmarks) -> None:
        """Add a clip's rows."""
        options = self._options
        track = find(clip.path, 1)
        if not len(track.timestamps):
            raise SourceError(f"{clip.path} has no frame")
        spans, end = labels.spans, float(track.timestamps[-1]) / 1e6
        if labels.disputed:
            self._disputes.append((clip.path, labels, end))
        if options.background is not None and not clip.whole:
            shortest = options.window.length_ms / 1000 if options.window else 0.2
            taken = (*spans, *labels.disputed, *clip.unclear)
            spans = (*spans, *unlabeled(taken, end, shortest, options.background))
        before = len(self._rows)
        self._count_seconds(track, spans)
        if options.window is None:
            for frame, timestamp in enumerate(track.timestamps.tolist()):
                if (points := track.person(frame)) is not None:
                    self._keep(points[:33], spans, Origin(group, 0.0, timestamp, timestamp, str(clip.path)))
        else:
            self._add_windows(clip, track, spans, group, find, options.window)
        if len(self._rows) == before and spans:
            self.skipped.append(f"{clip.path} gives no sample: {self._why(track)}")

    def _add_windows(
        self,
        clip: LabelledClip,
        track: Track,
        spans: Sequence[Span],
        group: str,
        find: FindLandmarks,
        window: WindowSpec,
    ) -> None:
        schema = self._options.schema
        tracks = [track, *(find(clip.path, every) for every in slower_streams(track, self._options))]
        if len(tracks) > 1 and len(self._streams) < _STREAMS:
            self._streams.append(streams_of(tracks, schema, window, self._rng))
        for found in cut(track.timestamps, track.landmarks, schema, window):
            if found.row is not None:
                self._keep(found.row, spans, Origin(group, 0.0, found.start, found.end, str(clip.path)))
        for reflect in (False, True):
            for variant in range(self._variants):
                chosen_track = tracks[variant % len(tracks)]
                for found in varied(chosen_track, schema, window, self._rng, reflect=reflect):
                    span = span_at(spans, found.start, found.end)
                    if found.row is not None and span is not None:
                        self._extra_rows.append(found.row.astype(np.float32))
                        self._extra_labels.append((span.label, reflect))
                        self._extra_origins.append(Origin(group, span.start, found.start, found.end))

    def _keep(self, row: Array, spans: Sequence[Span], origin: Origin) -> None:
        span = span_at(spans, origin.start, origin.end)
        if span is not None:
            self._rows.append(row.astype(np.float32))
            self._labels.append(span.label)
            self._origins.append(replace(origin, span=span.start))

    def _count_seconds(self, track: Track, spans: Sequence[Span]) -> None:
        times = track.timestamps / 1e6
        periods = np.diff(times, append=times[-1])
        seen = ~np.isnan(track.landmarks[:, 0, 0])
        for span in spans:
            here = seen & (times >= span.start) & (times <= span.end)
            self._seconds[span.label] = self._seconds.get(span.label, 0.0) + float(periods[here].sum())

    def _why(self, track: Track) -> str:
        window = self._options.window
        if window is None:
            return "nobody is seen in it for a moment within a label"
        times = track.timestamps / 1000
        if times[-1] - times[0] < window.length_ms:
            return f"it lasts {times[-1] - times[0]:.0f} ms, and a window is {window.length_ms:g} ms long"
        if np.median(np.diff(times)) > window.max_gap_ms:
            return f"its frames are {np.median(np.diff(times)):.0f} ms apart, and {window.max_gap_ms:g} are the most"
        return f"nobody is seen in it for {window.length_ms:g} ms within a label"

    def dataset(self, names: tuple[str, ...], clips: Sequence[LabelledClip]) -> Dataset:
        """Everything that was added."""
        options = self._options
        what = str(clips[0].path) if len(clips) == 1 else counted(len(clips), "clip")
        counts = {name: self._labels.count(name) for name in dict.fromkeys((*names, *self._labels))}
        notes = [*([disagreement_note(self._disputes)] if self._disputes else []), *self.skipped]
        if self.skipped:
            notes.append(f"{len(clips) - len(self.skipped)} of {counted(len(clips), 'clip')} are used")
        empty = [name for name, count in counts.items() if not count]
        if empty:
            text = f"there is no usable sample of {listed([repr(name) for name in empty])}"
            if options.strict:
                raise ConfigurationError(f"{text}: a person must be visible for longer than a window", option="data")
            notes.append(f"{text}: the model does not know it")
        labels = tuple(name for name, count in counts.items() if count)
        check_labels(labels, what, _because(notes), fewest=options.fewest_labels)
        targets = np.array([labels.index(label) for label in self._labels], dtype=np.intp)
        rows = np.array(self._rows, dtype=np.float32)
        pairs = near_duplicates(
            rows if options.window else torso_aligned(rows.reshape(-1, 33, 3).astype(np.float64)), self._origins
        )
        notes += duplicate_notes(pairs, self._origins, self._labels)
        self._origins, self._extra_origins = together(self._origins, pairs), together(self._extra_origins, pairs)
        gap = _SHORTEST_GAP if options.window is None else 0
        groups = grouped(targets.tolist(), self._origins, labels, self._kind, gap)
        notes += groups.notes
        seconds = tuple(self._seconds.get(label, 0.0) for label in labels)
        if options.window is None:
            poses = np.array(self._rows, dtype=np.float64).reshape(-1, 33, 3)
            return poses_to_dataset(poses, targets, labels, groups, tuple(self._origins), (*notes,), seconds)
        extra = list(self._extras(labels, groups))
        return Dataset(
            rows=rows,
            targets=targets,
            groups=groups.numbers,
            labels=labels,
            columns=options.window.names(options.schema.names),
            split=groups.split,
            schema=options.schema,
            window=options.window,
            extra_rows=np.array([self._extra_rows[row] for row, _, _ in extra], dtype=np.float32).reshape(
                -1, len(options.window.names(options.schema.names))
            ),
            extra_targets=np.array([target for _, target, _ in extra], dtype=np.intp),
            extra_groups=np.array([group for _, _, group in extra], dtype=np.intp),
            streams=tuple(self._streams),
            warnings=tuple(notes),
            group_names=groups.names,
            origins=tuple(self._origins),
            seconds=seconds,
        )

    def _extras(self, labels: tuple[str, ...], groups: Groups) -> Iterator[tuple[int, int, int]]:
        """The position, target and group of each augmented row that has a label. Its group is that of the row nearest
        in time."""
        nearest = _Nearest(self._labels, self._origins, groups)
        for row, ((label, reflect), origin) in enumerate(zip(self._extra_labels, self._extra_origins, strict=True)):
            if label not in labels:
                continue
            target = labels.index(label)
            other = mirrored_target(labels, target) if reflect else target
            if other is not None:
                yield row, other, nearest(label, origin)


class _Nearest:
    """Finds the group of the row with the same label, group and span that is nearest in time."""

    def __init__(self, labels: Sequence[str], origins: Sequence[Origin], groups: Groups) -> None:
        found: dict[tuple[str, str, float], list[tuple[int, int]]] = {}
        for label, origin, number in zip(labels, origins, groups.numbers.tolist(), strict=True):
            found.setdefault((label, origin.group, origin.span), []).append((origin.start, number))
        self._starts = {key: np.array([start for start, _ in rows]) for key, rows in found.items()}
        self._numbers = {key: [number for _, number in rows] for key, rows in found.items()}

    def __call__(self, label: str, origin: Origin) -> int:
        key = (label, origin.group, origin.span)
        if key not in self._starts:
            return BETWEEN
        return self._numbers[key][int(np.abs(self._starts[key] - origin.start).argmin())]


def _because(skipped: Sequence[str]) -> str:
    return f" ({'; '.join(skipped[:5])})" if skipped else ""
