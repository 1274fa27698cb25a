"""What people bring is found."""

import errno
import functools
import http.server
import os
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_client.errors import ConfigurationError
from stream_client.training.clips import Span
from stream_client.training.material import Material, SearchOptions, search
from stream_client.training.material.length import within
from tests.client.training.movements import write_annotations
from tests.support.video import write_video

WHOLE = (0.0, float("inf"))


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def found(tmp_path: Path, *names: str, strict: bool = False) -> Material:
    return search(list(names), SearchOptions(tmp_path / "scratch", strict=strict))


def classes(material: Material) -> list[tuple[str, str, str]]:
    return [(clip.path.name, clip.spans[0].label, clip.group) for clip in material.clips]


def test_the_first_folder_is_the_class_and_the_second_the_person(tmp_path: Path) -> None:
    root = touch(
        tmp_path / "data", "jump/anna/1.mp4", "jump/2.MOV", "walk/bo/3.jpg", "_background/4.mp4", "walk/.hidden.mp4"
    )
    assert classes(found(tmp_path, str(root))) == [
        ("4.mp4", "unknown", ""),
        ("2.MOV", "jump", ""),
        ("1.mp4", "jump", "anna"),
        ("3.jpg", "walk", "bo"),
    ]


def test_other_files_are_counted_and_named(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "jump/1.mp4", "walk/2.mp4", "walk/notes.txt", "loose.mp4")
    notes = found(tmp_path, str(root)).notes
    assert f"{root}/loose.mp4 has no labels: put it into a folder of its class, or annotate it" in notes
    assert "1 other file skipped: notes.txt" in notes
    with pytest.raises(ConfigurationError, match="loose"):
        found(tmp_path, str(root), strict=True)


def test_what_is_not_read_but_brought_often_has_a_remedy(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "jump/1.gif", "jump/2.HEIC", "jump/3.avif", "jump/4.tar.gz")
    material = found(tmp_path, str(root))
    assert classes(material) == [("1.gif", "jump", ""), ("3.avif", "jump", "")]
    assert material.notes == [
        "2 other files skipped: 2.HEIC, 4.tar.gz (save photos of HEIC as JPEG) (of archives, zip is read)"
    ]


def test_an_annotated_clip_has_no_class_of_its_folder(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "jump/1.mp4", "takes/2.mp4")
    write_annotations(root / "takes/2.json", [(0, 1, "a"), (1, 2, "b")], name="2.mp4")
    material = found(tmp_path, str(root))
    assert [(clip.path.name, clip.whole) for clip in material.clips] == [("1.mp4", True), ("2.mp4", False)]
    assert material.clips[1].spans == (Span(0, 1, "a"), Span(1, 2, "b"))


def test_annotations_without_their_video_are_named(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "jump/1.mp4")
    write_annotations(root / "dance.annotations.json", [(0, 1, "a")], name="elsewhere.webm")
    missing = r"elsewhere\.webm, and neither that nor dance\.\* is beside it"
    material = found(tmp_path, str(root))
    assert "elsewhere.webm, and neither that nor dance.* is beside it" in material.notes[0]
    with pytest.raises(ConfigurationError, match=missing):
        found(tmp_path, str(root / "dance.annotations.json"))
    touch(root, "dance.webm")
    assert found(tmp_path, str(root / "dance.annotations.json")).clips[0].path.name == "dance.webm"
    assert found(tmp_path, str(root / "dance.webm")).clips[0].spans == (Span(0, 1, "a"),)
    touch(root, "elsewhere.webm")
    assert found(tmp_path, str(root / "dance.annotations.json")).clips[0].path.name == "elsewhere.webm"


