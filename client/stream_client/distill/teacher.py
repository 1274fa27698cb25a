"""Who labels the persons of a stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stream_client.client import TransportLike
from stream_client.distill.joints import JointSet, Mask
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.frames import Landmarks, Result
from stream_client.landmarks.persons import box_of
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.options import TransportOptions
from stream_client.transport.servable import LANDMARK_GRAPH, POSE_GRAPH

PERSONS_GRAPH = "holisticPersons"
"""The graph of several persons; the others have one."""


@dataclass(frozen=True, slots=True, eq=False)
class TaughtPerson:
    """A person as a teacher sees them. ``box``: left, top, right, bottom in pixels of the frame.

    ``joints`` and ``visible`` are as in :class:`.PoseSample`.
    """

    box: tuple[float, float, float, float]
    joints: npt.NDArray[np.float32]
    visible: Mask


class Teacher(Protocol):
    """Labels frames with persons. A stream client asks ``transport``, and ``persons`` reads its answers.

    A model of one's own is a function as ``transport``: it takes a request with the frame, and returns arrays by name,
    which ``persons`` finds in ``result.outputs``.
    """

    @property
    def name(self) -> str:
        """What the model card calls it."""

    @property
    def joint_set(self) -> JointSet:
        """The joints of its persons."""

    @property
    def transport(self) -> TransportLike:
        """What :class:`.StreamClient` takes. Asked once for each stream."""

    def persons(self, result: Result) -> Sequence[TaughtPerson]:
        """The persons in a frame. Called for frame after frame of a stream, in order."""

    def close(self) -> None:
        """Free what it holds. Safe twice."""


class GraphTeacher:
    """The landmarks in meters of a graph server: of one person, or with ``graph="holisticPersons"`` of several.

    ``grpc_address`` is a server's; by default a local one starts with the first stream. It ends with :meth:`close`.
    ``graph`` of ``None`` is ``holisticPose``, and ``holisticLandmarks`` of a server that is not ours to set up.
    """

    def __init__(
        self,
        joint_set: JointSet,
        *,
        grpc_address: str = EMBEDDED,
        graph: str | None = None,
        embedded: EmbeddedOptions | None = None,
    ) -> None:
        self.joint_set = joint_set
        self._address = grpc_address
        self._graph = graph or (POSE_GRAPH if grpc_address == EMBEDDED else LANDMARK_GRAPH)
        self.name = f"graph {self._graph}"
        self._server = EmbeddedServer(embedded, self._graph) if grpc_address == EMBEDDED else None

    @property
    def transport(self) -> TransportOptions:
        """The address, with a local server started if that is asked for."""
        if self._server is None:
            return TransportOptions(self._address, model_name=self._graph)
        if not self._server.address:
            self._server.start()
        return TransportOptions(self._server.address, model_name=self._graph)

    def persons(self, result: Result) -> Sequence[TaughtPerson]:
        """Those that the graph sees."""
        if result.persons:
            return [self._taught(person.landmarks) for person in result.persons]
        return [] if result.landmarks is None else [self._taught(result.landmarks)]

    def _taught(self, landmarks: Landmarks) -> TaughtPerson:
        joints, visible = self.joint_set.of_landmarks(landmarks.pose_world, landmarks.pose[:, 3])
        return TaughtPerson(box_of(landmarks), joints, visible)

    def close(self) -> None:
        """End the local server."""
        if self._server is not None:
            self._server.close()
