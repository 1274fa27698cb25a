"""Several persons in one image: each is found, followed under one number, and has pose, hands and face of their own.

MediaPipe's holistic graph sees one person. Here its pose detector gives several, and its networks run for each on their
own region with their own smoothing. With one person in the image the landmarks are those of the holistic graph.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TypeVar

from graph_server.holistic.crops import Bytes
from graph_server.holistic.person_budget import LookBudget, Waiting
from graph_server.holistic.person_looks import DetectorName, Detectors, Look, Points
from graph_server.holistic.person_motion import Motion
from graph_server.holistic.person_track import Identity, Parts, Person, Track, settle
from graph_server.holistic.pose import Pose, region_of
from graph_server.holistic.regions import ImageSize, Landmarks, Region
from graph_server.models.copies import PROCESSORS
from graph_server.models.repository import Models

T = TypeVar("T")
R = TypeVar("R")

_SAME = 0.25
"""Sizes of a person. Two poses that are closer are of the same one."""
_NEAR = 0.5
"""Sizes of a person. A detection that is closer to a pose is of that person."""
_REACH = 1.5
"""Sizes of a person, beyond :data:`_NEAR`, that somebody who was hidden may be away from where they would have been,
for each second of it."""


@dataclass(frozen=True, slots=True)
class PersonsOptions:
    """``most`` persons are followed. The detector looks for further ones in every ``look_every``-th frame.

    After ``hidden`` seconds somebody who comes back is somebody new. Looking at persons takes about ``budget`` seconds
    a frame, 0: as long as it takes. Each is looked at in every ``follow_every``-th frame at least.
    """

    most: int = 4
    look_every: int = 3
    hidden: float = 2.0
    detector: DetectorName = "pose"
    budget: float = 0.0
    follow_every: int = 5


class PersonsTracker:
    """Follows the persons of one stream of images at a time. Use it from one thread; it owns the threads it starts."""

    def __init__(self, models: Models, options: PersonsOptions) -> None:
        self._models = models
        self._options = options
        self.most = options.most
        """How many persons are followed: to be set before a stream."""
        self._detectors = Detectors.open(models, options.detector)
        self._spare = [Parts(models)]
        self._begin()

    def close(self) -> None:
        """End the threads, and forget everyone: the next image begins another stream."""
        self._executor.shutdown()
        self._begin()

    def _begin(self) -> None:
        self._tracks: list[Track] = []
        self._last_number = 0
        self._budget = LookBudget(self._options.budget, self._options.follow_every)
        self._frame = self._view = 0
        self._executor = ThreadPoolExecutor(max(2, PROCESSORS), thread_name_prefix="persons")

    def process(self, image: Bytes, timestamp: int) -> list[Person]:
        """The persons of an image, by number. ``timestamp``, in µs, must rise."""
        size = (image.shape[1], image.shape[0])
        regions = self._look(image, size, timestamp)
        self._frame += 1
        began = time.perf_counter()
        self._choose()
        self._follow(image, size, timestamp)
        self._add(image, regions, size, timestamp)
        self._forget(timestamp)
        persons = self._persons(image, size, timestamp)
        self._budget.spent(sum(not person.carried for person in persons), time.perf_counter() - began)
        return persons

    # --- poses

    @property
    def _seen(self) -> list[Track]:
        return [track for track in self._tracks if track.region is not None]

    def _look(self, image: Bytes, size: ImageSize, timestamp: int) -> list[Region]:
        """The regions of the persons that the detector finds, where it has a reason to run."""
        seen, most = len(self._seen), self.most
        if not seen:
            found = self._find(image, self._detectors.looks(size)[0]) or self._find(image, self._next_look(size))
        elif seen < most and len(self._tracks) > seen and self._frame % 2:
            found = self._find(image, self._look_for_hidden(size, timestamp))
        elif seen < most and self._frame % self._options.look_every == 0:
            found = self._find(image, self._next_look(size))
        else:
            found = []
        return [region_of(points, size) for points in found]

    def _find(self, image: Bytes, look: Look) -> list[Points]:
        detector, view = look
        return detector.detect_all(image, self.most, view)

    def _next_look(self, size: ImageSize) -> Look:
        looks = self._detectors.looks(size)
        self._view = (self._view + 1) % len(looks)
        return looks[self._view]

    def _look_for_hidden(self, size: ImageSize, timestamp: int) -> Look:
        """Where somebody who is hidden may be now; each of them in turn."""
        hidden = [track for track in self._tracks if track.region is None]
        motion = hidden[self._frame // 2 % len(hidden)].identity.motion
        return self._detectors.look_at(*motion.at(timestamp), motion.scale, size)

    def _choose(self) -> None:
        """Decide who is looked at in this image."""
        seen = self._seen
        chosen = self._budget.choose([Waiting(track.waited, track.identity.motion.pace) for track in seen])
        for index, track in enumerate(seen):
            track.looked = index in chosen
            track.waited = 1 if track.looked else track.waited + 1

    def _follow(self, image: Bytes, size: ImageSize, timestamp: int) -> None:
        """The poses of those who were seen in the last image. Two tracks with one pose are one person's from now on."""
        seen = [track for track in self._seen if track.looked]
        poses = self._each(lambda track: track.parts.estimator.estimate(image, _region(track)), seen)
        for track, pose in zip(seen, poses, strict=True):
            track.pose = pose
            if pose is None:
                track.region = None
        places = {id(track): Motion.of(track.pose, size, timestamp) for track in seen if track.pose is not None}
        for one, other in combinations(seen, 2):
            if one.pose is None or other.pose is None:
                continue
            here, there = places[id(one)], places[id(other)]
            if here.distance(there) > _SAME:
                continue
            # The pose is of the person who would have been here anyway.
            stays, goes = (one, other)
            if other.identity.motion.distance(there) < one.identity.motion.distance(here):
                stays, goes = goes, stays
            goes.pose = goes.region = None
            goes.rival, goes.before = stays, (goes.identity.motion, stays.identity.motion)
        for track in seen:
            if track.pose is not None:
                track.identity.motion = track.identity.motion.then(places[id(track)])

    def _add(self, image: Bytes, regions: Sequence[Region], size: ImageSize, timestamp: int) -> None:
        """Begin to follow whoever was detected and is not followed."""
        for region in regions:
            followed = [track for track in self._tracks if track.pose is not None]
            place = _place(region, size, timestamp)
            if any(place.distance(track.identity.motion) < _NEAR for track in followed):
                continue
            hidden = self._hidden_at(place)
            if hidden is None and not self._has_room:
                continue
            track = hidden or Track(Identity(0, place), self._spare.pop() if self._spare else Parts(self._models))
            pose = track.parts.estimator.estimate(image, region)
            seen = None if pose is None else Motion.of(pose, size, timestamp)
            if seen is None or any(seen.distance(other.identity.motion) < _SAME for other in followed):
                if hidden is None:
                    self._spare.append(track.parts)
                continue
            track.pose, track.looked, track.waited = pose, True, 1
            if hidden is None:
                self._make_room()
                self._last_number += 1
                track.identity = Identity(self._last_number, seen)
                self._tracks.append(track)
            else:
                settle(track, seen)
                track.identity.motion = seen
            track.rival = track.before = None

    def _hidden_at(self, place: Motion) -> Track | None:
        """Who is hidden and may be at ``place``, the most likely one."""
        found, least = None, float("inf")
        for track in self._hidden:
            motion = track.identity.motion
            seconds = (place.time - motion.time) / 1e6
            distance = motion.distance(place)
            if distance < min(least, _NEAR + _REACH * seconds):
                found, least = track, distance
        return found

    @property
    def _hidden(self) -> list[Track]:
        return [track for track in self._tracks if track.region is None and track.pose is None]

    @property
    def _has_room(self) -> bool:
        """Whether somebody new may be followed, if need be in place of somebody who is hidden."""
        return len(self._tracks) < self.most or bool(self._hidden)

    def _make_room(self) -> None:
        """Forget who has been hidden longest, where as many are followed as may be."""
        if len(self._tracks) >= self.most:
            self._drop(min(self._hidden, key=lambda track: track.identity.motion.time))

    def _forget(self, timestamp: int) -> None:
        for track in list(self._tracks):
            away = (timestamp - track.identity.motion.time) / 1e6
            if track.pose is None and away > self._options.hidden:
                self._drop(track)

    def _drop(self, track: Track) -> None:
        self._tracks.remove(track)
        self._spare.append(track.parts)
        for other in self._tracks:
            if other.rival is track:
                other.rival = other.before = None

    # --- what belongs to each pose

    def _persons(self, image: Bytes, size: ImageSize, timestamp: int) -> list[Person]:
        smooth: dict[int, Pose] = {}
        looked = [track for track in self._tracks if track.looked]
        for track in looked:
            if track.pose is not None:
                pose = track.smoother.apply(track.pose, size, timestamp)
                smooth[id(track)], track.region = pose, region_of(pose.auxiliary, size)
        calls: list[Callable[[], Landmarks | None]] = []
        for track in looked:
            found = smooth.get(id(track))
            landmarks = None if found is None else found.landmarks
            for tracker in (track.parts.left_hand, track.parts.right_hand, track.parts.face):
                calls.append(partial(tracker.process, image, landmarks))
        results = iter(self._each(lambda call: call(), calls))
        persons = []
        for track in looked:
            left, right, face = next(results), next(results), next(results)
            if track.region is not None and id(track) in smooth:
                track.last = Person(track.identity.number, smooth[id(track)], track.region, left, right, face)
                persons.append(track.last)
        for track in self._tracks:
            if not track.looked and (person := track.carried(size, timestamp)) is not None:
                track.region = person.region
                persons.append(person)
        return sorted(persons, key=lambda person: person.number)

    def _each(self, function: Callable[[T], R], values: Iterable[T]) -> list[R]:
        """The results of ``function``, computed beside each other; the last one in this thread."""
        given = list(values)
        futures: list[Future[R]] = [self._executor.submit(function, value) for value in given[:-1]]
        last = [function(value) for value in given[-1:]]
        return [*(future.result() for future in futures), *last]


def _region(track: Track) -> Region:
    assert track.region is not None
    return track.region


def _place(region: Region, size: ImageSize, timestamp: int) -> Motion:
    return Motion(region.x_center * size[0], region.y_center * size[1], region.width * size[0] / 1.25, timestamp)
