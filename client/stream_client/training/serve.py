"""Adds a trained model to a model repository and its configuration."""

import json
import os
from pathlib import Path

from stream_client.classify.raw_pose import POSE_INPUT
from stream_client.errors import ConfigurationError
from stream_client.training.onnx_export import no_person_model
from stream_client.training.result import Training

GRAPH_CLASSIFIER, NO_PERSON = "pose_classifier", "no_person_scores"


def add_to_configuration(training: Training, config: Path) -> list[str]:
    """Add the model to ``config``, in OVMS's format. Returns the names that are served.

    A model of single poses replaces the graph's ``pose_classifier``. It also replaces ``no_person_scores``, since the
    graph can only join the two if they have the same number of labels. Other models are served
    under the name of their directory. Raises :class:`.ConfigurationError`.
    """
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
        entries = content.setdefault("model_config_list", [])
        by_name = {entry["config"]["name"]: entry["config"] for entry in entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"cannot read {config}: {type(error).__name__}: {error}", option="serve") from error
    places = {training.out.name: training.out}
    if training.model.graph.input[0].name == POSE_INPUT:
        zeros = training.out.parent / f"{training.out.name}_{NO_PERSON}"
        places = {GRAPH_CLASSIFIER: training.out, NO_PERSON: zeros}
    try:
        if NO_PERSON in places:
            target = places[NO_PERSON] / str(training.version) / f"{NO_PERSON}.onnx"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(no_person_model(training.labels).SerializeToString())
        for name, folder in places.items():
            base_path = _base_path(folder.resolve(), config.resolve().parent)
            if name in by_name:
                by_name[name]["base_path"] = base_path
                # The model was evaluated in float32. Without this hint a server may compute in bfloat16.
                by_name[name].setdefault("plugin_config", {}).setdefault("INFERENCE_PRECISION_HINT", "f32")
            else:
                # With this hint a small model runs in the graph's workers and waits for no other thread.
                plugin_config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
                entries.append({"config": {"name": name, "base_path": base_path, "plugin_config": plugin_config}})
        scratch = config.with_name(config.name + ".part")
        scratch.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        os.replace(scratch, config)
    except OSError as error:
        raise ConfigurationError(f"cannot write {config}: {error.strerror}", option="serve") from error
    return list(places)


def _base_path(folder: Path, root: Path) -> str:
    """``folder`` relative to ``root`` if it is below ``root``, else the full path. OVMS refuses ``..`` in paths."""
    return str(folder.relative_to(root) if folder.is_relative_to(root) else folder)
