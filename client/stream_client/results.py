"""From a server's outputs to the result that sinks and callbacks see."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stream_client.frames import Frame, Image, Result, Stamps, Tensor
from stream_client.labels import decode_scores
from stream_client.overlay import draw_label

ImageRestorer = Callable[[Tensor, Frame], Image]
"""Makes the picture to show, RGB uint8 [height, width, 3], of an image output."""


@dataclass(frozen=True, slots=True)
class OutputRoles:
    """Which outputs mean what: names, or ``None`` where the servable has no such output."""

    image: str | None
    scores: str | None


class ResultBuilder:
    """Interprets outputs. ``start`` is the timestamp, in µs, of the source's time zero."""

    def __init__(
        self,
        *,
        roles: Callable[[Mapping[str, Tensor]], OutputRoles],
        restore: ImageRestorer,
        label_names: Sequence[str],
        start: int,
    ) -> None:
        self._roles = roles
        self._restore = restore
        self._label_names = tuple(label_names)
        self._start = start

    def build(self, frame: Frame, outputs: Mapping[str, Tensor], stamps: Stamps) -> Result:
        """The result of a frame; raises :class:`~stream_client.errors.ProtocolError` for an absurd image."""
        roles = self._roles(outputs)
        picture = outputs.get(roles.image) if roles.image else None
        scores = outputs.get(roles.scores) if roles.scores else None
        return Result(
            frame=frame,
            image=frame.image if picture is None else self._restore(picture, frame),
            label=None if scores is None else decode_scores(scores.array, self._label_names),
            outputs=outputs,
            time=(frame.timestamp - self._start) / 1e6,
            stamps=stamps,
        )


def label_on_image(result: Result) -> Image:
    """The default postprocessing: the result's picture, with its label written on it."""
    return result.image if result.label is None else draw_label(result.image, result.label)
