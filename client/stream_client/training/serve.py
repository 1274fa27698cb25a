"""Adds a trained model to a model repository and its configuration."""

from pathlib import Path

from stream_client.classify.raw_pose import POSE_INPUT
from stream_client.errors import ConfigurationError
from stream_client.training.configuration import add_models
from stream_client.training.onnx_export import no_person_model
from stream_client.training.result import Training

GRAPH_CLASSIFIER, NO_PERSON = "pose_classifier", "no_person_scores"


def add_to_configuration(training: Training, config: Path) -> list[str]:
    """Add the model to ``config``, in OVMS's format. Returns the names that are served.

    A model of single poses replaces the graph's ``pose_classifier``. It also replaces ``no_person_scores``, since the
    graph can only join the two if they have the same number of labels. Other models are served
    under the name of their directory. Raises :class:`.ConfigurationError`.
    """
    places = {training.out.name: training.out}
    if training.model.graph.input[0].name == POSE_INPUT:
        zeros = training.out.parent / f"{training.out.name}_{NO_PERSON}"
        places = {GRAPH_CLASSIFIER: training.out, NO_PERSON: zeros}
        target = zeros / str(training.version) / f"{NO_PERSON}.onnx"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(no_person_model(training.labels).SerializeToString())
        except OSError as error:
            raise ConfigurationError(f"cannot write {target}: {error.strerror}", option="serve") from error
    return add_models(places, config)
