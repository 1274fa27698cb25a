"""What a run is made of: source, outputs, server, and what is done in between. Nothing is open yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.frames import Image, Result
from stream_client.landmarks.decoder import LandmarkDecoder
from stream_client.monitoring.observer import Observer
from stream_client.options import RunOptions
from stream_client.pipeline.connector import Connector
from stream_client.processing.labels import read_label_names
from stream_client.processing.options import PrivacyOptions
from stream_client.processing.pictures import gives_data_alone, pictures_for
from stream_client.processing.privacy import Privacy
from stream_client.processing.requests import Converter, converter
from stream_client.processing.results import (
    CanFollow,
    Detector,
    LandmarkClassifier,
    OutputFinder,
    Postprocess,
    ResultBuilder,
    TrackClassifier,
    annotated,
)
from stream_client.processing.small_frames import SmallFrames, restorer
from stream_client.sinks.base import LandmarksUser, Sink
from stream_client.sources.base import Source
from stream_client.tracing.tracer import Tracer
from stream_client.transport.image_format import ImageFormat
from stream_client.transport.servable import Servable
from stream_client.transport.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """What is done with frames and answers; :class:`~stream_client.client.StreamClient` describes the fields."""

    label_names: Sequence[str] | None = None
    output_name: str | None = None
    label_output_name: str | None = None
    preprocess: Callable[[Image], Image] | None = None
    postprocess: Postprocess = annotated
    classifier: LandmarkClassifier | None = None
    detector: Detector | None = None
    track_classifier: TrackClassifier | None = None
    privacy: PrivacyOptions = field(default_factory=PrivacyOptions)
    pictures: bool = True
    planes: bool = False

    def converter(self, session: Session, small_frames: SmallFrames | None) -> Converter:
        """Makes the tensors that ``session`` takes from a frame's image."""
        shrink = None if small_frames is None else small_frames.shrink
        steps = (self.preprocess, shrink, self._fit(session.image_format))
        return converter(session, [step for step in steps if step is not None])

    def reuses(self, servable: Servable) -> bool:
        """Whether a result can be shown on a newer frame: where this side draws, and hides nothing that may move."""
        return self.privacy.blur is None and (self.detector is not None or gives_data_alone(servable))

    def _for_persons(self, servable: Servable) -> TrackClassifier | None:
        if self.track_classifier is not None or self.classifier is None or not servable.gives_persons:
            return self.track_classifier
        if not isinstance(self.classifier, CanFollow):
            raise ConfigurationError("this classifier follows one person: it has no for_persons()", option="classifier")
        return self.classifier.for_persons()

    def _fit(self, image_format: ImageFormat) -> Callable[[Image], Image] | None:
        """Detections know how the frame was brought to the model's one size; nothing else does."""
        if self.detector is None or image_format.width is None or image_format.height is None:
            return None
        return partial(self.detector.fit, width=image_format.width, height=image_format.height)

    def builder(
        self, session: Session, small_frames: SmallFrames | None, start: int, label_files: Mapping[str, Path]
    ) -> ResultBuilder:
        """Makes results from the outputs of ``session``. ``start``: the timestamp, in µs, of the source's time zero.

        ``label_files`` name the scores of servables where ``label_names`` do not.
        """
        servable = session.servable
        changes = small_frames is not None or self.detector is not None or self.privacy.blur is not None
        names = self.label_names
        if names is None:
            names = read_label_names(label_files[servable.name]) if servable.name in label_files else ()
        return ResultBuilder(
            roles=OutputFinder(servable, self.output_name, self.label_output_name, detects=self.detector is not None),
            restore=restorer(session.image_format, small_frames),
            sent_size=session.image_format.sent_size,
            returned_planes=session.image_format.returned_planes,
            pictures=pictures_for(servable, wanted=self.pictures, planes=self.planes and not changes),
            label_names=names,
            start=start,
            decoder=LandmarkDecoder() if servable.gives_landmarks else None,
            several=servable.gives_persons,
            classifier=self.classifier,
            detector=self.detector,
            track_classifier=self._for_persons(servable),
            privacy=None if self.privacy.blur is None else Privacy(self.privacy),
            reuses=self.reuses(servable),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """What the pipeline's threads call: for each result, for an error, and when a sink has ended."""

    on_result: Callable[[Result], None]
    on_error: Callable[[StreamClientError], None]
    on_sink_ended: Callable[[StreamClientError | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of. Nothing of it is open yet."""

    source: Source
    sinks: Sequence[Sink]
    server: Connector
    processing: Processing
    options: RunOptions
    observers: Sequence[Observer] = ()
    tracer: Tracer | None = None

    def check(self, servable: Servable) -> None:
        """Raise :class:`.ConfigurationError` where the servable does not give what classifier, sinks or blur need."""
        gives_landmarks = servable.gives_landmarks or servable.gives_persons
        wanted = self.processing.classifier is not None or any(
            isinstance(sink, LandmarksUser) and sink.needs_landmarks for sink in self.sinks
        )
        if wanted and not gives_landmarks:
            raise ConfigurationError(
                f"{servable.name!r} gives no landmarks: graphs/holistic_landmarks and graphs/holistic_persons do",
                option="model_name",
                value="holisticLandmarks",
            )
        shows_persons = gives_landmarks or self.processing.detector is not None
        if self.processing.privacy.blur is not None and not shows_persons:
            raise ConfigurationError(
                f"{servable.name!r} does not say where persons are: take graphs/holistic_landmarks, or read detections",
                option="blur",
            )
