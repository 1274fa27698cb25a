"""From streams and a teacher to a served student."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stream_client.distill import checkpoint
from stream_client.distill.batches import Variation
from stream_client.distill.card import Facts, model_card
from stream_client.distill.collection import Collection, collect
from stream_client.distill.comparison import Row, comparison, student_rows, teacher_row
from stream_client.distill.curves import draw
from stream_client.distill.export import export
from stream_client.distill.learner import Learner
from stream_client.distill.options import DistillOptions
from stream_client.distill.producer import Failed
from stream_client.distill.progress import Point, best
from stream_client.distill.samples import PoseSample
from stream_client.distill.streams import Pass, Stream
from stream_client.distill.teacher import Teacher
from stream_client.distill.training import Limits, Training
from stream_client.errors import ConfigurationError
from stream_client.training.versions import choose_version, new_version


@dataclass(frozen=True, slots=True)
class Distilled:
    """A student that was trained. ``folder`` is its version, ``table`` compares it with its teacher.

    ``failed`` are the streams that were skipped, and what ended the labeling before the training, if something did.
    """

    folder: Path
    name: str
    points: Sequence[Point]
    reason: str
    table: str
    streams: Sequence[Stream]
    failed: Sequence[Failed]


def distill(
    streams: Pass,
    teacher: Teacher,
    options: DistillOptions,
    *,
    on_point: Callable[[Point], object] = lambda point: None,
    on_sample: Callable[[PoseSample, bool], object] = lambda sample, held_out: None,
) -> Distilled:
    """Label ``streams`` with ``teacher``, train a student beside that, and write a version of ``options.out``.

    A version has ``NAME.onnx``, ``NAME.xml`` and ``NAME.bin``, ``joints.txt``, ``README.md``, ``curves.png`` and
    ``training.json``. The model directory also keeps ``checkpoint.pt``, written after each evaluation, for
    ``options.resume``. Nothing else is written. ``on_point`` is called after each evaluation. The caller closes
    ``teacher``. Raises :class:`.StreamClientError`.
    """
    version = choose_version(options.out)
    with checkpoint.claimed(options.out):
        return _distilled(version, streams, teacher, options, on_point, on_sample)


def _distilled(
    version: int,
    streams: Pass,
    teacher: Teacher,
    options: DistillOptions,
    on_point: Callable[[Point], object],
    on_sample: Callable[[PoseSample, bool], object],
) -> Distilled:
    learner = Learner(
        teacher.joint_set,
        rate=options.learning_rate,
        variation=Variation() if options.augmentation else None,
        seed=options.seed,
    )
    points = _begin(options, learner)

    def keep(point: Point) -> None:
        checkpoint.save(options.out, learner, training.points)
        on_point(point)

    with collect(streams, teacher, options, on_sample) as collection:
        held_out = collection.wait(options.batch)
        training = Training(learner, collection.memory, held_out, _limits(options), points)
        training.run(keep)
    learner.take_best()
    return _written(version, teacher, options, training, collection)


def _begin(options: DistillOptions, learner: Learner) -> list[Point]:
    """The points of a training that goes on, whose state the learner takes; none of a new one."""
    if options.resume:
        found = checkpoint.load(options.out)
        checkpoint.restore(found, learner)
        return list(found.points)
    if (options.out / checkpoint.FILE).exists():
        raise ConfigurationError(
            f"{options.out} has a checkpoint of a training: go on with it, or delete {checkpoint.FILE}", option="resume"
        )
    return []


def _limits(options: DistillOptions) -> Limits:
    return Limits(
        steps=options.steps,
        seconds=None if options.minutes is None else 60 * options.minutes,
        patience=options.patience,
        evaluate_every=options.evaluate_every,
        batch=options.batch,
    )


def _written(
    version: int, teacher: Teacher, options: DistillOptions, training: Training, collection: Collection
) -> Distilled:
    learner, producer = training.learner, collection.producer
    name = options.out.resolve().name
    with new_version(options.out, version) as folder:
        files = export(learner.student, folder, name)
        rows = [*student_rows(learner.student, files, training.held_out)]
        streams = producer.used
        if streams:
            rows.insert(0, teacher_row(teacher, streams[0]))
        chosen = best(training.points)
        assert chosen is not None
        facts = Facts(
            name=name,
            version=version,
            teacher=teacher.name,
            joint_set=teacher.joint_set,
            options=options,
            streams=streams,
            failed=len(producer.failed),
            best=chosen,
            last=training.points[-1],
            reason=training.reason,
            rows=rows,
        )
        (folder / "joints.txt").write_text("\n".join(teacher.joint_set.names) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(model_card(facts), encoding="utf-8")
        (folder / "training.json").write_text(_document(facts, training.points), encoding="utf-8")
        draw(training.points, folder / "curves.png")
    return Distilled(
        options.out / str(version),
        name,
        tuple(training.points),
        training.reason,
        comparison(rows),
        streams,
        [*producer.failed, *([] if producer.error is None else [Failed("the streams", producer.error.message)])],
    )


def _document(facts: Facts, points: Sequence[Point]) -> str:
    """The figures for programs."""
    rows: Sequence[Row] = facts.rows
    return (
        json.dumps(
            {
                "teacher": facts.teacher,
                "joints": facts.joint_set.names,
                "streams": [stream.name for stream in facts.streams],
                "reason": facts.reason,
                "points": [asdict(point) for point in points],
                "comparison": [asdict(row) for row in rows],
            },
            indent=2,
        )
        + "\n"
    )
