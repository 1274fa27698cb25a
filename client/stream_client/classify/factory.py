"""Makes a classifier for a stream from its options."""

from collections.abc import Sequence
from dataclasses import replace

from stream_client.classify.by_track import TrackClassifiers
from stream_client.classify.decision import DecisionOptions, RepetitionCounter
from stream_client.classify.features import FeatureSchema
from stream_client.classify.mlflow_classifier import MLflowClassifier
from stream_client.classify.models import TrainedModel, read_schema
from stream_client.classify.pose_classifier import PoseClassifier
from stream_client.errors import ConfigurationError
from stream_client.options import ClassifierOptions


def open_classifier(
    options: ClassifierOptions, labels: Sequence[str] | None = None, *, smoothing: float | None = None
) -> PoseClassifier:
    """The classifier that ``options`` name; raises :class:`.ConfigurationError`.

    A scoring server needs ``labels``, and the schema of its features unless they are the usual ones.
    ``smoothing`` is another one than that of :class:`.DecisionOptions`, in seconds.
    """
    if options.classifier is None:
        raise ConfigurationError("no classifier named", option="classifier")
    count, schema = options.count_repetitions, options.classifier_schema
    decision = DecisionOptions() if smoothing is None else DecisionOptions(smoothing=smoothing)
    counter = None if count is None else RepetitionCounter(count)
    if options.classifier.startswith(("http://", "https://")):
        if not labels:
            raise ConfigurationError("a scoring server does not tell its labels: name them in a file", option="labels")
        known = tuple(labels)
        features, window, _ = read_schema(schema) if schema is not None else (None, None, "")
        if features is not None and not isinstance(features, FeatureSchema):
            raise ConfigurationError(
                f"{schema} is of a graph's model: a scoring server gets computed features", option="classifier_schema"
            )
        classifier: PoseClassifier = MLflowClassifier(
            options.classifier, known, schema=features, window=window, decision=decision, counter=counter
        )
    else:
        if schema is not None:
            raise ConfigurationError(
                "a schema is for a scoring server: a model directory has its own", option="classifier_schema"
            )
        model = TrainedModel.load(options.classifier, allow_pickle=options.allow_pickle)
        known = model.labels
        classifier = PoseClassifier(model, decision=replace(decision, labels=model.thresholds), counter=counter)
    if count is not None and count not in known:
        raise ConfigurationError(f"the model knows no {count!r}, only {', '.join(known)}", option="count_repetitions")
    return classifier


def open_track_classifier(options: ClassifierOptions) -> TrackClassifiers:
    """A classifier for each track, of one model directory; raises :class:`.ConfigurationError`."""
    if options.classifier is None or options.classifier.startswith(("http://", "https://")):
        raise ConfigurationError(
            "tracks are labeled by a model directory, not by a scoring server", option="classifier"
        )
    first = open_classifier(options)
    check_fits_key_points(first)
    return first.for_persons()


def check_fits_key_points(classifier: PoseClassifier) -> None:
    """Raise :class:`.ConfigurationError` for a model that needs more than a detector's key points: hands, or meters."""
    schema = classifier.schema
    if getattr(schema, "space", "world") == "world" or getattr(schema, "hands", ()):
        raise ConfigurationError(
            "the model takes hands or landmarks in meters, which a detector's key points are not: "
            "train it on features in the frame, without hands",
            option="classifier",
        )
