"""From options to the sink that finds events."""

from collections.abc import Sequence

from stream_client.errors import ConfigurationError
from stream_client.events.clips import Clips, ClipSeconds
from stream_client.events.options import EventOptions
from stream_client.events.outputs.base import EventOutput
from stream_client.events.outputs.factory import open_event_output
from stream_client.events.read import read_rules
from stream_client.events.sink import EventsSink
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.factory import encoder_factory, encoder_settings
from stream_client.publishing.options import SinkOptions


def open_events(
    options: EventOptions,
    video: SinkOptions,
    pool: EncoderPool,
    stream: str | None = None,
    beside: Sequence[EventOutput] = (),
) -> EventsSink:
    """The sink for these rules. Clips share the encoder that outputs and files of the same ``pool`` have.

    ``stream`` is the stream's name in events, by default made from the source's. Events go to the outputs ``beside``
    those of the options, too.

    Raises :class:`.ConfigurationError`.
    """
    if not options.events:
        raise ConfigurationError("events come from rules: name their file", option="events")
    rules = read_rules(*options.events)
    names = options.events_output or (str(options.events_dir / "events.jsonl"),)
    clips = None
    if options.clip is not None:
        settings = encoder_settings(video)
        pool.lead(settings).wanted = True
        clips = Clips(ClipSeconds(*options.clip), options.events_dir, pool, encoder_factory(video), settings)
    return EventsSink(
        rules,
        [*(open_event_output(name) for name in names), *beside],
        folder=options.events_dir,
        clips=clips,
        stream=stream,
    )
