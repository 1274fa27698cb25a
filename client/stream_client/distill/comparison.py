"""The student beside its teacher: how near, how fast, how large."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from stream_client.client import StreamClient
from stream_client.distill.export import Compiled, Exported
from stream_client.distill.joints import Array
from stream_client.distill.samples import PoseSample
from stream_client.distill.scores import Scores, scores_of
from stream_client.distill.streams import Stream
from stream_client.distill.student import Student, predict
from stream_client.distill.teacher import Teacher
from stream_client.errors import StreamClientError
from stream_client.options import RunOptions
from stream_client.sources.factory import open_source
from stream_client.util.table import table

_TIMED = 50
"""Answers of which the median time is taken."""


@dataclass(frozen=True, slots=True)
class Row:
    """A model in the table. ``scores`` are against the teacher; ``difference`` is the most that a joint lies off the
    PyTorch student's, in meters; ``seconds`` is the median for a crop, or for the teacher's frame; ``bytes`` of the
    files. ``None`` where it does not apply.
    """

    name: str
    scores: Scores | None = None
    difference: float | None = None
    seconds: float | None = None
    bytes: int | None = None


def student_rows(student: Student, files: Exported, held_out: Sequence[PoseSample]) -> list[Row]:
    """The student in PyTorch, as ONNX and as IR, the latter two in OpenVINO, in float32 on the CPU."""
    crops = np.stack([sample.crop for sample in held_out])
    joints, errors = predict(student, crops)
    rows = [
        Row(
            "student, PyTorch",
            scores_of(joints, held_out, errors),
            seconds=_median(partial(predict, student, crops[:1])),
        )
    ]
    for name, file in (("student, ONNX", files.onnx), ("student, OpenVINO IR", files.ir)):
        compiled = Compiled(file)
        answers = [compiled(crops[at : at + 1]) for at in range(len(crops))]
        own, own_errors = (np.concatenate([answer[part] for answer in answers]) for part in (0, 1))
        rows.append(
            Row(
                name,
                scores_of(own, held_out, own_errors),
                _difference(own, joints),
                _median(partial(compiled, crops[:1])),
                _size(file),
            )
        )
    return rows


def teacher_row(teacher: Teacher, stream: Stream) -> Row:
    """The teacher's time for a frame: from sending it to its answer, one frame at a time."""
    times: list[float] = []
    try:
        client = StreamClient(
            open_source(stream.address, reconnect_timeout=5.0),
            lambda result: times.append(result.stamps.received - result.stamps.sent),
            teacher.transport,
            options=RunOptions(max_inflight=1, limit_frames=_TIMED, drop_policy="block"),
            pictures=False,
        )
        client.run()
    except StreamClientError:
        pass  # a stream that is not there any more: the time is left out
    return Row(f"teacher ({teacher.name}), a frame", seconds=statistics.median(times) if times else None)


def comparison(rows: Sequence[Row]) -> str:
    """The table as text."""
    header = ("", "error mm", "within 150 mm", "off PyTorch mm", "ms", "MB")
    return table(header, [_cells(row) for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    scores = row.scores
    return (
        row.name,
        "" if scores is None else f"{1000 * scores.mpjpe:.1f}",
        "" if scores is None else f"{scores.pck:.1%}",
        "" if row.difference is None else f"{1000 * row.difference:.4f}",
        "" if row.seconds is None else f"{1000 * row.seconds:.1f}",
        "" if row.bytes is None else f"{row.bytes / 1e6:.1f}",
    )


def _difference(one: Array, other: Array) -> float:
    return float(np.linalg.norm(one - other, axis=-1).max())


def _median(answer: Callable[[], object]) -> float:
    times = []
    for _ in range(_TIMED):
        began = time.perf_counter()
        answer()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _size(file: Path) -> int:
    weights = file.with_suffix(".bin")
    return file.stat().st_size + (weights.stat().st_size if file.suffix == ".xml" else 0)
