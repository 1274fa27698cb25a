"""``ovms-stream-client view``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from stream_client.cli.parser import Parser
from stream_client.cli.status import status_of
from stream_client.cli.targets import check_target
from stream_client.client import StreamClient
from stream_client.errors import ConfigurationError
from stream_client.monitoring.progress import Progress
from stream_client.options import RunOptions
from stream_client.review.recording import Recording, read_recording, recorded
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.options import TransportOptions
from stream_client.transport.servable import LANDMARK_GRAPH

_LANDMARK_FILES = (".jsonl", ".parquet")
_TIMEOUT = 60.0
_FLAGS = {"source": "--video", "landmarks_output": "recording"}


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``view``."""
    parser = Parser(
        "ovms-stream-client view",
        "Play landmarks over their video and as a turning skeleton: in a window, or as a page in one file.",
        "examples: ovms-stream-client view landmarks.jsonl --video in.mp4 --labels labels.jsonl --html out.html\n"
        "          ovms-stream-client view in.mp4 --html out.html",
    )
    parser.add_argument(
        "recording", type=Path, help="a file of --landmarks_output (.jsonl, .parquet), or a video to find landmarks in"
    )
    parser.add_argument("--video", type=Path, help="the video that the landmarks are of")
    parser.add_argument("--labels", type=Path, help="the file of --labels_output of the same run")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page instead of opening a window")
    parser.add_argument("--grpc_address", default=EMBEDDED, metavar="ADDRESS", help="server to find landmarks with")
    return parser


def run(arguments: Sequence[str]) -> None:
    """Parse ``arguments`` and show; raises :class:`~stream_client.errors.StreamClientError`."""
    options = build_parser().parse_args(arguments)
    if not options.recording.is_file():
        raise ConfigurationError(f"{options.recording} does not exist: give a file of landmarks, or a video")
    video: Path | None = options.video
    if options.html is not None:
        inputs = [path for path in (options.recording, video, options.labels) if path is not None]
        check_target(options.html, inputs, "html")
    if options.recording.suffix.lower() in _LANDMARK_FILES:
        recording = read_recording(options.recording, options.labels)
    else:
        video = video or options.recording
        recording = _found(options.recording, options.grpc_address)
    title = (video or options.recording).name
    if options.html is not None:
        from stream_client.review.page import write_page

        write_page(recording, options.html, video=video, title=title)
        print(f"written to {options.html}")
        return
    from stream_client.review.window import show

    show(recording, video=video, title=title)


def _found(video: Path, address: str) -> Recording:
    """The landmarks of a video, with the labels of nobody."""
    client = StreamClient(
        video,
        (),
        TransportOptions(address, model_name=LANDMARK_GRAPH),
        options=RunOptions(request_timeout=_TIMEOUT, join_timeout=_TIMEOUT),
    )
    with Progress() as progress, client:
        client.on_start(progress.start)
        client.on_result(progress.result)
        return recorded(client)


def main(arguments: Sequence[str]) -> int:
    """``view`` of the command line: 0; 2 for arguments or data that cannot work, 1 for a failed run."""
    return status_of(run, arguments, flags=_FLAGS)
