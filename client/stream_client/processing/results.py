"""From a server's outputs to the result that sinks and callbacks see."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from stream_client.errors import ConfigurationError, ProtocolError
from stream_client.frames import Detections, Frame, Image, Label, Landmarks, Person, Planes, Result, Stamps, Tensor
from stream_client.landmarks import persons as person_tensors
from stream_client.landmarks.decoder import OUTPUTS, LandmarkDecoder, says_who_is_there
from stream_client.landmarks.keypoints import persons_of
from stream_client.plain_text import quoted
from stream_client.processing.detections import draw_detections
from stream_client.processing.labels import decode_scores
from stream_client.processing.overlay import draw_label
from stream_client.processing.pictures import Pictures
from stream_client.processing.privacy import Privacy
from stream_client.transport.image_format import is_image, is_scores
from stream_client.transport.servable import Servable

logger = logging.getLogger(__name__)

ImageRestorer = Callable[[Tensor, Frame, Tensor], Image]
"""Makes the image to show, RGB uint8 [height, width, 3]: from an image output, the frame, and the sent tensor."""
Postprocess = Callable[[Result], Image]
"""Makes the frame to show, RGB uint8 [height, width, 3], from a result; runs in the dispatcher's thread."""


class LandmarkClassifier(Protocol):
    """Labels frames by landmarks, one after another."""

    def classify(self, landmarks: Landmarks | None, timestamp: int) -> Label:
        """The label now, after the landmarks of the frame at ``timestamp`` (µs); ``None``: nobody is seen."""


class Detector(Protocol):
    """Reads detections from a model's outputs, frame after frame. Sizes are widths and heights in pixels."""

    def fit(self, image: Image, width: int, height: int) -> Image:
        """``image`` in the one size that the model takes."""

    def read(
        self, outputs: Mapping[str, Tensor], sent: tuple[int, int], shown: tuple[int, int], timestamp: int
    ) -> Detections:
        """The detections of a frame, on an image of ``shown``; the model saw one of ``sent``. ``timestamp`` in µs."""


class TrackClassifier(Protocol):
    """Labels each person of a stream by themselves, frame after frame."""

    def classify(self, persons: Mapping[int, Landmarks], timestamp: int) -> Mapping[int, Label]:
        """The label of each person in a frame, by number; ``timestamp`` is in µs, increasing."""


@runtime_checkable
class CanFollow(Protocol):
    """A classifier that can follow several persons."""

    def for_persons(self) -> TrackClassifier:
        """The same classifier for each of several persons."""


@dataclass(frozen=True, slots=True)
class OutputRoles:
    """The names of the outputs with the image and the scores. ``None``: the servable has no such output."""

    image: str | None
    scores: str | None


class OutputFinder:
    """Finds the image and the scores among a servable's outputs: by name, or else by shape and datatype.

    ``detects``: the outputs have boxes and masks, so that an image is one of bytes.

    Raises :class:`.ConfigurationError` for a name that the servable does not have.
    """

    def __init__(
        self,
        servable: Servable,
        image: str | None,
        scores: str | None,
        *,
        detects: bool = False,
    ) -> None:
        names = {spec.name for spec in servable.outputs}
        for option, name in (("output_name", image), ("label_output_name", scores)):
            if name is not None and names and name not in names:
                raise ConfigurationError(
                    f"{servable.name!r} has no output {name!r}, only {', '.join(sorted(names))}", option=option
                )
        self._image = image
        self._scores = scores
        self._detects = detects
        self._no_scores: tuple[str, ...] = OUTPUTS if servable.gives_landmarks else ()
        if servable.gives_persons:
            self._no_scores = person_tensors.OUTPUTS

    def __call__(self, outputs: Mapping[str, Tensor]) -> OutputRoles:
        """The roles, as far as they are known."""
        if self._image is None:
            self._image = next((name for name, tensor in outputs.items() if self._shows(tensor)), None)
        if self._scores is None:
            self._scores = next(
                (name for name, tensor in outputs.items() if is_scores(tensor) and name not in self._no_scores), None
            )
        return OutputRoles(self._image, self._scores)

    def _shows(self, tensor: Tensor) -> bool:
        return is_image(tensor) and not (self._detects and tensor.datatype not in ("UINT8", "BYTES"))


