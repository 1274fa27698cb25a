"""Videos in an object store: a real S3 server on loopback, which checks signatures."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import boto3
import moto.settings
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from s3fs import S3FileSystem

from stream_client.cli.batch import main
from stream_client.errors import SourceError
from stream_client.fleet.batch.inputs import Video, find_videos
from stream_client.fleet.batch.stores import fetch
from tests.support.batches import batch, do
from tests.support.video import write_video

FRAMES = 12
_MAY_READ = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A bucket with three videos and a text. Gives what a user sets in the environment to read it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
    root = {"endpoint_url": address["AWS_ENDPOINT_URL"], "region_name": "us-east-1"}
    root |= {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
    patch = pytest.MonkeyPatch()
    try:
        with closing(boto3.client("iam", **root)) as users, closing(boto3.client("s3", **root)) as objects:
            users.create_user(UserName="reader")
            policy = json.dumps({"Version": "2012-10-17", "Statement": [_MAY_READ]})
            users.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
            key = users.create_access_key(UserName="reader")["AccessKey"]
            objects.create_bucket(Bucket="archive")
            clip = write_video(tmp_path_factory.mktemp("clip") / "a.mp4", frames=FRAMES, rate=5, key_frames=5)
            for name in ("2026/a.mp4", "2026/b.mkv", "2026/more/a.mp4", "2026/notes.txt"):
                objects.upload_file(str(clip), "archive", name)
        patch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)  # from now on signatures are checked
        yield {**address, "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    finally:
        patch.undo()
        server.stop()


@pytest.fixture
def credentials(store: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The store's, in the environment, and no others."""
    S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    return store


@pytest.mark.usefixtures("credentials")
def test_videos_are_found_in_buckets_by_folder_pattern_and_name() -> None:
    everything = ["s3://archive/2026/a.mp4", "s3://archive/2026/b.mkv", "s3://archive/2026/more/a.mp4"]
    assert [video.address for video in find_videos(["s3://archive/2026"])] == everything
    assert [video.address for video in find_videos(["s3://archive/*/*.mp4"])] == everything[:1]
    assert find_videos([everything[1]]) == [Video(everything[1])]
    for name in ("s3://archive/none.mp4", "s3://none/"):
        with pytest.raises(SourceError, match="does not exist"):
            find_videos([name])


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("split", [None, 1.0])
def test_a_video_of_a_bucket_is_done_whole_and_in_parts(
    split: float | None, tmp_path: Path, pass_through_server: str
) -> None:
    video = Video("s3://archive/2026/a.mp4")
    record = do(batch(tmp_path, pass_through_server, "labels", split=split), video)
    assert (record.status, record.frames, record.modified) == ("done", FRAMES, 0)
    assert len((tmp_path / "labels" / f"{video.key}.jsonl").read_text().splitlines()) == FRAMES
    assert not list((tmp_path / ".copies").iterdir())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "Access Key Id"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "signature"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "Unable to locate credentials"),
    ],
)
def test_wrong_credentials_give_one_line_with_a_remedy(
    change: dict[str, str | None],
    text: str,
    credentials: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in change.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    assert main(["s3://archive/2026/", "--output", str(tmp_path / "out")]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: s3://archive/2026/ cannot be read: ")
    assert text in line
    assert "AWS_SECRET_ACCESS_KEY" in line
    assert credentials["AWS_SECRET_ACCESS_KEY"] not in line


@pytest.mark.usefixtures("credentials")
def test_an_object_that_vanishes_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"s3://archive/gone\.mp4 does not exist"):
        fetch("s3://archive/gone.mp4", tmp_path)
