"""A run from its settings, by their names: what the command line, a file of streams and a form have in common.

Modules that few runs need are imported where they are used, so that a run starts sooner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from stream_client.client import StreamClient
from stream_client.collect.options import CollectOptions
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError
from stream_client.events.options import EventOptions
from stream_client.frames import StreamInfo
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.verdict import Conditions
from stream_client.options import ClassifierOptions, RunOptions, StreamOptions
from stream_client.pipeline.shared_servers import SharedServers
from stream_client.processing.labels import read_label_names
from stream_client.processing.options import PrivacyOptions
from stream_client.processing.results import Detector, LandmarkClassifier, TrackClassifier, annotated
from stream_client.processing.small_frames import shrunk_size
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.factory import file_lead, publishes
from stream_client.publishing.options import SinkOptions
from stream_client.recording.options import RecordingOptions
from stream_client.run_files import check_files, video_files
from stream_client.sinks.base import Sink, needs_pictures, takes_planes
from stream_client.sinks.factory import open_sink
from stream_client.sinks.label_changes import LabelChangesSink
from stream_client.sinks.labels import LabelsSink
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.sources.base import Source
from stream_client.sources.factory import open_source
from stream_client.sources.options import SourceOptions
from stream_client.tracing.options import TracingOptions
from stream_client.tracking.options import DetectionOptions
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.options import TlsOptions, TransportOptions
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.util.settings import Setting, Settings, read, settings

if TYPE_CHECKING:
    from stream_client.events.outputs.base import EventOutput

OPTIONS: tuple[type, ...] = (
    *(StreamOptions, SourceOptions, SinkOptions, RecordingOptions, ClassifierOptions, DetectionOptions, EventOptions),
    *(PrivacyOptions, CollectOptions),
    *(TransportOptions, TlsOptions, EmbeddedOptions, RunOptions, TracingOptions),
)
"""The options whose settings make up a run, in the order in which they are shown."""
TLS = "tls"
"""Whether to use TLS: the one name of a run that is no field of its options."""


def run_settings() -> Mapping[str, Setting]:
    """Every setting of a run, by name, without :data:`TLS`."""
    return {each.name: each for options in OPTIONS for each in settings(options)}


def check_names(given: Settings) -> None:
    """Raise :class:`.ConfigurationError` for a name that is no setting, with the nearest that is one."""
    known = (*run_settings(), TLS)
    for name in given:
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise ConfigurationError(f"{name} is no setting of a run{hint}")


def make_client(
    given: Settings,
    *,
    observers: Sequence[Observer] = (),
    server: EmbeddedServer | None = None,
    source: Source | None = None,
    sinks: Sequence[Sink] = (),
    servers: SharedServers | None = None,
) -> StreamClient:
    """The client with its source, outputs and server; nothing is opened yet.

    ``source`` is in place of the input that the settings name, ``sinks`` are beside their outputs. ``server`` is a
    local server that the caller owns, and ``servers`` is what its streams share. Raises
    :class:`.ConfigurationError` for settings that cannot work.
    """
    check_files(given)
    stream, run = read(StreamOptions, given), read(RunOptions, given)
    if source is None:
        source = open_source(stream.input_stream, read(SourceOptions, given), reconnect_timeout=run.reconnect_timeout)
    label_names = read_label_names(stream.labels) if stream.labels else None
    every_sink = [*_sinks(given, stream, run), *sinks]
    return StreamClient(
        source,
        every_sink,
        run_transport(given),
        options=run,
        embedded=server,
        servers=servers,
        label_names=label_names,
        output_name=stream.output_name,
        label_output_name=stream.label_output_name,
        postprocess=annotated if stream.label_text else (lambda result: result.image),
        observers=observers,
        classifier=None if _follows(given) else _classifier(given, label_names),
        detector=_detector(given, label_names),
        track_classifier=_track_classifier(given) if _follows(given) else None,
        privacy=read(PrivacyOptions, given),
        pictures=any(map(needs_pictures, every_sink)),
        planes=all(map(takes_planes, every_sink)),
        tracing=read(TracingOptions, given),
    )


def check_settings(given: Settings) -> None:
    """Raise :class:`.ConfigurationError` for settings that cannot work, as far as that is known before the run.

    A classifier is left out: it takes long to load.
    """
    without = dict.fromkeys(each.name for each in settings(ClassifierOptions))
    make_client({**given, "grpc_address": "localhost:1", **without})


def run_transport(given: Settings) -> TransportOptions:
    """How a run reaches its servable: landmarks need the graph that gives them."""
    options = transport_options(given)
    if options.wire != "raw" or options.returned != "picture":
        return options  # the graphs for these give landmarks
    if options.model_name is None and (
        given.get("classifier")
        or given.get("landmarks_output")
        or (given.get("blur") and not given.get("detections"))
        or any(text.startswith(("pose", "disagree")) for text in read(CollectOptions, given).collect_by)
        or _rules_need_landmarks(given)
    ):
        return replace(options, model_name=LANDMARK_GRAPH)
    return options


def transport_options(given: Settings) -> TransportOptions:
    """How to reach the server."""
    tls = read(TlsOptions, given) if given.get(TLS) else None
    if tls is None and any(given.get(each.name) for each in settings(TlsOptions)):
        raise ConfigurationError("tls_ca, tls_cert and tls_key need tls", option=TLS)
    options = read(TransportOptions, given, tls=tls)
    if options.address != EMBEDDED and (given.get("models_dir") or given.get("config_path")):
        raise ConfigurationError("models_dir and config_path are for the embedded server only")
    return options


def run_conditions(given: Settings, info: StreamInfo, upload_rate: float | None) -> Conditions:
    """What the verdict has to know of a run with these settings; ``upload_rate`` as in its summary."""
    run = read(RunOptions, given)
    width, height = info.width, info.height
    if run.max_side is not None:
        width, height = shrunk_size(width, height, run.max_side)
    source = read(StreamOptions, given).input_stream
    udp = source.startswith("rtsp") and read(SourceOptions, given).rtsp_transport == "udp"
    return Conditions(width, height, run.max_inflight == "auto", info.live, upload_rate, udp)


def _sinks(given: Settings, stream: StreamOptions, run: RunOptions) -> list[Sink]:
    options = read(SinkOptions, given, rtsp_insecure=read(SourceOptions, given).rtsp_insecure)
    pool = EncoderPool()
    recorded = _recorded(given, stream)
    sinks = [
        open_sink(name, options, reconnect_timeout=run.reconnect_timeout, pool=pool)
        for name in stream.output_stream
        if name != recorded
    ]
    beside: list[EventOutput] = []
    if recorded is not None:
        from stream_client.recording.event_output import IndexOutput
        from stream_client.recording.sink import RecordingSink

        recording = RecordingSink(
            recorded,
            read(RecordingOptions, given),
            video=options,
            stream=stream.stream_name,
            lead=file_lead(options, pool),
        )
        sinks.append(recording)
        beside.append(IndexOutput(recording))
    if stream.labels_output is not None:
        sinks.append(LabelsSink(stream.labels_output))
    if stream.label_changes_output is not None:
        sinks.append(LabelChangesSink(stream.label_changes_output))
    if stream.landmarks_output is not None:
        sinks.append(LandmarksSink(stream.landmarks_output))
    events = read(EventOptions, given)
    if events.events:
        from stream_client.events.factory import open_events

        sinks.append(open_events(events, options, pool, stream.stream_name, beside))
    collected = read(CollectOptions, given)
    if collected.collect is not None:
        from stream_client.collect.factory import open_collector

        sinks.append(open_collector(collected))
    return sinks


def _recorded(given: Settings, stream: StreamOptions) -> str | None:
    """The output that is a recording in segments, if there is one."""
    if read(RecordingOptions, given).segment is None:
        return None
    files = [spec for spec in video_files(stream) if not publishes(spec)]
    if len(files) != 1:
        raise ConfigurationError(
            f"a recording in segments is one file output, here are {len(files)}: name DIR/%Y-%m-%d/%H-%M.mp4",
            option="output_stream",
        )
    return files[0]


def _rules_need_landmarks(given: Settings) -> bool:
    files = read(EventOptions, given).events
    if not files:
        return False
    from stream_client.events.read import read_rules
    from stream_client.events.rules import needs_landmarks

    return needs_landmarks(read_rules(*files))


def _classifier(given: Settings, label_names: Sequence[str] | None) -> LandmarkClassifier | None:
    options = read(ClassifierOptions, given)
    if options.classifier is None:
        return None
    from stream_client.classify.factory import open_classifier

    return open_classifier(options, label_names)


def _follows(given: Settings) -> bool:
    """Whether tracks are followed: then a classifier labels each of them."""
    return read(DetectionOptions, given).tracker != "none"


def _track_classifier(given: Settings) -> TrackClassifier | None:
    options = read(ClassifierOptions, given)
    if options.classifier is None:
        return None
    from stream_client.classify.factory import open_track_classifier

    return open_track_classifier(options)


def _detector(given: Settings, label_names: Sequence[str] | None) -> Detector | None:
    options = read(DetectionOptions, given)
    if options.detections is None:
        if options.tracker != "none":
            raise ConfigurationError("a tracker follows detections: read them", option="detections", value="auto")
        return None
    from stream_client.tracking.reader import DetectionReader, open_tracker

    return DetectionReader(options, class_names=label_names or (), tracker=open_tracker(options))
