from pathlib import Path

import numpy as np
import pytest

from stream_client.training import windows
from stream_client.training.clips import Track
from stream_client.training.duplicates import MOST_NOTES, duplicate_notes
from stream_client.training.grouping import Origin
from stream_client.training.load import load_dataset
from stream_client.training.windows import ClipOptions
from tests.client.training.movements import waving
from tests.client.training.test_train import LABELS, WINDOW


@pytest.fixture(autouse=True)
def few_variations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_VARIANTS", 1)
    monkeypatch.setattr(windows, "_STREAMS", 0)


def clips(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return folder


def landmarks(path: Path, every: int) -> Track:
    """A clip called ``1-copy`` is ``1``, cut off at the beginning and encoded anew: a pixel here, a pixel there."""
    number, _, copy = path.stem.partition("-")
    track = waving(LABELS["waving left" if copy else path.parent.name], seed=int(number), rate=25 / every)
    if not copy:
        return track
    noise = np.random.default_rng(5).normal(0, 0.3, track.landmarks.shape)
    return Track(path.name, track.timestamps[10:] - track.timestamps[10], (track.landmarks + noise)[10:])


def test_a_clip_that_was_encoded_anew_is_named_and_stays_in_the_fold_of_the_other(tmp_path: Path) -> None:
    data = clips(
        tmp_path, "standing/1.mp4", "standing/2.mp4", *(f"waving left/{n}.mp4" for n in ("1", "1-copy", "2", "3"))
    )
    dataset = load_dataset(data, ClipOptions(window=WINDOW), find=landmarks)
    first, second = f"{tmp_path}/waving left/1-copy.mp4", f"{tmp_path}/waving left/1.mp4"
    assert [note for note in dataset.warnings if "duplicate" in note] == [
        f"{first} and {second} are near duplicates: they are held out together"
    ]
    assert len(set(dataset.groups.tolist())) == 5


def test_the_same_clip_under_two_labels_is_named(tmp_path: Path) -> None:
    data = clips(tmp_path, "standing/1.mp4", "standing/3-copy.mp4", *(f"waving left/{n}.mp4" for n in (2, 3)))
    dataset = load_dataset(data, ClipOptions(window=WINDOW), find=landmarks)
    (note,) = [note for note in dataset.warnings if "duplicate" in note]
    assert note.endswith(
        "are near duplicates: they are held out together, but their labels differ (standing, waving left)"
    )


def test_where_all_clips_are_copies_that_is_named(tmp_path: Path) -> None:
    data = clips(tmp_path, "standing/1.mp4", "waving left/1.mp4")
    dataset = load_dataset(data, ClipOptions(window=WINDOW), find=lambda path, every: waving("left", rate=25 / every))
    (note,) = [note for note in dataset.warnings if "duplicate" in note]
    assert note.endswith("but their labels differ (standing, waving left)")


def test_many_pairs_are_counted_those_whose_labels_differ_are_named_first() -> None:
    names = [f"{number:02}" for number in range(MOST_NOTES + 5)]
    pairs = [("00", name) for name in names[1:]]
    labels = ["standing"] * len(names)
    labels[-1] = "sitting"
    notes = duplicate_notes(pairs, [Origin(name, 0.0, 0, 1) for name in names], labels)
    assert notes[0] == (
        f"00 and {names[-1]} are near duplicates: they are held out together, "
        "but their labels differ (sitting, standing)"
    )
    assert notes[1] == "00 and 01 are near duplicates: they are held out together"
    assert len(notes) == MOST_NOTES + 1
    assert notes[-1] == "4 more pairs are near duplicates: they are held out together"
