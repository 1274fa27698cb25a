"""Options of a stream and its run. Sources, sinks and the transport have their own options."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from stream_client.errors import ConfigurationError
from stream_client.util.settings import check, setting

DropPolicy = Literal["block", "latest"]
"""``block``: reading waits, nothing is dropped. ``latest``: a newer frame replaces the waiting one."""
DamagePolicy = Literal["skip", "pass"]
"""``skip``: damaged frames are dropped. ``pass``: they are sent like the others."""
ServerLossPolicy = Literal["retry", "fail"]
"""``retry``: open a new session. ``fail``: end the run."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Limits and policies of a run; times are in seconds.

    ``max_inflight``: frames sent and unanswered, or ``"auto"``. ``drop_policy``: ``None`` takes ``latest`` for live
    sources and ``block`` for files. ``damaged``: ``None`` takes ``skip`` for live sources that may drop frames, else
    ``pass``. ``join_timeout``: how long a frame waits for its label once its frame is there, ``None``: as long as the
    server proves to need. ``reconnect_timeout`` is for the server, and for live sources and
    RTSP sinks that the client opens by their name; ``None`` never gives up, except that the server of a file is given
    up after ``FILE_RECONNECT_TIMEOUT`` seconds. ``enforce_fps``: the highest frame rate. Files are slowed down,
    live sources drop frames. ``max_side``: larger frames are shrunk to this many pixels before they are sent. What the
    server drew is copied to the full-size frame. ``latency_budget``: live sources send as small and as few frames as it
    takes to keep that time from capture to result. ``stop_timeout``: how long a stopped run waits for answers. Zero
    limits mean none.
    """

    FILE_RECONNECT_TIMEOUT: ClassVar[float] = 60.0

    max_inflight: int | Literal["auto"] = field(
        default="auto", metadata=setting("frames sent and unanswered: a number, or auto", minimum=1, metavar="N")
    )
    latency_target: float | None = field(
        default=None,
        metadata=setting("latency that an automatic window shall stay below", unit="ms", scale=1000, above=0),
    )
    latency_budget: float | None = field(
        default=None,
        metadata=setting(
            "time from capture to result: size and rate of the frames that are sent are chosen so that it is kept",
            unit="ms",
            scale=1000,
            above=0,
        ),
    )
    drop_policy: DropPolicy | None = field(
        default=None,
        metadata=setting(
            "block: wait, drop nothing; latest: newest frame wins", otherwise="block for files, latest for live sources"
        ),
    )
    damaged: DamagePolicy | None = field(
        default=None,
        metadata=setting("what to do with damaged frames", otherwise="skip for live sources, pass for files"),
    )
    request_timeout: float = field(
        default=10.0,
        metadata=setting("time until a frame is given up, or a file's frame is sent again", unit="s", above=0),
    )
    join_timeout: float | None = field(
        default=None,
        metadata=setting(
            "how long a frame waits for its label",
            unit="s",
            above=0,
            otherwise="what the server proves to need, 0.2 at least",
        ),
    )
    limit_frames: int = field(
        default=0, metadata=setting("end after this number of frames", minimum=0, otherwise="no limit")
    )
    limit_stream_duration: float = field(
        default=0.0, metadata=setting("end after so long", unit="s", minimum=0, otherwise="no limit")
    )
    enforce_fps: float | None = field(default=None, metadata=setting("limit on the frames a second", above=0))
    weight: float = field(
        default=1.0,
        metadata=setting(
            "share of a full server among the streams of a fleet: twice the weight is twice the server's time",
            minimum=0.01,
            maximum=100,
        ),
    )
    on_server_loss: ServerLossPolicy = field(default="retry", metadata=setting("reconnect, or end the run"))
    reconnect_timeout: float | None = field(
        default=None,
        metadata=setting(
            "time until a lost server, live source or network output is given up; 0: at once",
            unit="s",
            minimum=0,
            otherwise="never, but 60 for the server of a file",
        ),
    )
    stop_timeout: float = 1.0
    max_side: int | None = field(
        default=None,
        metadata=setting(
            "longest side of a frame that is sent: larger frames are shrunk, results stay full-size",
            unit="px",
            minimum=16,
        ),
    )

    audio: bool = field(
        default=True, metadata=setting("carry the source's sound", off="leave the source's sound out of every output")
    )

    def __post_init__(self) -> None:
        check(self)
        if self.latency_target is not None and self.max_inflight != "auto":
            raise ConfigurationError("a latency_target needs an automatic window", option="max_inflight", value="auto")
        if self.latency_budget is not None and self.drop_policy == "block":
            raise ConfigurationError(
                "a latency_budget leaves frames out, and block leaves out none", option="drop_policy", value="latest"
            )
        if self.latency_budget is not None and self.latency_target is not None:
            raise ConfigurationError("a latency_budget is the window's target, too: name one", option="latency_target")


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a stream reads and writes, by name. ``None``: found by itself, or left out.

    ``output_stream`` are names of sinks; the three outputs after it are files; ``-`` is standard output.
    """

    input_stream: str = field(
        metadata=setting(
            "camera (0, webcam, /dev/video0), video file, photos (a folder, shots/*.jpg), URL "
            "(rtsp://, http://), or testsrc[:WxH@FPS] (see readback)"
        )
    )
    output_stream: tuple[str, ...] = field(
        default=(),
        metadata=setting(
            "screen, none, a video file (.mp4, .mov, .mkv, .ts, .webm), DIR/index.m3u8 (HLS), or a URL to publish to: "
            "rtsp://, rtmp://, srt://, udp://, whip://"
        ),
    )
    labels_output: Path | None = field(
        default=None,
        metadata=setting(
            "JSON Lines file: label, scores and latency of each frame; - is standard output", metavar="FILE"
        ),
    )
    label_changes_output: Path | None = field(
        default=None,
        metadata=setting("JSON Lines file of the label's changes; - is standard output", metavar="FILE"),
    )
    landmarks_output: Path | None = field(
        default=None, metadata=setting("landmarks of each frame: .jsonl or .parquet", metavar="FILE")
    )
    label_text: bool = field(
        default=True, metadata=setting("write the label on the frame", off="do not write the label on the frame")
    )
    output_name: str | None = field(
        default=None, metadata=setting("image output of the servable", otherwise="found out")
    )
    label_output_name: str | None = field(
        default=None, metadata=setting("output of the servable with label scores", otherwise="found out")
    )
    labels: Path | None = field(
        default=None, metadata=setting("file with the names of the labels, one a line", metavar="FILE")
    )
    stream_name: str | None = field(
        default=None,
        metadata=setting("the stream's name in events and recordings", otherwise="made from the input's name"),
    )


@dataclass(frozen=True, slots=True)
class ClassifierOptions:
    """A classifier in the client: a model directory, or the address of an MLflow scoring server."""

    classifier: str | None = field(
        default=None,
        metadata=setting("label by landmarks: a model of `train`, or an MLflow scoring server", metavar="DIR|URL"),
    )
    classifier_schema: Path | None = field(
        default=None, metadata=setting("schema.json of a scoring server's features", metavar="FILE")
    )
    allow_pickle: bool = field(
        default=False, metadata=setting("load the classifier from a pickle: that runs the code in it")
    )
    count_repetitions: str | None = field(
        default=None, metadata=setting("count how often the classifier's label comes and goes", metavar="LABEL")
    )

    def __post_init__(self) -> None:
        check(self)
        if self.classifier is None and (self.classifier_schema or self.allow_pickle or self.count_repetitions):
            raise ConfigurationError(
                "classifier_schema, allow_pickle and count_repetitions need a classifier", option="classifier"
            )
