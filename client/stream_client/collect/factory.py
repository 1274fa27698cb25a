"""From options to the sink that collects."""

from stream_client.classify.factory import open_classifier
from stream_client.collect.options import CollectOptions
from stream_client.collect.sink import CollectSink
from stream_client.collect.strategies import Disagreement, Motion, NewPose, Random, Rare, Strategy, Uncertain
from stream_client.errors import ConfigurationError
from stream_client.options import ClassifierOptions


def open_collector(options: CollectOptions) -> CollectSink:
    """The sink; raises :class:`.ConfigurationError`."""
    if options.collect is None:
        raise ConfigurationError("frames are kept in a folder: name it", option="collect")
    return CollectSink(
        options.collect,
        [parse_strategy(text) for text in options.collect_by or ("uncertain",)],
        kind=options.collect_format,
        per_minute=options.collect_per_minute,
        per_day=options.collect_per_day,
    )


def parse_strategy(text: str) -> Strategy:
    """The strategy that ``text`` names, as ``"motion:0.1"``; raises :class:`.ConfigurationError`."""
    name, given, value = text.partition(":")
    if name == "disagree" and value:
        return Disagreement(open_classifier(ClassifierOptions(classifier=value)))
    if name == "uncertain":
        low, _, high = value.partition("-")
        numbers = (_share(text, low), _share(text, high)) if given else (0.4, 0.6)
        if numbers[0] > numbers[1]:
            raise _wrong(text)
        return Uncertain(*numbers)
    number = _share(text, value) if given else None
    match name:
        case "rare":
            return Rare() if number is None else Rare(number)
        case "random":
            return Random() if number is None else Random(number)
        case "motion":
            return Motion() if number is None else Motion(number)
        case "pose":
            return NewPose() if number is None else NewPose(number)
    raise _wrong(text)


def _share(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise _wrong(text) from None
    if not 0 <= number <= 1:
        raise _wrong(text)
    return number


def _wrong(text: str) -> ConfigurationError:
    return ConfigurationError(
        f"{text!r} is no strategy: uncertain[:LOW-HIGH], rare[:SHARE], disagree:DIR, random[:SHARE], motion[:AMOUNT] "
        "or pose[:DISTANCE], numbers from 0 to 1",
        option="collect_by",
    )
