"""ELAN's .eaf: the annotations of one tier, in milliseconds.

Source: https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf
"""

from xml.etree.ElementTree import Element

import numpy as np

from stream_client.errors import ConfigurationError
from stream_client.training.annotations.places import place
from stream_client.training.annotations.values import Annotation, Labels, number


def read(root: Element, tier: str | None, annotator: str | None) -> list[Annotation]:
    """The annotations of ``tier``, or of the only tier that has some, or of each annotator's tier of one type.

    Raises :class:`.ConfigurationError`.
    """
    media = _video(root)
    video = "" if media is None else media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""
    origin = 0.0 if media is None else (number(media.get("TIME_ORIGIN", "0")) or 0.0) / 1000
    times = _times(root)
    found = []
    for chosen in _tiers(root, tier, annotator):
        labels = Labels(video, chosen.get("ANNOTATOR", ""))
        for item in chosen.iterfind(".//ALIGNABLE_ANNOTATION"):
            ends = [item.get(name, "") for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
            start, end = (times.get(slot) for slot in ends)
            if start is None or end is None:
                name, slot = item.get("ANNOTATION_ID", ""), ends[0 if start is None else 1]
                labels.wrong(place(item), f"annotation {name!r} has no time slot {slot!r} with a time")
            else:
                text = item.findtext("ANNOTATION_VALUE") or ""
                labels.seconds(start + origin, end + origin, text, place(item))
        found.append(labels.annotation())
    return found or [Annotation(video)]


def _tiers(root: Element, tier: str | None, annotator: str | None) -> list[Element]:
    """The tiers to learn from."""
    filled = [item for item in root.iter("TIER") if item.find(".//ALIGNABLE_ANNOTATION") is not None]
    names = ", ".join(item.get("TIER_ID", "") for item in filled) or "none"
    if tier is not None:
        named = [item for item in filled if item.get("TIER_ID") == tier]
        if not named:
            raise ConfigurationError(f"it has no tier {tier!r} with times: there are {names}")
        return named
    annotators = [item.get("ANNOTATOR", "") for item in filled]
    if annotator is not None and annotator in annotators:
        filled = [item for item in filled if item.get("ANNOTATOR") == annotator]
    same = len({item.get("LINGUISTIC_TYPE_REF") for item in filled}) == 1
    if len(filled) > 1 and not (same and all(annotators) and len(set(annotators)) == len(filled)):
        raise ConfigurationError(f"the tiers with times are {names}: choose one", option="tier")
    return filled


def _video(root: Element) -> Element | None:
    """The first video of the file's media, or the first of any kind: many files name a sound first."""
    media = root.findall("HEADER/MEDIA_DESCRIPTOR")
    return next((one for one in media if one.get("MIME_TYPE", "").startswith("video")), next(iter(media), None))


def _times(root: Element) -> dict[str, float | None]:
    """The seconds of each time slot. A slot without a time stands evenly between its neighbors."""
    slots = [(slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")]
    values = [None if value is None else number(value) for _, value in slots]
    known = [position for position, value in enumerate(values) if value is not None]
    if not known:
        return {}
    between = np.interp(np.arange(len(slots)), known, [values[position] or 0.0 for position in known]) / 1000
    return {
        name: None if given is not None and value is None else seconds
        for (name, given), value, seconds in zip(slots, values, between.tolist(), strict=True)
    }
