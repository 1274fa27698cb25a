"""What labels of one clip agree on: those of several annotators, and those that overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.training.clips import LabelledClip, Span
from stream_client.util.wording import listed


@dataclass(frozen=True, slots=True)
class Consensus:
    """``spans`` are agreed on, in the order of time.

    ``disputed`` are times with more than one label, or with one that not all annotators gave; their label is empty.
    ``labels`` are those of the first disputed time, ``annotators`` those of the clip if there are several.
    """

    spans: tuple[Span, ...]
    disputed: tuple[Span, ...] = ()
    labels: tuple[str, ...] = ()
    annotators: tuple[str, ...] = ()

    def seconds(self, end: float) -> tuple[float, float]:
        """The disputed and all labeled seconds of a clip that ends at ``end``."""
        disputed = sum(max(0.0, min(span.end, end) - span.start) for span in self.disputed)
        return disputed, disputed + sum(max(0.0, min(span.end, end) - span.start) for span in self.spans)

    @property
    def why(self) -> str:
        """Who differs, or which labels overlap, and what to do."""
        names = " and ".join(repr(label) for label in self.labels[:2])
        if self.annotators:
            return f"{listed(self.annotators)} do not agree: choose one of them, or keep it so"
        return f"{names} overlap: choose labels that exclude each other"


def consensus(spans: Sequence[Span]) -> Consensus:
    """What can be learned of the labels of a clip.

    It is the time in which every annotator gives the same label, and no other one. Annotators are those who labeled
    something in the clip; labels without one count as those of one more.
    """
    everyone = {span.annotator for span in spans}
    times = sorted({time for span in spans for time in (span.start, span.end)})
    waiting = sorted(spans, key=lambda span: span.start, reverse=True)
    active: list[Span] = []
    settled: list[Span] = []
    disputed: list[Span] = []
    names: set[str] = set()
    before: list[Span] = []
    for start, end in pairwise(times):
        active = [span for span in active if span.end > start]
        while waiting and waiting[-1].start <= start:
            active.append(waiting.pop())
        labels = {span.label for span in active}
        if len(labels) == 1 and {span.annotator for span in active} == everyone:
            # Two labels that follow each other stay two: folds divide by them.
            joins = bool(settled) and settled[-1].end == start and any(span in before for span in active)
            first = settled.pop().start if joins and settled[-1].label in labels else start
            settled.append(Span(first, end, *labels))
        elif labels:
            names = names or labels
            first = disputed.pop().start if disputed and disputed[-1].end == start else start
            disputed.append(Span(first, end, ""))
        before = list(active)
    annotators = sorted(name or "one without a name" for name in everyone) if len(everyone) > 1 else ()
    return Consensus(tuple(settled), tuple(disputed), tuple(sorted(names)), tuple(annotators))


def agreed(clips: Sequence[LabelledClip], labels: Sequence[str] | None, *, strict: bool = False) -> list[Consensus]:
    """What is agreed on in each clip, of ``labels`` or of all. Raises :class:`.ConfigurationError` if that is nothing
    at all; with ``strict``, if anything is disputed."""
    found = [consensus([span for span in clip.spans if not labels or span.label in labels]) for clip in clips]
    bad = [(clip, one) for clip, one in zip(clips, found, strict=True) if one.disputed]
    if bad and (strict or not any(one.spans for one in found)):
        clip, one = bad[0]
        raise _disagreement(clip, one)
    return found


def _disagreement(clip: LabelledClip, one: Consensus) -> ConfigurationError:
    at = f"at {one.disputed[0].start:g} s"
    if one.annotators:
        return ConfigurationError(
            f"{clip.path}: {listed(one.annotators)} do not agree {at}: choose one of them", option="annotator"
        )
    names = ", ".join(sorted({span.label for span in clip.spans}))
    first, second = one.labels[:2]
    return ConfigurationError(
        f"{clip.path}: {first!r} and {second!r} overlap {at}: choose labels that exclude each other out of {names}",
        option="labels",
    )


def disagreement_note(disputes: Sequence[tuple[Path, Consensus, float]]) -> str:
    """One line about clips with disputed time: each with what is agreed, and its end in seconds."""
    told = []
    total = labeled = 0.0
    for path, one, end in disputes:
        out, of = one.seconds(end)
        total, labeled = total + out, labeled + of
        told.append(f"{path} {out:.1f} of {of:.1f} s" if of else str(path))
    much = f"{total:.1f} of {labeled:.1f} labeled seconds ({total / labeled:.0%})" if labeled else "whole clips"
    return f"labels contradict each other in {much}, left out ({disputes[0][1].why}): {listed(told)}"
