"""ELAN's .eaf: the annotations of one tier, in milliseconds.

Source: https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf
"""

from xml.etree.ElementTree import Element

import numpy as np

from stream_client.errors import ConfigurationError
from stream_client.training.annotations.values import Annotation
from stream_client.training.clips import Span


def read(root: Element, tier: str | None) -> list[Annotation]:
    """The annotations of ``tier``, or of the only tier that has some. Raises :class:`.ConfigurationError`."""
    tiers = {item.get("TIER_ID", ""): item.findall(".//ALIGNABLE_ANNOTATION") for item in root.iter("TIER")}
    filled = {name: items for name, items in tiers.items() if items}
    names = ", ".join(filled) or "none"
    if tier is None and len(filled) > 1:
        raise ConfigurationError(f"the tiers with times are {names}: choose one", option="tier")
    if tier is not None and tier not in filled:
        raise ConfigurationError(f"it has no tier {tier!r} with times: there are {names}", option="tier")
    media = _video(root)
    origin = 0.0 if media is None else float(media.get("TIME_ORIGIN", "0")) / 1000
    times = _times(root)
    items = filled[tier] if tier is not None else next(iter(filled.values()), [])
    spans = []
    for item in items:
        ends = [item.get(name, "") for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
        if absent := [slot for slot in ends if slot not in times]:
            raise ConfigurationError(f"annotation {item.get('ANNOTATION_ID', '')!r} has no time slot {absent[0]!r}")
        start, end = (times[slot] + origin for slot in ends)
        spans.append(Span(start, end, item.findtext("ANNOTATION_VALUE") or ""))
    video = "" if media is None else media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""
    return [Annotation(video, tuple(span for span in spans if span.label.strip()))]


def _video(root: Element) -> Element | None:
    """The first video of the file's media, or the first of any kind: many files name a sound first."""
    media = root.findall("HEADER/MEDIA_DESCRIPTOR")
    return next((one for one in media if one.get("MIME_TYPE", "").startswith("video")), next(iter(media), None))


def _times(root: Element) -> dict[str, float]:
    """The seconds of each time slot. A slot without a time stands evenly between its neighbors."""
    slots = [(slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")]
    known = [position for position, (_, value) in enumerate(slots) if value is not None]
    values = [float(slots[position][1] or 0) / 1000 for position in known]
    seconds = np.interp(np.arange(len(slots)), known, values) if known else np.zeros(len(slots))
    return dict(zip((name for name, _ in slots), seconds.tolist(), strict=True))