class ResultBuilder:
    """Turns outputs into results. ``start`` is the timestamp, in µs, of the source's time zero.

    ``sent_size`` gives width and height of the frame in an input tensor, as the server sees it. ``returned_planes`` are
    those in an image output, where it has any. ``pictures`` decodes
    and draws here what the server did not. ``decoder`` makes landmarks of outputs, ``detector`` detections. With
    ``several`` the outputs are of several persons; the tracks of a detector are persons where they have COCO's 17 key
    points. With a ``classifier`` the label comes from it instead of the server, with a ``track_classifier`` that of
    each person. ``privacy`` hides what nobody else may see. ``reuses``: a result can
    be shown on a newer frame.
    """

    def __init__(
        self,
        *,
        roles: Callable[[Mapping[str, Tensor]], OutputRoles],
        restore: ImageRestorer,
        sent_size: Callable[[Tensor, Image], tuple[int, int]],
        returned_planes: Callable[[Tensor, Frame, Tensor], Planes | None],
        pictures: Pictures,
        label_names: Sequence[str],
        start: int,
        decoder: LandmarkDecoder | None = None,
        several: bool = False,
        classifier: LandmarkClassifier | None = None,
        detector: Detector | None = None,
        track_classifier: TrackClassifier | None = None,
        privacy: Privacy | None = None,
        reuses: bool = False,
    ) -> None:
        self._reuses = reuses
        self._last: tuple[Result, tuple[int, int]] | None = None
        self._roles = roles
        self._restore = restore
        self._sent_size = sent_size
        self._returned_planes = returned_planes
        self._pictures = pictures
        self._label_names = tuple(label_names)
        self._start = start
        self._decoder = decoder
        self._several = several
        self._classifier = classifier
        self._detector = detector
        self._track_classifier = track_classifier
        self._privacy = privacy
        self._warned = False

    def build(self, frame: Frame, sent: Tensor, outputs: Mapping[str, Tensor], stamps: Stamps) -> Result:
        """The result of a frame. ``sent`` is the tensor that was sent for it.

        Raises :class:`~stream_client.errors.ProtocolError` for an absurd image.
        """
        roles = self._roles(outputs)
        drawn = outputs.get(roles.image) if roles.image else None
        scores = outputs.get(roles.scores) if roles.scores else None
        sent_size = self._sent_size(sent, frame.image)
        frame = self._pictures.decoded(frame)
        image, planes = frame.image, None
        if self._pictures.wanted and drawn is None:
            image = self._pictures.painted(image, outputs, sent_size)
            planes = frame.planes if self._pictures.keeps_planes else None
        elif self._pictures.wanted and drawn is not None:
            image, planes = self._returned(drawn, frame, sent)
        landmarks = None
        if self._decoder is not None:
            landmarks = self._decoder.decode(outputs, sent_size, _size(image), frame.timestamp)
        detections = None
        if self._detector is not None:
            detections = self._detector.read(outputs, sent_size, _size(image), frame.timestamp)
        persons = self._persons(outputs, detections, sent_size, _size(image), frame.timestamp)
        label: Label | None
        if self._several:
            landmarks, label = (persons[0].landmarks, persons[0].label) if persons else (None, None)
            detections = person_tensors.as_detections(persons) if detections is None else detections
        elif self._classifier is not None:
            label = self._classifier.classify(landmarks, frame.timestamp)
        else:
            label = None if scores is None else self._label(scores)
        if planes is not None and (label is not None or detections is not None):  # they are drawn
            image, planes = self._pictures.image(planes), None
        result = Result(
            frame=frame,
            image=image,
            planes=planes,
            label=label,
            outputs=outputs,
            time=(frame.timestamp - self._start) / 1e6,
            stamps=stamps,
            landmarks=landmarks,
            detections=detections,
            persons=persons,
        )
        if self._reuses:
            self._last = result, sent_size
        return result if self._privacy is None else self._hidden(result, sent_size)

    def _returned(self, drawn: Tensor, frame: Frame, sent: Tensor) -> tuple[Image, Planes | None]:
        """The image that came back, or the frame's black one and planes."""
        planes = self._returned_planes(drawn, frame, sent)
        if planes is None:
            return self._restore(drawn, frame, sent), None
        if self._pictures.keeps_planes and frame.planes is not None:
            return frame.image, planes
        return self._pictures.image(planes), None

    def again(self, frame: Frame, stamps: Stamps) -> Result | None:
        """The last result on a newer frame, which was not sent; ``None`` where there is none of that size."""
        if self._last is None or self._last[0].frame.image.shape != frame.image.shape:
            return None
        last, sent_size = self._last
        frame = self._pictures.decoded(frame)
        image = self._pictures.painted(frame.image, last.outputs, sent_size) if self._pictures.wanted else frame.image
        time = (frame.timestamp - self._start) / 1e6
        return replace(last, frame=frame, image=image, time=time, stamps=stamps, reused=True)

    def not_delivered(self, frame: Frame) -> None:
        """A frame without a result: what follows may be made from it."""
        self._pictures.skip(frame)

    def _hidden(self, result: Result, sent: tuple[int, int]) -> Result:
        assert self._privacy is not None
        if self._several:
            known = person_tensors.count_of(result.outputs) == len(result.persons)
            people = [person.landmarks for person in result.persons]
        else:
            known = self._decoder is None or says_who_is_there(result.outputs, sent)
            people = [] if result.landmarks is None else [result.landmarks]
        found = None if self._detector is None else result.detections
        return self._privacy.hide(result, people, found, answered=known)

    def _persons(
        self,
        outputs: Mapping[str, Tensor],
        detections: Detections | None,
        sent: tuple[int, int],
        shown: tuple[int, int],
        timestamp: int,
    ) -> tuple[Person, ...]:
        """Several persons, each with a label where there is one."""
        if self._several:
            persons = person_tensors.decode_persons(outputs, sent, shown)
        elif detections is not None and self._track_classifier is not None:
            persons = persons_of(detections, shown)
        else:
            return ()
        labels: Mapping[int, Label | None]
        if self._track_classifier is not None:
            labels = self._track_classifier.classify({each.number: each.landmarks for each in persons}, timestamp)
        else:
            scores = person_tensors.scores_of(outputs)
            labels = {number: decode_scores(values, self._label_names) for number, values in scores.items()}
        return tuple(replace(person, label=labels.get(person.number)) for person in persons)

    def _label(self, scores: Tensor) -> Label | None:
        if scores.datatype == "BYTES":
            raise ProtocolError(f"output {scores.name!r} of BYTES has no scores", option="label_output_name")
        label = decode_scores(scores.array, self._label_names)
        if label is None and not self._warned and not np.isfinite(scores.array).all():
            self._warned = True
            logger.warning("scores of output %r are NaN or infinite: such a frame has no label", quoted(scores.name))
        return label


def _size(image: npt.NDArray[Any]) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def annotated(result: Result) -> Image:
    """The default postprocessing: the result's image with its detections and its label on it.

    Of several persons, each box has its own label.
    """
    if result.persons and result.detections is not None:
        named = {person.number: person.label for person in result.persons}
        return draw_detections(result.image, result.detections, named)
    image = result.image if result.detections is None else draw_detections(result.image, result.detections)
    return image if result.label is None else draw_label(image, result.label)
