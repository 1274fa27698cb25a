"""What labels agree on is learned; where they contradict each other, nothing is, and it is said."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.classify.windows import WindowSpec
from stream_client.errors import ConfigurationError
from stream_client.training.annotations import read_annotation_file
from stream_client.training.clips import LabelledClip, Span
from stream_client.training.consensus import agreed, consensus
from stream_client.training.dataset import Dataset
from stream_client.training.load import load_dataset
from stream_client.training.material import SearchOptions, search
from stream_client.training.windows import ClipOptions
from tests.client.training.movements import waving, write_annotations
from tests.support.video import write_video

ANNA = [Span(0, 4, "walk", "anna"), Span(5, 8, "dance", "anna")]
BEN = [Span(1, 4, "walk", "ben"), Span(5, 6, "dance", "ben"), Span(6, 8, "walk", "ben")]
"""They differ from 0 to 1 s, where ben gave no label, and from 6 to 8 s."""


def test_annotators_agree_where_each_gives_the_same_label() -> None:
    found = consensus([*ANNA, *BEN])
    assert found.spans == (Span(1, 4, "walk"), Span(5, 6, "dance"))
    assert found.disputed == (Span(0, 1, ""), Span(6, 8, ""))
    assert found.annotators == ("anna", "ben")
    assert found.seconds(10) == (3, 7)
    assert found.seconds(7) == (2, 6)


def test_labels_without_annotators_agree_where_no_others_overlap() -> None:
    found = consensus([Span(0, 3, "walk"), Span(2, 5, "dance"), Span(6, 7, "walk")])
    assert found.spans == (Span(0, 2, "walk"), Span(3, 5, "dance"), Span(6, 7, "walk"))
    assert found.disputed == (Span(2, 3, ""),)
    assert found.annotators == ()


def test_labels_that_follow_each_other_stay_apart() -> None:
    spans = (Span(0, 1, "walk"), Span(1, 2, "walk"), Span(2, 3, "dance"))
    assert consensus(spans).spans == spans
    assert consensus([Span(0, 2, "walk"), Span(1, 3, "walk")]).spans == (Span(0, 3, "walk"),)


times = st.integers(0, 20)
labeled = st.builds(
    lambda start, length, label, name: Span(start, start + length, label, name),
    times,
    st.integers(1, 8),
    st.sampled_from("abc"),
    st.sampled_from(["", "anna", "ben"]),
)


@given(st.lists(labeled, max_size=12))
def test_agreement_is_what_looking_at_each_moment_gives(spans: list[Span]) -> None:
    found = consensus(spans)
    everyone = {span.annotator for span in spans}
    for tick in range(60):
        time = tick / 2 + 0.25
        here = [span for span in spans if span.start <= time < span.end]
        said = {span.label for span in here}
        same = len(said) == 1 and {span.annotator for span in here} == everyone
        assert [span.label for span in found.spans if span.start <= time < span.end] == (list(said) if same else [])
        assert sum(span.start <= time < span.end for span in found.disputed) == (bool(said) and not same)


def test_labels_that_overlap_throughout_have_to_be_chosen_from() -> None:
    spans = (Span(0, 2, "left"), Span(0, 2, "good"), Span(3, 4, "bad"), Span(3, 4, "left"))
    clip = LabelledClip(Path("x.mp4"), spans, whole=False)
    with pytest.raises(
        ConfigurationError, match=r"x\.mp4: 'good' and 'left' overlap at 0 s.* out of bad, good, left \(labels\)"
    ):
        agreed([clip], None)
    assert agreed([clip], ["left"])[0].spans == (spans[0], spans[3])
    anna = replace(clip, spans=(Span(0, 2, "left", "anna"), Span(3, 4, "left", "ben")))
    with pytest.raises(ConfigurationError, match=r"anna, ben do not agree at 0 s: choose one of them \(annotator\)"):
        agreed([anna], None)
    part = replace(clip, spans=(*spans, Span(2, 3, "left")))
    assert agreed([part], None)[0].spans == (Span(2, 3, "left"),)
    with pytest.raises(ConfigurationError, match="overlap at 0 s"):
        agreed([part], None, strict=True)


def label_studio(folder: Path) -> Path:
    """Two users at one task; a third has skipped it."""

    def annotation(user: object, spans: list[Span]) -> dict[str, object]:
        values = [{"start": span.start, "end": span.end, "labels": [span.label]} for span in spans]
        return {"completed_by": user, "result": [{"type": "labels", "value": value} for value in values]}

    users = [annotation({"id": 1, "email": "anna"}, ANNA), annotation({"id": 2, "email": "ben"}, BEN)]
    skipped = {**annotation(3, [Span(0, 8, "dance")]), "was_cancelled": True}
    task = {"data": {"video": "clip.mp4"}, "annotations": [*users, skipped, annotation(4, [])]}
    return _text(folder / "export.json", json.dumps([task]))


def label_studio_min(folder: Path) -> Path:
    tasks = [
        {
            "video": "clip.mp4",
            "annotator": name,
            "label": [{"start": span.start, "end": span.end, "timelinelabels": [span.label]} for span in spans],
        }
        for name, spans in (("anna", ANNA), ("ben", BEN))
    ]
    return _text(folder / "export.json", json.dumps(tasks))


def elan(folder: Path) -> Path:
    slots, tiers = [], []
    for name, spans in (("anna", ANNA), ("ben", BEN)):
        items = []
        for number, span in enumerate(spans):
            slot = f"{name}{number}"
            slots += [
                f'<TIME_SLOT TIME_SLOT_ID="{slot}s" TIME_VALUE="{span.start * 1000:.0f}"/>',
                f'<TIME_SLOT TIME_SLOT_ID="{slot}e" TIME_VALUE="{span.end * 1000:.0f}"/>',
            ]
            items.append(
                f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{slot}" TIME_SLOT_REF1="{slot}s" '
                f'TIME_SLOT_REF2="{slot}e"><ANNOTATION_VALUE>{span.label}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>'
                "</ANNOTATION>"
            )
        tiers.append(
            f'<TIER TIER_ID="action {name}" ANNOTATOR="{name}" LINGUISTIC_TYPE_REF="t">\n{"".join(items)}</TIER>\n'
        )
    return _text(
        folder / "clip.eaf",
        '<ANNOTATION_DOCUMENT><HEADER><MEDIA_DESCRIPTOR MEDIA_URL="clip.mp4"/></HEADER>'
        f"<TIME_ORDER>{''.join(slots)}</TIME_ORDER>{''.join(tiers)}</ANNOTATION_DOCUMENT>",
    )


def table(folder: Path) -> Path:
    rows = [f"clip.mp4,{span.start},{span.end},{span.label},{span.annotator}" for span in (*ANNA, *BEN)]
    return _text(folder / "labels.csv", "\n".join(["video,start,end,label,annotator", *rows]))


def two_files(folder: Path) -> Path:
    """Files that name nobody: what only one of them labels is not contradicted."""
    for name, spans in (("anna", ANNA), ("ben", BEN)):
        write_annotations(folder / f"{name}.json", [(span.start, span.end, span.label) for span in spans])
    return folder


def cvat_jobs(folder: Path) -> Path:
    """CVAT writes no names: tracks that overlap."""
    rate = 10
    tracks = "".join(
        f'<track label="{span.label}"><box frame="{span.start * rate:.0f}" outside="0"/>'
        f'<box frame="{span.end * rate:.0f}" outside="1"/></track>\n'
        for span in (*ANNA, *BEN)
    )
    meta = "<meta><task><id>1</id><source>clip.mp4</source></task></meta>"
    return _text(folder / "annotations.xml", f"<annotations>{meta}{tracks}</annotations>")


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def dataset(path: Path, annotator: str | None = None, *, strict: bool = False) -> Dataset:
    return load_dataset(
        path,
        ClipOptions(window=WindowSpec(300, 200), vary=False, background="unknown", strict=strict),
        annotator=annotator,
        find=lambda path, every: waving("left", seconds=10, rate=10),
    )


NAMED = [label_studio, label_studio_min, elan, table]


@pytest.mark.parametrize("write", NAMED)
def test_of_several_annotators_the_agreement_is_learned_or_one_is_chosen(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").touch()
    path = write(tmp_path)
    both = dataset(path)
    seconds = dict(zip(both.labels, both.seconds, strict=True))
    assert seconds["walk"] == pytest.approx(3.1, abs=0.11)
    assert seconds["dance"] == pytest.approx(1.1, abs=0.11)
    assert seconds["unknown"] == pytest.approx(3, abs=0.3)  # from 4 to 5 and from 8 to 10 s, where nobody gave a label
    note = "labels contradict each other in 3.0 of 7.0 labeled seconds (43%), left out (anna, ben do not agree"
    assert any(note in warning for warning in both.warnings)
    anna = dataset(path, "anna")
    assert dict(zip(anna.labels, anna.seconds, strict=True))["dance"] == pytest.approx(3, abs=0.11)
    assert not any("contradict" in warning for warning in anna.warnings)
    with pytest.raises(ConfigurationError, match=r"'carl' labeled nothing: the annotators are anna, ben \(annotator\)"):
        dataset(path, "carl")
    with pytest.raises(ConfigurationError, match="anna, ben do not agree at 0 s"):
        dataset(path, strict=True)


@pytest.mark.parametrize("write", [two_files, cvat_jobs])
def test_files_without_names_agree_where_no_labels_overlap(write: Callable[[Path], Path], tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", frames=100, rate=10)
    found = dataset(write(tmp_path))
    seconds = dict(zip(found.labels, found.seconds, strict=True))
    assert seconds["walk"] == pytest.approx(4, abs=0.11)
    assert seconds["dance"] == pytest.approx(1, abs=0.11)
    assert any("in 2.0 of 7.0 labeled seconds (29%), left out ('dance' and 'walk' overlap" in w for w in found.warnings)


def test_labels_that_are_renamed_alike_agree(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    rows = ["video,start,end,label,annotator", "clip.mp4,0,3,walk,anna", "clip.mp4,0,3,Walk,ben"]
    found = load_dataset(
        _text(tmp_path / "labels.csv", "\n".join(rows)),
        ClipOptions(window=WindowSpec(300, 200), vary=False, fewest_labels=1),
        names={"Walk": "walk", "sti": "sit"},
        find=lambda path, every: waving("left", seconds=4, rate=10),
    )
    assert found.labels == ("walk",)
    assert "nothing is called 'sti', which is to be renamed" in found.warnings
    assert not any("contradict" in note for note in found.warnings)


def test_annotators_without_a_name_are_counted(tmp_path: Path) -> None:
    path = label_studio(tmp_path)
    tasks = json.loads(path.read_text())
    for annotation in tasks[0]["annotations"]:
        del annotation["completed_by"]
    annotations = read_annotation_file(_text(path, json.dumps(tasks)))
    assert annotations is not None
    assert [one.annotator for one in annotations] == ["annotation 1", "annotation 2"]


def test_two_labels_of_a_photo_are_none(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    tags = '<image id="0" name="a.jpg"><tag label="up"/><tag label="down"/></image><image id="1" name="b.jpg">'
    path = _text(tmp_path / "tags.xml", f'<annotations>{tags}<tag label="up"/></image></annotations>')
    clips = search([str(path)], SearchOptions(tmp_path / "scratch")).clips
    assert [bool(one.spans) for one in agreed(clips, None)] == [False, True]