def test_globs_and_several_folders_add_up(tmp_path: Path) -> None:
    touch(tmp_path, "a/jump/1.mp4", "a/jump/2.mp4", "a/walk/1.mp4", "b/walk/9.mp4")
    material = found(tmp_path, str(tmp_path / "a/*/1.mp4"), str(tmp_path / "b"))
    assert classes(material) == [("1.mp4", "jump", ""), ("1.mp4", "walk", ""), ("9.mp4", "walk", "")]
    with pytest.raises(ConfigurationError, match="nothing matches"):
        found(tmp_path, str(tmp_path / "c*"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """As macOS packs a folder."""
    path = tmp_path / "web" / "data.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as content:
        for name in ("data/jump/1.mp4", "data/walk/2.mp4", "__MACOSX/data/jump/._1.mp4", "../../escaped.txt"):
            content.writestr(name, b"")
    return path


def test_an_archive_is_unpacked_and_nothing_leaves_its_folder(archive: Path, tmp_path: Path) -> None:
    assert classes(found(tmp_path, str(archive))) == [("1.mp4", "jump", ""), ("2.mp4", "walk", "")]
    assert not (tmp_path.parent / "escaped.txt").exists()
    assert not (tmp_path / "escaped.txt").exists()


def test_archives_of_any_tool_are_taken(tmp_path: Path) -> None:
    expected = [("1.mp4", "jump", ""), ("2.mp4", "walk", "")]
    for number, names in enumerate(
        (
            ("data\\jump\\1.mp4", "data\\walk\\2.mp4"),
            ("/data/jump/1.mp4", "/data/walk/2.mp4"),
            ("C:\\data\\jump\\1.mp4", "C:\\data\\walk\\2.mp4"),
        )
    ):
        assert classes(found(tmp_path, str(zipped(tmp_path / f"{number}.zip", *names)))) == expected
    inner = zipped(tmp_path / "inner.zip", "jump/1.mp4", "walk/2.mp4").read_bytes()
    assert classes(found(tmp_path, str(zipped(tmp_path / "outer.zip", "export/inner.zip", content=inner)))) == expected


def test_a_file_that_cannot_be_unpacked_costs_itself_alone(tmp_path: Path) -> None:
    path = zipped(tmp_path / "data.zip", "jump/1.mp4", "walk/2.mp4", f"walk/{'n' * 300}.mp4")
    material = found(tmp_path, str(path))
    assert classes(material) == [("1.mp4", "jump", ""), ("2.mp4", "walk", "")]
    assert material.notes[0].startswith(f"{path}: 1 file cannot be unpacked: walk/nnn")
    assert material.notes[0].endswith("(File name too long)")
    with pytest.raises(ConfigurationError, match="1 file cannot be unpacked"):
        found(tmp_path, str(path), strict=True)


def test_a_class_without_a_clip_is_named(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "jump/1.mp4", "walk/notes.txt")
    (root / "sit").mkdir()
    assert found(tmp_path, str(root)).notes[:2] == [
        f"{root}/sit holds no clip, photo or landmarks",
        f"{root}/walk holds no clip, photo or landmarks",
    ]


def test_annotated_videos_may_lie_in_a_folder_below(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "videos/a/1.MP4", "videos/b/2.mp4")
    (root / "labels.csv").write_text("video,start,end,label\n1.mp4,0,1,jump\n2.mp4,0,1,walk\n")
    assert classes(found(tmp_path, str(root / "labels.csv"))) == [("1.MP4", "jump", ""), ("2.mp4", "walk", "")]
    touch(root, "videos/c/2.mp4")
    material = found(tmp_path, str(root / "labels.csv"))
    assert f"skipped: {root}/labels.csv is about 2.mp4, and there are 2 of them below its folder" in material.notes


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ConfigurationError, match=r"cannot unpack .*bad\.zip"):
        found(tmp_path, str(tmp_path / "bad.zip"))


@pytest.fixture
def website(archive: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(archive.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_url_is_downloaded(website: str, tmp_path: Path) -> None:
    assert [label for _, label, _ in classes(found(tmp_path, f"{website}/data.zip?x=1"))] == ["jump", "walk"]
    with pytest.raises(ConfigurationError, match=r"cannot download .*absent\.zip: HTTP Error 404"):
        found(tmp_path, f"{website}/absent.zip")


def test_a_table_is_trained_on_alone(tmp_path: Path) -> None:
    touch(tmp_path, "data/jump/1.mp4")
    table = tmp_path / "data/poses.csv"
    table.write_text("a,b,1\n")
    with pytest.raises(ConfigurationError, match="a table is trained on alone"):
        found(tmp_path, str(tmp_path / "data"), str(table))
    with pytest.raises(ConfigurationError, match="a table is trained on alone"):
        found(tmp_path, str(tmp_path / "data"), strict=True)


def test_a_foreign_table_beside_clips_is_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "data/jump/1.mp4")
    (tmp_path / "data/persons.csv").write_text("file,person\n1.mp4,anna\n")
    material = found(tmp_path, str(tmp_path / "data"))
    assert classes(material) == [("1.mp4", "jump", "")]
    assert material.notes == [f"skipped: {tmp_path}/data/persons.csv does not begin with video,start,end,label"]


def test_each_of_several_folders_of_clips_is_a_class(tmp_path: Path) -> None:
    touch(tmp_path, "data/jump/1.mp4", "data/walk/2.jpg", "data/_background/3.mp4")
    expected = [("3.mp4", "unknown", ""), ("1.mp4", "jump", ""), ("2.jpg", "walk", "")]
    assert classes(found(tmp_path, str(tmp_path / "data/*"))) == expected
    assert classes(found(tmp_path, str(tmp_path / "data/*/*"))) == expected
    with pytest.raises(ConfigurationError, match=r"1\.mp4 has no labels"):
        found(tmp_path, str(tmp_path / "data/jump"))


def test_what_is_named_twice_is_taken_once(tmp_path: Path) -> None:
    touch(tmp_path, "data/jump/anna/1.mp4", "data/walk/2.mp4")
    material = found(tmp_path, str(tmp_path / "data/**"))
    assert classes(material) == [("1.mp4", "jump", "anna"), ("2.mp4", "walk", "")]
    assert not material.notes


def zipped(path: Path, *names: str, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def test_an_archive_may_be_a_class_or_be_in_one(tmp_path: Path) -> None:
    jump = zipped(tmp_path / "data/jump.zip", "1.jpg")
    walk = zipped(tmp_path / "data/walk.ZIP", "2.jpg")
    expected = [("1.jpg", "jump", ""), ("2.jpg", "walk", "")]
    assert classes(found(tmp_path, str(tmp_path / "data"))) == expected
    assert classes(found(tmp_path, str(jump), str(walk))) == expected
    zipped(tmp_path / "other/jump/anna.zip", "1.mp4")
    zipped(tmp_path / "other/sit.zip", "2.mp4")
    assert classes(found(tmp_path, str(tmp_path / "other"))) == [("1.mp4", "jump", "anna"), ("2.mp4", "sit", "")]


def test_a_broken_archive_among_clips_is_skipped(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "jump/1.mp4", "old.zip")
    material = found(tmp_path, str(root))
    assert classes(material) == [("1.mp4", "jump", "")]
    assert material.notes == [f"skipped: cannot unpack {root}/old.zip: File is not a zip file"]
    with pytest.raises(ConfigurationError, match="cannot unpack"):
        found(tmp_path, str(root), strict=True)


def test_archives_in_archives_have_an_end(tmp_path: Path) -> None:
    content = b""
    for _ in range(6):
        content = zipped(tmp_path / "data.zip", "in.zip", content=content).read_bytes()
    with pytest.raises(ConfigurationError, match=r"in\.zip is an archive in 3 others"):
        found(tmp_path, str(tmp_path / "data.zip"))


def test_a_link_to_a_folder_above_is_not_followed(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "jump/1.mp4")
    (root / "jump/up").symlink_to("..")
    assert classes(found(tmp_path, str(root))) == [("1.mp4", "jump", "")]


def test_a_folder_that_may_not_be_read_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = touch(tmp_path / "data", "jump/1.mp4", "locked/2.mp4")
    listed = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path.name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return iter(listed(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    material = found(tmp_path, str(root))
    assert classes(material) == [("1.mp4", "jump", "")]
    assert material.notes == [f"skipped: cannot read {root}/locked: Permission denied"]
    with pytest.raises(ConfigurationError, match="cannot read"):
        found(tmp_path, str(root), strict=True)


def test_models_among_the_data_are_none(tmp_path: Path) -> None:
    root = touch(tmp_path / "data", "jump/1.jpg", *(f"models/1/{name}" for name in ("confusion.png", "labels.txt")))
    touch(root, "models/1/schema.json")
    material = found(tmp_path, str(root))
    assert classes(material) == [("1.jpg", "jump", "")]
    assert not material.notes


def test_no_data_names_what_can_be_brought(tmp_path: Path) -> None:
    touch(tmp_path, "data/notes.txt")
    with pytest.raises(ConfigurationError, match=r"holds no labeled data: name a folder .* other file skipped: notes"):
        found(tmp_path, str(tmp_path / "data"))
    with pytest.raises(ConfigurationError, match=r"does not exist \(data\)"):
        found(tmp_path, str(tmp_path / "absent"))


def test_the_length_of_a_playlist_is_not_looked_for(tmp_path: Path) -> None:
    write_video(tmp_path / "part.ts", frames=5)
    path = tmp_path / "clip.m3u8"  # some versions of FFmpeg take one of any name
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.2,\npart.ts\n#EXT-X-ENDLIST\n")
    late = Span(0, 50, "a")
    assert within(tmp_path / "part.ts", [late])[0] == ()
    assert within(path, [late]) == ((late,), ())
