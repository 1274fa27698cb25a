"""The model card of a student."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream_client.distill.comparison import Row, comparison
from stream_client.distill.export import ERRORS, INPUT, JOINTS
from stream_client.distill.joints import JointSet
from stream_client.distill.options import DistillOptions
from stream_client.distill.progress import Point
from stream_client.distill.samples import CROP_SIDE
from stream_client.distill.streams import Stream
from stream_client.util.wording import counted, listed


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card says. ``best`` is the point of the curve whose student was taken, ``last`` the last one."""

    name: str
    version: int
    teacher: str
    joint_set: JointSet
    options: DistillOptions
    streams: Sequence[Stream]
    failed: int
    best: Point
    last: Point
    reason: str
    rows: Sequence[Row]


def model_card(facts: Facts) -> str:
    """The text of the model's README.md."""
    joints = len(facts.joint_set)
    best, last = facts.best, facts.last
    axes = "x to the right and y down in the frame, z away from the camera"
    table = [
        ("input", f"`{INPUT}`, UINT8 [n, {CROP_SIDE}, {CROP_SIDE}, 3]: RGB, a square around a person"),
        ("output", f"`{JOINTS}`, FP32 [n, {joints}, 3]: meters from the pelvis; {axes}; in the order of `joints.txt`"),
        ("output", f"`{ERRORS}`, FP32 [n, {joints}]: the error that the student expects, in meters"),
        ("teacher", facts.teacher),
        (
            "learned from",
            f"{counted(last.samples, 'sample')} of {counted(len(facts.streams), 'stream')}"
            f"{f' ({facts.failed} skipped)' if facts.failed else ''}, "
            f"{'varied' if facts.options.augmentation else 'as they are'}; no picture was kept",
        ),
        (
            "training",
            f"{counted(last.step, 'step')} of {facts.options.batch} samples in {last.seconds / 60:.1f} min; it ended "
            f"since {facts.reason}; the student of step {best.step} was taken",
        ),
    ]
    return f"""# {facts.name}, version {facts.version}: 3D joints of a person

| | |
|---|---|
{chr(10).join(f"| {name} | {text} |" for name, text in table)}

On samples that were held out, the student is {1000 * best.mpjpe:.0f} mm from its teacher on average, and
{best.pck:.1%} of the joints are within 150 mm. The mean pose of what was learned from is
{1000 * best.mean_pose:.0f} mm away. `curves.png` shows how it came to that.

```
{comparison(facts.rows)}
```

Times are medians on the machine of the training, one crop or frame at a time. The teacher finds the person, hands and
face, too; the student needs a box around the person from elsewhere. `off PyTorch` is the most that a joint lies
elsewhere than in PyTorch.

**Limits.** The errors are against the teacher, which errs itself, not against measured poses.
{_held_out_note(facts)}
The step was chosen on the held-out samples, which makes their figures a little too good. Persons, clothes and places
that were not in the streams may look different to it. Check the licenses of the videos and of the teacher before you
pass the model on.
{_credits(facts)}"""


def _credits(facts: Facts) -> str:
    lines = [f"- {stream.name}: {stream.credit}" for stream in facts.streams if stream.credit]
    return "\n".join(["", "**Videos.**", "", *lines, ""]) if lines else ""


def _held_out_note(facts: Facts) -> str:
    names = [stream.name for stream in facts.streams if stream.use == "hold_out"]
    if names:
        return f"Held out: {listed(names)}."
    return "Parts of the same stream were held out, so the figures say little about other persons and places."
