"""How much of what was never shown is unknown: one label is left out at a time.

    python benchmarks/unknown.py ../shared/data/fitness_pose_samples.csv ../shared/data/kinivi_point_history.csv

For each label, a guard is fitted on the other labels in folds that never split a group, with its parts chosen on these
labels alone. Then it judges the rows that no fold trained on, and those of the label that was left out. The loss is
the share of rows that the classifier knew and that the guard gives up.
"""

import argparse
from pathlib import Path

import numpy as np

from stream_client.training.dataset import Dataset
from stream_client.training.estimators import calm, fit, grouped_folds, probabilities_of
from stream_client.training.guard import fit_parts, scaled
from stream_client.training.guarding import choose_weights, view_of
from stream_client.training.load import load_dataset


def left_out(dataset: Dataset, label: int, model: str) -> tuple[float, float]:
    """The share of the label's rows that are unknown, and the loss of the others."""
    rng = np.random.default_rng(0)
    others = np.flatnonzero(dataset.targets != label)
    hidden = np.flatnonzero(dataset.targets == label)
    weights, _ = choose_weights(dataset, others)
    raw = np.full((len(dataset.rows), 3), np.nan)
    right = np.zeros(len(dataset.rows), dtype=bool)
    judged = []
    for train, test in grouped_folds(dataset):
        kept, tested = train[dataset.targets[train] != label], test[dataset.targets[test] != label]
        guard = fit_parts(view_of(dataset), dataset.rows[kept], dataset.targets[kept], rng)
        raw[tested] = guard.raw(dataset.rows[tested])
        judged.append((guard, guard.raw(dataset.rows[hidden])))
        with calm():
            found = probabilities_of(fit(model, dataset, kept), dataset.rows[tested], len(dataset.labels))
        right[tested] = found.argmax(axis=1) == dataset.targets[tested]
    held_out = ~np.isnan(raw[:, 0])
    limited = [scaled(guard, raw[held_out], weights).known_of(unseen) for guard, unseen in judged]
    given_up = scaled(judged[0][0], raw[held_out], weights).known_of(raw[held_out]) < 0.5
    loss = float(np.mean(given_up & right[held_out]))
    return float(np.mean(np.mean(limited, axis=0) < 0.5)), loss


def main() -> None:
    """Print a line for each label, and the share over all rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="what `train --data` takes")
    parser.add_argument("--model", default="extra trees", help="the classifier beside the guard")
    options = parser.parse_args()
    rows = unknown = 0.0
    losses = []
    for path in options.data:
        dataset = load_dataset(path)
        for label, name in enumerate(dataset.labels):
            share, loss = left_out(dataset, label, options.model)
            count = int(np.sum(dataset.targets == label))
            print(
                f"{path.name}: without {name!r}: {share:.1%} of {count} rows are unknown, loss {loss:.1%}", flush=True
            )
            rows, unknown = rows + count, unknown + share * count
            losses.append(loss)
    print(f"all: {unknown / rows:.1%} of {rows:.0f} rows are unknown, mean loss {np.mean(losses):.1%}")


if __name__ == "__main__":
    main()
