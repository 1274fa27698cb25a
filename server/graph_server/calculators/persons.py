"""Several persons in one image, as tensors with an axis of persons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import Calculator, Ports, Services
from graph_server.graph.messages import HolisticPersonsOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import IMAGE_FRAME, OV_TENSOR
from graph_server.holistic.person_looks import DetectorName
from graph_server.holistic.person_track import Person
from graph_server.holistic.persons import PersonsOptions, PersonsTracker
from kserve_wire.pictures.drawing import canvas_for, draw, holistic_strokes

Array = npt.NDArray[Any]

PARTS = (33, 21, 21, 468)
"""Landmarks of pose, left hand, right hand and face, in this order."""
_MOST = 32
_CLASSIFIER = "pose_classifier"
_DETECTORS: Mapping[int, DetectorName] = {
    HolisticPersonsOptions.POSE: "pose",
    HolisticPersonsOptions.MOVENET: "movenet",
    HolisticPersonsOptions.AUTO: "auto",
}


@REGISTRY.register("HolisticPersonsCalculator")
class HolisticPersons(Calculator):
    """Pose, hands and face of each person, followed under numbers, and drawn. OVMS has no such node.

    ``m`` is the option ``max_persons``, or the side packet ``MAX_PERSONS``, a whole number, where a session gives one.
    The outputs for each image are:

    - ``IMAGE``: the image with every person drawn
    - ``COUNT``: int32 [1], how many persons are seen; the first rows of the other tensors are theirs
    - ``IDS``: int32 [m], their numbers, -1 in other rows
    - ``LANDMARKS``: float32 [m, 543, 5] (x, y and z over the image's width and height, visibility, presence), NaN
      where a part is not seen
    - ``WORLD``: float32 [m, 33, 3] in meters
    - ``REGIONS``: float64 [m, 2], width and height of the region that a drawing takes for its scale, NaN in other rows
    - ``CARRIED``: int32 [m], 1 where nobody was looked at in this image, and the landmarks were moved on; else 0
    - ``SCORES``: float32 [m, labels] of the model ``pose_classifier``, zeros in other rows
    """

    stateful = True
    optional_side_packets = frozenset({"MAX_PERSONS"})
    inputs = Ports(required={"IMAGE": IMAGE_FRAME})
    outputs = Ports(
        optional={
            "IMAGE": IMAGE_FRAME,
            "COUNT": OV_TENSOR,
            "IDS": OV_TENSOR,
            "LANDMARKS": OV_TENSOR,
            "WORLD": OV_TENSOR,
            "REGIONS": OV_TENSOR,
            "CARRIED": OV_TENSOR,
            "SCORES": OV_TENSOR,
        }
    )

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        options = _options(node)
        if not 1 <= options.max_persons <= _MOST:
            raise ConfigError(f"{node.where()}: max_persons is {options.max_persons}: 1 to {_MOST}")
        if options.look_every < 1 or options.hidden_ms < 0:
            raise ConfigError(f"{node.where()}: look_every is at least 1, and hidden_ms is not below 0")
        if options.budget_ms < 0 or options.follow_every < 1:
            raise ConfigError(f"{node.where()}: budget_ms is not below 0, and follow_every is at least 1")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = _options(node)
        self._tags = {port.tag for port in node.outputs}
        self._classifier = services.models.get(_CLASSIFIER) if "SCORES" in self._tags else None
        rules = PersonsOptions(
            options.max_persons,
            options.look_every,
            options.hidden_ms / 1000,
            _DETECTORS[options.detector],
            options.budget_ms / 1000,
            options.follow_every,
        )
        self._tracker = PersonsTracker(services.models, rules)

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        most = side_packets.get("MAX_PERSONS", _options(self.node).max_persons)
        if type(most) is not int or not 1 <= most <= _MOST:
            raise GraphError(f"max_persons is {most!r}: a whole number from 1 to {_MOST}", "INVALID_ARGUMENT")
        self._most = self._tracker.most = most
        return {}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        image = inputs[0]
        persons = self._tracker.process(image, timestamp)
        values = self._tensors(persons)
        if "IMAGE" in self._tags:
            values["IMAGE"] = _drawn(image, persons)
        if "SCORES" in self._tags:
            values["SCORES"] = self._scores(persons)
        return [values[port.tag] for port in self.node.outputs]

    @override
    def close(self) -> None:
        self._tracker.close()

    def _tensors(self, persons: Sequence[Person]) -> dict[str, Array]:
        ids = np.full(self._most, -1, np.int32)
        landmarks = np.full((self._most, sum(PARTS), 5), np.nan, np.float32)
        world = np.full((self._most, PARTS[0], 3), np.nan, np.float32)
        regions = np.full((self._most, 2), np.nan, np.float64)
        carried = np.zeros(self._most, np.int32)
        for row, person in enumerate(persons):
            ids[row] = person.number
            start = 0
            parts = (person.pose.landmarks, person.left_hand, person.right_hand, person.face)
            for points, part in zip(PARTS, parts, strict=True):
                if part is not None:
                    landmarks[row, start : start + points] = part
                start += points
            world[row] = person.pose.world[:, :3]
            regions[row] = person.region.width, person.region.height
            carried[row] = person.carried
        count = np.array([len(persons)], np.int32)
        return {
            "COUNT": count,
            "IDS": ids,
            "LANDMARKS": landmarks,
            "WORLD": world,
            "REGIONS": regions,
            "CARRIED": carried,
        }

    def _scores(self, persons: Sequence[Person]) -> Array:
        assert self._classifier is not None
        (given,), (found,) = self._classifier.inputs, self._classifier.outputs
        scores = np.zeros((self._most, int(found.shape[-1])), np.float32)
        for row, person in enumerate(persons):
            assert person.pose.raw is not None
            scores[row] = self._classifier.infer({given.name: person.pose.raw})[found.name][0]
        return scores


def _options(node: Node) -> HolisticPersonsOptions:
    return node.options.get(HolisticPersonsOptions) or HolisticPersonsOptions()


def _drawn(image: Array, persons: Sequence[Person]) -> Array:
    canvas = canvas_for(image)
    size = (image.shape[1], image.shape[0])
    for each in persons:
        draw(
            canvas,
            holistic_strokes(
                size,
                each.pose.landmarks,
                (each.region.width, each.region.height),
                each.left_hand,
                each.right_hand,
                each.face,
            ),
        )
    return canvas
