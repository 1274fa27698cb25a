"""A person who is followed, or hidden for a moment: who they are, their networks, and where they were last."""

from dataclasses import dataclass, field

from graph_server.holistic.face import FaceTracker
from graph_server.holistic.hands import LEFT, RIGHT, HandTracker
from graph_server.holistic.person_motion import Motion
from graph_server.holistic.pose import Pose, PoseEstimator, PoseSmoother
from graph_server.holistic.regions import Region
from graph_server.models.repository import Models


@dataclass(slots=True)
class Identity:
    """Who a track is. Two tracks may have to exchange it after their persons have crossed."""

    number: int
    motion: Motion


class Parts:
    """The networks of one person. They are kept for the next one."""

    def __init__(self, models: Models) -> None:
        self.estimator = PoseEstimator(models.get("pose_landmark_full"))
        recrop, hand = models.get("hand_recrop"), models.get("hand_landmark_full")
        self.left_hand = HandTracker(LEFT, recrop, hand)
        self.right_hand = HandTracker(RIGHT, recrop, hand)
        self.face = FaceTracker(models.get("face_detection"), models.get("face_landmark"))


@dataclass(slots=True, eq=False)
class Track:
    """A person who is followed, or hidden: then ``region`` is ``None``.

    ``rival`` is the track that the pose of a hidden one merged with; ``before`` are the motions of the two when they
    met, first that of the hidden one.
    """

    identity: Identity
    parts: Parts
    smoother: PoseSmoother = field(default_factory=PoseSmoother)
    region: Region | None = None
    pose: Pose | None = None
    rival: "Track | None" = None
    before: tuple[Motion, Motion] | None = None


def settle(track: Track, seen: Motion) -> None:
    """Decide who is who, now that two whose poses had merged are apart: ``track``, seen again, and its rival.

    Each is who would have come here without the meeting.
    """
    rival = track.rival
    if rival is None or track.before is None or rival.pose is None:
        return
    hidden, stayed = track.before
    there = rival.identity.motion
    straight = hidden.distance(seen) + stayed.distance(there)
    crossed = hidden.distance(there) + stayed.distance(seen)
    if crossed < straight:
        track.identity, rival.identity = rival.identity, track.identity
        track.identity.motion, rival.identity.motion = seen, there
