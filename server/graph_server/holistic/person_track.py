"""A person who is followed, or hidden for a moment: who they are, their networks, and where they were last."""

from dataclasses import dataclass, field, replace

from graph_server.holistic.face import FaceTracker
from graph_server.holistic.hands import LEFT, RIGHT, HandTracker
from graph_server.holistic.person_motion import Motion
from graph_server.holistic.pose import Pose, PoseEstimator, PoseSmoother
from graph_server.holistic.regions import ImageSize, Landmarks, Region
from graph_server.models.repository import Models


@dataclass(frozen=True, slots=True)
class Person:
    """A person in an image. ``number`` is their own for the whole stream, from 1.

    Landmarks are those of :class:`~graph_server.holistic.pose.Pose` and of the trackers of hands and face. ``region``
    is that of the next frame, which drawings take for their scale.
    """

    number: int
    pose: Pose
    region: Region
    left_hand: Landmarks | None
    right_hand: Landmarks | None
    face: Landmarks | None
    carried: bool = False


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
    met, first that of the hidden one. ``looked``: whether somebody looks at the person in this image; ``waited``: how
    many images ago that was. ``last`` is the person as they were then.
    """

    identity: Identity
    parts: Parts
    smoother: PoseSmoother = field(default_factory=PoseSmoother)
    region: Region | None = None
    pose: Pose | None = None
    rival: "Track | None" = None
    before: tuple[Motion, Motion] | None = None
    looked: bool = True
    waited: int = 1
    last: Person | None = None

    def carried(self, size: ImageSize, time: int) -> Person | None:
        """The person of the last look, moved on to ``time``, in µs, in an image of ``size``."""
        if self.last is None:
            return None
        motion, pose, region = self.identity.motion, self.last.pose, self.last.region
        x, y = motion.at(time)
        right, down = (x - motion.x) / size[0], (y - motion.y) / size[1]
        return replace(
            self.last,
            number=self.identity.number,
            pose=replace(
                pose, landmarks=_moved(pose.landmarks, right, down), auxiliary=_moved(pose.auxiliary, right, down)
            ),
            region=replace(region, x_center=region.x_center + right, y_center=region.y_center + down),
            left_hand=None if self.last.left_hand is None else _moved(self.last.left_hand, right, down),
            right_hand=None if self.last.right_hand is None else _moved(self.last.right_hand, right, down),
            face=None if self.last.face is None else _moved(self.last.face, right, down),
            carried=True,
        )


def _moved(points: Landmarks, right: float, down: float) -> Landmarks:
    moved = points.copy()
    moved[:, 0] += right
    moved[:, 1] += down
    return moved


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
