"""Make the committed models anew: the pose classifier, and the zeros that go with it.

    python tools/train_pose_classifier.py ../shared/data/fitness_pose_samples.csv

The same as ``ovms-stream-client train`` with the smallest model that is good enough: what is committed to the
repository should be tens of KB. The model card beside it is written by hand and stays.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from stream_client.training.load import load_dataset
from stream_client.training.onnx_export import no_person_model
from stream_client.training.report import confusion_table
from stream_client.training.train import TrainOptions, train

LABELS = {
    "squats_up": "standing",
    "squats_down": "squatting",
    "pushups_up": "plank",
    "pushups_down": "push-up bottom",
}
MODELS = Path(__file__).resolve().parents[1] / "models"


def main() -> None:
    """Cross-validate, train on everything, write the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path, help="the CSV with 33 landmarks a row")
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder to write to (default: models)")
    options = parser.parse_args()
    dataset = load_dataset(options.samples, names=LABELS)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "pose_classifier"
        training = train(dataset, out, TrainOptions(("small MLP",), unknown=False), data=options.samples.name)
        target = options.models / "pose_classifier"
        (target / "1").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(training.folder / "pose_classifier.onnx", target / "1" / "pose_classifier.onnx")
        for name in ("labels.txt", "schema.json"):
            shutil.copyfile(training.folder / name, target / name)
    zeros = options.models / "no_person_scores" / "1" / "no_person_scores.onnx"
    zeros.parent.mkdir(parents=True, exist_ok=True)
    zeros.write_bytes(no_person_model(training.labels).SerializeToString())
    print(f"{training.best.accuracy:.2%} by {dataset.split}, {training.careless.accuracy:.2%} by row")
    print(confusion_table(training.best.confusion, training.labels))


if __name__ == "__main__":
    main()
