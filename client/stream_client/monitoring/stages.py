"""How long a frame spent in each stage, from its stamps."""

from itertools import pairwise

from stream_client.frames import Stamps

STAGES = (
    "capture",
    "queue",
    "convert",
    "serialise",
    "round_trip",
    "deserialise",
    "join",
    "dispatch",
    "postprocess",
)
"""The stages of a frame between capture and delivery, in order.

``capture``: the source makes its image ready. ``queue``: it waits for the window. ``convert``: layout, datatype,
resizing for the model. ``serialise``: the request's bytes are made. ``round_trip``: network and server.
``deserialise``: the answer is taken apart. ``join``: waiting for other outputs, and for earlier frames.
``dispatch``: waiting for sinks that have no room, or for the postprocessing of earlier frames.
``postprocess``: the image to show is made. Sinks come after delivery and are measured on their own.
"""


def stage_durations(stamps: Stamps) -> dict[str, float]:
    """Seconds in each of :data:`STAGES`, in order; they add up to ``delivered - captured``.

    A stage is ``nan`` where the frame did not pass one of its two ends.
    """
    passed = _passed(stamps)
    return {stage: end - start for stage, start, end in zip(STAGES, passed, passed[1:], strict=False)}


def stage_ends(stamps: Stamps) -> dict[str, tuple[float, float]]:
    """Begin and end of each of :data:`STAGES`, in order; ``nan`` where the frame did not pass it."""
    passed = _passed(stamps)
    return dict(zip(STAGES, pairwise(passed), strict=True))


def _passed(stamps: Stamps) -> tuple[float, ...]:
    return (
        stamps.captured,
        stamps.offered,
        stamps.dequeued,
        stamps.converted,
        stamps.sent,
        stamps.received,
        stamps.parsed,
        stamps.joined,
        stamps.dispatched,
        stamps.delivered,
    )
