"""Where the columns of a table of poses are, by their names or by their number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stream_client.classify.joints import BODY

_LABELS = ("class", "label", "pose", "target", "category")
_NAMES = ("video", "source", "name", "file", "filename", "file_name", "image", "image_name", "path")
_AXIS = re.compile(r"(?P<before>[xyz])[ _:.-]?(?P<number>\d+|[a-z_ ]+)|(?P<point>\d+|[a-z_ ]+)[ _:.-](?P<after>[xyz])")
_JOINTS = {joint: number for number, joint in enumerate(BODY)}


@dataclass(frozen=True, slots=True)
class PoseColumns:
    """The positions of the class, of x, y, z of the 33 joints, and of the name if there is one."""

    label: int
    points: tuple[int, ...]
    name: int | None = None


def named_columns(header: Sequence[str]) -> PoseColumns | None:
    """The columns of a header that names the class and all coordinates: ``x0`` or ``x1``, ``nose_x``, ``x_nose``.

    Others, such as a visibility, are passed over. ``None`` if it does not name them.
    """
    names = [name.strip().lower() for name in header]
    label = next((names.index(name) for name in _LABELS if name in names), None)
    found: dict[tuple[str, str], int] = {}
    for position, name in enumerate(names):
        if match := _AXIS.fullmatch(name):
            point = (match["number"] or match["point"]).strip(" _").replace(" ", "_")
            found[str(_JOINTS.get(point, point)), match["before"] or match["after"]] = position
    first = 0 if ("0", "x") in found else 1
    wanted = [(str(joint + first), axis) for joint in range(len(BODY)) for axis in "xyz"]
    if label is None or not all(key in found for key in wanted):
        return None
    source = next((names.index(one) for one in _NAMES if one in names), None)
    return PoseColumns(label, tuple(found[key] for key in wanted), source)


def counted_columns(width: int) -> PoseColumns | None:
    """The columns of a table without names: name, class, then x, y, z of each joint, perhaps with a fourth number. The
    name may be missing. ``None`` for another width."""
    for before in (2, 1):
        for each in (3, 4):
            if width == before + each * len(BODY):
                points = tuple(before + each * joint + axis for joint in range(len(BODY)) for axis in range(3))
                return PoseColumns(before - 1, points, 0 if before == 2 else None)
    return None
