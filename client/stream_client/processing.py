"""What is done with a picture before it is sent, and with what comes back for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream_client.conversion import Converter, converter
from stream_client.dispatcher import Postprocess
from stream_client.frames import Image
from stream_client.labels import read_label_names
from stream_client.landmark_tensors import LandmarkDecoder
from stream_client.results import LandmarkClassifier, OutputFinder, ResultBuilder
from stream_client.small_frames import SmallFrames, restorer
from stream_client.transport.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """As :class:`~stream_client.client.StreamClient` describes its arguments of these names."""

    label_names: Sequence[str] | None
    output_name: str | None
    label_output_name: str | None
    preprocess: Callable[[Image], Image] | None
    small_frames: SmallFrames | None
    postprocess: Postprocess
    classifier: LandmarkClassifier | None

    def converter(self, session: Session) -> Converter:
        """From a frame's picture to the tensors that ``session`` takes."""
        shrink = None if self.small_frames is None else self.small_frames.shrink
        return converter(session, [step for step in (self.preprocess, shrink) if step is not None])

    def builder(self, session: Session, start: int, label_files: Mapping[str, Path]) -> ResultBuilder:
        """From ``session``'s outputs to results. ``start``: the timestamp, in µs, of the source's time zero.

        ``label_files`` name the scores of servables where nothing else does.
        """
        servable = session.servable
        names = self.label_names
        if names is None:
            names = read_label_names(label_files[servable.name]) if servable.name in label_files else ()
        return ResultBuilder(
            roles=OutputFinder(servable, self.output_name, self.label_output_name),
            restore=restorer(session.image_format, self.small_frames),
            label_names=names,
            start=start,
            decoder=LandmarkDecoder() if servable.gives_landmarks else None,
            classifier=self.classifier,
        )
