"""Each tool's file, written after the tool's documentation, gives the labels of the seed's form."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stream_client.classify.windows import WindowSpec
from stream_client.errors import ConfigurationError
from stream_client.training.annotations import read_annotation_file
from stream_client.training.clips import Span
from stream_client.training.dataset import Dataset
from stream_client.training.load import load_dataset
from stream_client.training.material import Material, SearchOptions, search
from stream_client.training.windows import ClipOptions
from tests.client.training.movements import waving, write_annotations
from tests.support.video import write_video

SPANS = [(0.2, 0.8, "walk"), (1.0, 1.9, "dance")]
RATE = 10


def stream_pose_ml(folder: Path) -> Path:
    return write_annotations(folder / "clip.annotations.json", SPANS)


def label_studio(folder: Path) -> Path:
    """Frames count from 1, both ends included: frames 3 to 8 are from 0.2 to 0.8 s."""
    results = [
        {
            "type": "timelinelabels",
            "from_name": "label",
            "to_name": "video",
            "value": {"ranges": [{"start": start * RATE + 1, "end": end * RATE}], "timelinelabels": [label]},
        }
        for start, end, label in SPANS
    ]
    task = {
        "id": 1,
        "data": {"video": "/data/upload/1/0a1b2c3d-clip.mp4"},
        "annotations": [{"id": 1, "result": results}],
    }
    return _text(folder / "project-1.json", json.dumps([task]))


def label_studio_min(folder: Path) -> Path:
    values = [
        {"ranges": [{"start": start * RATE + 1, "end": end * RATE}], "timelinelabels": [label]}
        for start, end, label in SPANS
    ]
    return _text(folder / "export.json", json.dumps([{"video": "/data/upload/1/clip.mp4", "id": 1, "label": values}]))


def via(folder: Path) -> Path:
    content = {
        "project": {"pid": "__VIA_PROJECT_ID__", "data_format_version": "3.1.1"},
        "config": {},
        "attribute": {"1": {"aname": "ACTION", "anchor_id": "FILE1_Z2_XY0", "type": 4, "options": {"0": "walk"}}},
        "file": {"1": {"fid": "1", "fname": "clip.mp4", "type": 4, "loc": 1, "src": "clip.mp4"}},
        "metadata": {
            f"1_{number}": {
                "vid": "1",
                "flg": 0,
                "z": [start, end],
                "xy": [],
                "av": {"1": "0" if number == 0 else label},
            }
            for number, (start, end, label) in enumerate(SPANS)
        },
        "view": {"1": {"fid_list": ["1"]}},
    }
    return _text(folder / "via_project.json", json.dumps(content))


def elan(folder: Path) -> Path:
    slots, items = [], []
    for number, (start, end, label) in enumerate(SPANS):
        slots += [
            f'<TIME_SLOT TIME_SLOT_ID="a{number}" TIME_VALUE="{round(start * 1000)}"/>',
            f'<TIME_SLOT TIME_SLOT_ID="b{number}" TIME_VALUE="{round(end * 1000)}"/>',
        ]
        items.append(
            f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="i{number}" TIME_SLOT_REF1="a{number}" '
            f'TIME_SLOT_REF2="b{number}"><ANNOTATION_VALUE>{label}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>'
        )
    return _text(
        folder / "clip.eaf",
        '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01" FORMAT="3.0" '
        'VERSION="3.0"><HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/clip.mp4" '
        f'RELATIVE_MEDIA_URL="./clip.mp4"/></HEADER><TIME_ORDER>{"".join(slots)}</TIME_ORDER>'
        f'<TIER TIER_ID="action" LINGUISTIC_TYPE_REF="t">{"".join(items)}</TIER><TIER TIER_ID="empty"/>'
        "</ANNOTATION_DOCUMENT>",
    )


def cvat_tracks(folder: Path) -> Path:
    tracks = "".join(
        f'<track id="{number}" label="{label}">'
        f'<box frame="{round(start * RATE)}" outside="0" keyframe="1" xtl="0" ytl="0" xbr="9" ybr="9"/>'
        f'<box frame="{round(end * RATE)}" outside="1" keyframe="1" xtl="0" ytl="0" xbr="9" ybr="9"/></track>'
        for number, (start, end, label) in enumerate(SPANS)
    )
    meta = "<meta><task><id>1</id><name>t</name><source>clip.mp4</source></task></meta>"
    return _text(folder / "annotations.xml", f"<annotations><version>1.1</version>{meta}{tracks}</annotations>")


def cvat_tags(folder: Path) -> Path:
    images = "".join(
        f'<image id="{frame}" name="frame_{frame:06d}" width="9" height="9">'
        + "".join(
            f'<tag label="{label}"/>' for start, end, label in SPANS if round(start * RATE) <= frame < round(end * RATE)
        )
        + "</image>"
        for frame in range(20)
    )
    meta = "<meta><task><id>1</id><name>t</name><source>clip.mp4</source></task></meta>"
    return _text(folder / "annotations.xml", f"<annotations><version>1.1</version>{meta}{images}</annotations>")


def span_table(folder: Path) -> Path:
    rows = ["video,start,end,label", "clip.mp4,0.2,0.8,walk", "", "clip.mp4,0:01,00:00:01.9,dance"]
    return _text(folder / "labels.csv", "\n".join(rows))


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


FORMATS = [stream_pose_ml, label_studio, label_studio_min, via, elan, cvat_tracks, cvat_tags, span_table]


def found(path: Path, tmp_path: Path) -> Material:
    return search([str(path)], SearchOptions(tmp_path / "scratch"))


@pytest.mark.parametrize("write", FORMATS)
def test_each_format_gives_the_labels_of_the_video_beside_it(write: Callable[[Path], Path], tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", frames=20, rate=RATE)
    material = found(write(tmp_path), tmp_path)
    assert [clip.path.name for clip in material.clips] == ["clip.mp4"]
    assert not material.clips[0].whole
    assert [span.label for span in material.clips[0].spans] == ["walk", "dance"]
    for span, (start, end, _) in zip(material.clips[0].spans, SPANS, strict=True):
        assert (span.start, span.end) == (pytest.approx(start), pytest.approx(end, abs=1e-5))


def samples(annotations: Path) -> Dataset:
    return load_dataset(
        annotations,
        ClipOptions(window=WindowSpec(300, 200), vary=False),
        find=lambda path, every: waving("left", seconds=2, rate=RATE),
    )


@pytest.mark.parametrize("write", FORMATS)
def test_each_format_gives_the_samples_of_the_seeds_form(write: Callable[[Path], Path], tmp_path: Path) -> None:
    for folder in ("seed", "other"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "clip.mp4", frames=20, rate=RATE)
    expected, given = samples(stream_pose_ml(tmp_path / "seed")), samples(write(tmp_path / "other"))
    assert given.labels == expected.labels == ("dance", "walk")
    assert given.targets.tolist() == expected.targets.tolist()
    assert len(expected.rows) >= 8
    np.testing.assert_array_equal(given.rows, expected.rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", ""),
        ("a.json", "{}"),
        ("a.json", "[]"),
        ("a.json", '{"annotations": [{}]}'),
        ("a.json", '{"annotations": "none"}'),
        ("a.json", "[" * 100_000),
        ("a.xml", "<annotations>"),
        ("a.xml", "<other/>"),
        ("a.eaf", '<!DOCTYPE a [<!ENTITY b "c">]><ANNOTATION_DOCUMENT>&b;</ANNOTATION_DOCUMENT>'),
        ("a.csv", "video,start,end,label\nx.mp4,1,2,\xe4".encode("cp1252")),
    ],
)
def test_a_bad_annotation_file_is_one_line_that_names_it(tmp_path: Path, name: str, content: str | bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError, match=name) as caught:
        read_annotation_file(path)
    assert "\n" not in str(caught.value)


def test_a_tier_of_elan_is_chosen_where_there_are_several(tmp_path: Path) -> None:
    path = elan(tmp_path)
    tier = '<TIER TIER_ID="gloss"><ANNOTATION><ALIGNABLE_ANNOTATION TIME_SLOT_REF1="a0" TIME_SLOT_REF2="b0">'
    tier += "<ANNOTATION_VALUE>x</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"
    _text(path, path.read_text().replace("</ANNOTATION_DOCUMENT>", tier))
    with pytest.raises(ConfigurationError, match=r"the tiers with times are action, gloss: choose one \(tier\)"):
        read_annotation_file(path)
    annotations = read_annotation_file(path, "gloss")
    assert annotations is not None
    assert annotations[0].spans == (Span(0.2, 0.8, "x"),)
    with pytest.raises(ConfigurationError, match="no tier 'absent'"):
        read_annotation_file(path, "absent")


def test_labels_stand_on_one_line(tmp_path: Path) -> None:
    annotations = read_annotation_file(write_annotations(tmp_path / "a.json", [(0, 1, "left\n step/ü "), (1, 2, "b")]))
    assert annotations is not None
    assert annotations[0].spans[0].label == "left step/ü"


WRONG = [
    (stream_pose_ml, '"endTime": 1.9', '"endTime": 0.5', "'dance' ends at 0.5 s, and starts at 1 s"),
    (stream_pose_ml, '"startTime": 1.0', '"startTime": "one"', "'dance' has the time 'one', which is no number"),
    (stream_pose_ml, '"endTime": 1.9', '"endTime": NaN', "'dance' has the time nan, which is no number"),
    (stream_pose_ml, '"label": "dance"', '"label": " "', "the span from 1 s has no label"),
    (stream_pose_ml, '"startTime": 1.0, "endTime": 1.9', "", "'dance' has the time None, which is no number"),
    (stream_pose_ml, '"endTime": 1.9', '"endTime": 190', "'dance' ends at 190 s, and clip.mp4 at 2 s"),
    (label_studio, '"end": 19.0', '"end": 5', "'dance' ends at frame 4, and starts at frame 10"),
    (label_studio, '"end": 19.0', '"end": null', "'dance' has the frame None, which is no number"),
    (label_studio, '["dance"]', "[]", "the span from frame 10 has no label"),
    (label_studio, '"end": 19.0', '"end": 1900', "'dance' ends at 190 s, and clip.mp4 at 2 s"),
    (label_studio, '{"start": 11.0, "end": 19.0}', "7", "'dance' has the range 7, which is none"),
    (label_studio_min, '"start": 11.0', '"start": "b"', "'dance' has the frame 'b', which is no number"),
    (via, "[1.0, 1.9]", "[1.9, 1.0]", "'dance' ends at 1 s, and starts at 1.9 s"),
    (via, "[1.0, 1.9]", '["x", 1.9]', "'dance' has the time 'x', which is no number"),
    (via, '"1": "dance"', '"1": "7"', "its attribute has no option '7'"),
    (via, "[1.0, 1.9]", "[1.0, 190]", "'dance' ends at 190 s, and clip.mp4 at 2 s"),
    (elan, '"b1" TIME_VALUE="1900"', '"b1" TIME_VALUE="500"', "line 1: 'dance' ends at 0.5 s, and starts at 1 s"),
    (elan, '"b1" TIME_VALUE="1900"', '"b1" TIME_VALUE="x"', "annotation 'i1' has no time slot 'b1' with a time"),
    (elan, "dance", "", "the span from 1 s has no label"),
    (elan, '"b1" TIME_VALUE="1900"', '"b1" TIME_VALUE="190000"', "'dance' ends at 190 s, and clip.mp4 at 2 s"),
    (cvat_tracks, 'frame="19"', 'frame="x"', "'dance' has a shape in the frame 'x', which is no number"),
    (cvat_tracks, 'label="dance"', "", "the span from frame 10 has no label"),
    (cvat_tracks, 'frame="19"', 'frame="1900"', "'dance' ends at 190 s, and clip.mp4 at 2 s"),
    (cvat_tracks, "<name>t</name>", "<labels><label><name>walk</name></label></labels>", "is none of the labels"),
    (span_table, "0:01,00:00:01.9,dance", "2,1,dance", "line 4: 'dance' ends at 1 s, and starts at 2 s"),
    (span_table, "0:01,00:00:01.9,dance", "1,two,dance", "line 4: 'two' is neither seconds nor hours:minutes:seconds"),
    (span_table, "0:01,00:00:01.9,dance", "1,nan,dance", "line 4: 'nan' is neither seconds nor"),
    (span_table, "0:01,00:00:01.9,dance", "1,1.9,", "line 4: the span from 1 s has no label"),
    (span_table, "0:01,00:00:01.9,dance", "1,1.9", "line 4: 3 columns, the first line names 4"),
    (span_table, "0:01,00:00:01.9,dance", "1,190,dance", "line 4: 'dance' ends at 190 s, and clip.mp4 at 2 s"),
]


@pytest.mark.parametrize(("write", "old", "new", "message"), WRONG)
def test_a_wrong_label_costs_itself_alone(
    write: Callable[[Path], Path], old: str, new: str, message: str, tmp_path: Path
) -> None:
    write_video(tmp_path / "clip.mp4", frames=20, rate=RATE)
    path = write(tmp_path)
    text = path.read_text()
    assert old in text
    _text(path, text.replace(old, new))
    material = found(path, tmp_path)
    assert [span.label for span in material.clips[0].spans] == ["walk"]
    assert len(material.notes) == 1
    assert material.notes[0].startswith(f"{path}: 1 label skipped: line ")
    assert message in material.notes[0]
    with pytest.raises(ConfigurationError, match="line") as caught:
        search([str(path)], SearchOptions(tmp_path / "scratch", strict=True))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_the_time_of_a_wrong_label_is_no_background(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", frames=40, rate=RATE)
    rows = ["video,start,end,label", "clip.mp4,0,1,walk", "clip.mp4,3.9,1.2,dance"]
    (clip,) = found(_text(tmp_path / "labels.csv", "\n".join(rows)), tmp_path).clips
    assert clip.unclear == (Span(1.2, 3.9, ""),)
    dataset = load_dataset(
        tmp_path / "labels.csv",
        ClipOptions(window=WindowSpec(300, 200), vary=False, background="unknown", fewest_labels=1),
        find=lambda path, every: waving("left", seconds=4, rate=RATE),
    )
    assert dataset.labels == ("walk",)


def test_only_the_first_of_many_wrong_labels_are_told(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    rows = ["video,start,end,label", "clip.mp4,0,1,walk", *["clip.mp4,2,1,walk"] * 25]
    material = found(_text(tmp_path / "labels.csv", "\n".join(rows)), tmp_path)
    assert "25 labels skipped: line 3: " in material.notes[0]
    assert material.notes[0].endswith("; and 15 more")


def test_a_label_may_end_a_little_later_than_its_clip(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", frames=20, rate=RATE)
    material = found(_text(tmp_path / "clip.csv", "start,end,label\n0,1,walk\n1,2.5,dance\n"), tmp_path)
    assert not material.notes
    assert material.clips[0].spans[1] == Span(1, 2.5, "dance")


def test_tags_of_images_are_labels_of_photos(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    _text(tmp_path / "tags.xml", '<annotations><image id="0" name="a.jpg"><tag label="up"/></image></annotations>')
    material = found(tmp_path, tmp_path)
    assert [(clip.path.name, clip.spans[0].label, clip.whole) for clip in material.clips] == [("a.jpg", "up", True)]


def labels_of(folder: Path, tmp_path: Path, tier: str | None = None) -> list[tuple[str, list[Span]]]:
    material = search([str(folder)], SearchOptions(tmp_path / "scratch", tier))
    return [(clip.path.name, list(clip.spans)) for clip in material.clips]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("/data/local-files/?d=videos/my-clip.mp4", "my-clip.mp4"),
        ("/data/upload/3/a1b2c3d4-my_clip_1.mp4", "my clip (1).mp4"),
        ("s3://bucket/videos/Clip.MP4", "clip.mp4"),
    ],
)
def test_label_studios_names_lead_to_the_file(tmp_path: Path, written: str, name: str) -> None:
    task = {"data": {"video": written}, "annotations": [{"result": [_seconds("walk")]}]}
    _text(tmp_path / "export.json", json.dumps([task, {"data": {"text": "none"}, "annotations": []}]))
    (tmp_path / name).touch()
    assert labels_of(tmp_path, tmp_path) == [(name, [Span(0, 1, "walk")])]


def test_a_name_with_a_dash_is_not_that_of_an_upload(tmp_path: Path) -> None:
    task = {"data": {"video": "my-clip.mp4"}, "annotations": [{"result": [_seconds("walk")]}]}
    _text(tmp_path / "export.json", json.dumps([task]))
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(ConfigurationError, match=r"export\.json is about my-clip\.mp4"):
        labels_of(tmp_path, tmp_path)


def test_label_studios_choice_is_the_label_of_a_file_without_others(tmp_path: Path) -> None:
    choice = {"value": {"choices": ["sharp"]}, "type": "choices"}
    box = {"value": {"sequence": [], "labels": ["person"]}, "type": "videorectangle"}
    tasks = [
        {"data": {"video": "a.mp4"}, "annotations": [{"result": [choice, box]}]},
        {"data": {"video": "b.mp4"}, "annotations": [{"result": [choice, _seconds("walk"), box]}]},
    ]
    _text(tmp_path / "export.json", json.dumps(tasks))
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    assert labels_of(tmp_path, tmp_path) == [
        ("a.mp4", [Span(0, float("inf"), "sharp")]),
        ("b.mp4", [Span(0, 1, "walk")]),
    ]


def _seconds(label: str) -> dict[str, object]:
    return {"type": "labels", "value": {"start": 0, "end": 1, "labels": [label]}}


def test_via_stores_no_choice_several_and_deleted_ones(tmp_path: Path) -> None:
    content = json.loads(via(tmp_path).read_text())
    content["attribute"]["1"]["options"]["1"] = "dance"
    content["file"]["1"]["src"] = "blob:null/0a1b"
    segment = {"vid": "1", "flg": 0, "xy": []}
    for number, values in enumerate([{"1": ""}, {"1": "0,1"}, {"9": "0"}], 5):
        content["metadata"][f"1_{number}"] = {**segment, "z": [number, number + 1], "av": values}
    _text(tmp_path / "via_project.json", json.dumps(content))
    (tmp_path / "clip.mp4").touch()
    ((_, spans),) = labels_of(tmp_path, tmp_path)
    assert spans == [*(Span(*span) for span in SPANS), Span(6, 7, "dance"), Span(6, 7, "walk")]


def test_elans_video_may_stand_behind_its_sound_and_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "eaf").mkdir()
    (tmp_path / "media").mkdir()
    path = elan(tmp_path / "eaf")
    media = '<MEDIA_DESCRIPTOR MIME_TYPE="audio/x-wav" MEDIA_URL="a.wav"/><MEDIA_DESCRIPTOR MIME_TYPE="video/mp4" '
    text = path.read_text().replace("./clip.mp4", "../media/clip.mp4").replace("<MEDIA_DESCRIPTOR ", media)
    _text(path, text)
    (tmp_path / "media/clip.mp4").touch()
    assert labels_of(tmp_path, tmp_path) == [("clip.mp4", [Span(*span) for span in SPANS])]
    _text(path, text.replace("ALIGNABLE", "REF"))
    with pytest.raises(ConfigurationError, match="has no tier 'action' with times: there are none"):
        read_annotation_file(path, "action")


def test_a_project_of_cvat_has_several_videos(tmp_path: Path) -> None:
    tasks = "".join(f"<task><id>{n}</id><source>{n}.mp4</source></task>" for n in (3, 4))
    tracks = "".join(
        f'<track id="0" label="{label}" task_id="{n}"><box frame="0" outside="0"/><box frame="9" outside="0"/></track>'
        for n, label in ((3, "walk"), (4, "dance"))
    )
    meta = f"<meta><project><tasks>{tasks}</tasks></project></meta>"
    path = _text(tmp_path / "annotations.xml", f"<annotations>{meta}{tracks}</annotations>")
    annotations = read_annotation_file(path)
    assert annotations is not None
    assert [(one.video, one.frames[0].label) for one in annotations] == [("3.mp4", "walk"), ("4.mp4", "dance")]


@pytest.mark.parametrize(
    "text",
    [
        "video;start;end;label\nclip.mp4;0,5;1,25;a b",
        "Video\t Start\tEnd\tLabel\r\nclip.mp4\t0.5\t1.25\ta  b\r\n\t\t\t\r\n",
        '\ufeff"video","start","end","label"\n"clip.mp4","00:00:00,500","00:00:01.250","a b"\n,,,\n',
    ],
)
def test_spreadsheets_write_tables_in_their_own_ways(tmp_path: Path, text: str) -> None:
    annotations = read_annotation_file(_text(tmp_path / "a.csv", text))
    assert annotations is not None
    assert [(one.video, one.spans) for one in annotations] == [("clip.mp4", (Span(0.5, 1.25, "a b"),))]


def test_umlauts_of_macos_are_those_of_others(tmp_path: Path) -> None:
    annotations = read_annotation_file(write_annotations(tmp_path / "a.json", [(0, 1, "u\u0308")]))
    assert annotations is not None
    assert annotations[0].spans[0].label == "\u00fc"
