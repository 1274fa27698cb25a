"""Each protocol in and out: is anything lost, and how soon is it back when the other end is killed?

    python -m tests.soak_protocols [--seconds 60] [--kills 5] [--only "rtmp in" …] [--json FILE]

``in``: ffmpeg or a server sends a video whose frames are numbered, and a source of ours reads it. ``out``: an output of
ours publishes the numbered test pattern, and what arrives is read by number: from the server by a source of ours, or by
another process that listens. In the first ``--seconds`` a number that was sent and did not come is lost. Then the other
end (the server, with who publishes to it; or who listens) is killed ``--kills`` times, as a power failure would, and
stays away for a second. A return is the time from when it listens again, or sends, to the first whole frame.

An HLS folder has no other end: its segments are read as they come. Exit status 1 where a frame was lost, or a return
took longer than 3 s.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from stream_client.frames import Frame, Image, Result, StreamInfo
from stream_client.publishing.publisher import PublishingSink
from stream_client.sinks.factory import open_sink
from stream_client.test_source.code import FrameCode, read_code
from stream_client.test_source.pattern import TestPattern
from tests.support.numbered import RATE, Sender, numbered_video
from tests.support.other_ends import Arrivals, End, Folder, Listener, Together, source_of
from tests.support.ports import free_port
from tests.support.rtmp_server import RtmpServer
from tests.support.rtsp_server import RtspServer
from tests.support.whep_server import WhepServer
from tests.support.whip_server import WhipServer

LONGEST_RETURN = 3.0
PAUSE = 5.0
"""Seconds from a return to the next kill."""
VIDEO_FRAMES = 90
"""Of the video that is sent over and over."""


def listen(url: str) -> None:
    """In a process of its own: print ``listening``, then the number of each frame, ``-`` for a damaged one."""

    def say(number: int | None) -> None:
        print("-" if number is None else number, flush=True)

    def show(image: Image) -> None:
        code = read_code(image)
        say(None if code is None else code.index)

    with ExitStack() as stack:
        if url.startswith("whip"):
            server = WhipServer(port=int(url.rpartition(":")[2].partition("/")[0]))
            server.on_frame = show
            stack.enter_context(server)
            print("listening", flush=True)
        else:
            print("listening", flush=True)
            stack.enter_context(source_of(url, say))
        threading.Event().wait()


@contextmanager
def painter(sink: PublishingSink, sent: set[int]) -> Iterator[None]:
    """Publishes the numbered pattern like a camera; ``sent`` are the numbers that went out."""
    over = threading.Event()
    pattern = TestPattern(320, 240)
    sink.follow(lambda result, taken: sent.add(result.frame.index) if taken else None)

    def paint() -> None:
        began, index = time.monotonic(), 0
        while not over.wait(max(0.0, began + index / RATE - time.monotonic())):
            image = pattern.paint(FrameCode(index, round(1e6 * time.time())))
            sink.write(Result(Frame(index, index, image, time.monotonic()), image, time=index / RATE))
            index = max(index + 1, int((time.monotonic() - began) * RATE))

    sink.open(StreamInfo("painter", 320, 240, Fraction(RATE), live=True))
    thread = threading.Thread(target=paint)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        sink.close()


@dataclass(frozen=True, slots=True)
class Row:
    """What was found of one protocol. ``returns``: seconds."""

    name: str
    read: int
    lost: int
    damaged: int
    returns: tuple[float, ...]
    load: float

    @property
    def good(self) -> bool:
        """Nothing lost, and always back in time."""
        return bool(self.read) and not self.lost + self.damaged and max(self.returns, default=0.0) <= LONGEST_RETURN


def watch(
    name: str, arrivals: Arrivals, end: End | None, lost: Callable[[Sequence[int]], int], options: argparse.Namespace
) -> Row:
    """Read for a while, then kill the other end again and again. ``lost`` counts in the numbers that came."""
    arrivals.first_after(time.monotonic(), 60)
    begun = time.monotonic()
    time.sleep(options.seconds)
    came = arrivals.between(begun, time.monotonic())
    whole = [number for number in came if number is not None]
    missing = lost(whole)
    returns = []
    for _ in range(options.kills if end is not None else 0):
        assert end is not None
        end.kill()
        time.sleep(1)
        end.start()
        returns.append(arrivals.first_after(time.monotonic(), 30))
        time.sleep(PAUSE)
    return Row(name, len(whole), missing, len(came) - len(whole), tuple(returns), os.getloadavg()[0])


def lost_of_video(numbers: Sequence[int]) -> int:
    """Steps over numbers of a video that is repeated."""
    return sum((after - before - 1) % VIDEO_FRAMES for before, after in pairwise(numbers))


def measure_in(way: str, folder: Path, options: argparse.Namespace) -> Row:
    """A source of ours."""
    port, arrivals = free_port(), Arrivals()
    video = numbered_video(folder / ("video.ts" if way in ("srt", "udp", "sdp") else "video.mp4"), frames=VIDEO_FRAMES)
    end: End
    if way in ("rtsp", "rtmp"):
        server = RtspServer(publish=["in"]) if way == "rtsp" else RtmpServer(folder)
        sent, url = (server.url("publish/in"), server.url("in")) if way == "rtsp" else (server.url("live/in"),) * 2
        output = ("-f", "rtsp", "-rtsp_transport", "tcp", sent) if way == "rtsp" else ("-f", "flv", sent)
        end = Together((server, Sender(video, *output)))
    elif way == "whep":
        end = whep = WhepServer()
        url = whep.url()
    elif way == "sdp":
        url = str(folder / "camera.sdp")
        Path(url).write_text(f"v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n")
        end = Sender(video, "-f", "rtp", f"rtp://127.0.0.1:{port}")
    else:
        url = f"{way}://127.0.0.1:{port}"
        end = Sender(video, "-f", "mpegts", url + ("?mode=listener" if way == "srt" else "?pkt_size=1316"))
    lost = (lambda numbers: numbers[-1] - numbers[0] + 1 - len(numbers)) if way == "whep" else lost_of_video
    end.start()
    try:
        with source_of(url, arrivals.add):
            return watch(f"{way} in", arrivals, end, lost, options)
    finally:
        end.kill()


def measure_out(way: str, folder: Path, options: argparse.Namespace) -> Row:
    """An output of ours."""
    port, arrivals = free_port(), Arrivals()
    sent: set[int] = set()
    end: End | None = None
    with ExitStack() as stack:
        if way in ("rtsp", "rtmp"):
            end = server = RtspServer(publish=["out"]) if way == "rtsp" else RtmpServer(folder)
            url = server.url("publish/out" if way == "rtsp" else "live/out")
            stack.enter_context(source_of(server.url("out" if way == "rtsp" else "live/out"), arrivals.add))
        elif way == "hls":
            url = str(folder / "index.m3u8")
            stack.enter_context(Folder(Path(url), arrivals))
        else:
            url = {
                "srt": f"srt://127.0.0.1:{port}",
                "udp": f"udp://127.0.0.1:{port}",
                "whip": f"whip://127.0.0.1:{port}/live/whip",
            }[way]
            listened = url + ("?mode=listener" if way == "srt" else "")
            end = Listener(arrivals, [sys.executable, "-m", "tests.soak_protocols", "--listen", listened])
        if end is not None:
            stack.callback(end.kill)
            end.start()
        sink = open_sink(url)
        assert isinstance(sink, PublishingSink)
        stack.enter_context(painter(sink, sent))

        def lost(numbers: Sequence[int]) -> int:
            return len({number for number in sent.copy() if min(numbers) <= number <= max(numbers)} - set(numbers))

        return watch(f"{way} out", arrivals, end, lost, options)


MEASURES = {
    **{f"{way} in": (measure_in, way) for way in ("rtsp", "rtmp", "srt", "udp", "sdp", "whep")},
    **{f"{way} out": (measure_out, way) for way in ("rtsp", "rtmp", "srt", "udp", "whip", "hls")},
}


def main() -> int:
    """Measure each protocol, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--listen", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen:
        listen(options.listen)
    rows = []
    print("protocol     read  lost  damaged  back after, s                   load")
    for name in options.only:
        measure, way = MEASURES[name]
        with tempfile.TemporaryDirectory() as folder:
            row = measure(way, Path(folder), options)
        rows.append(row)
        returns = " ".join(f"{seconds:.2f}" for seconds in row.returns) or "-"
        print(f"{name:11}{row.read:6}{row.lost:6}{row.damaged:9}  {returns:32}{row.load:4.0f}", flush=True)
    if options.json:
        options.json.write_text(json.dumps([{**asdict(row), "good": row.good} for row in rows], indent=2))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
