"""The activities, and what each kind of observer can tell of them at best.

An activity is a gesture (a closed path of poses), a tempo (how often a second the path is walked) and a prop (what the
hand holds). Video shows gesture and prop, sensors feel gesture and tempo:

- *video* is an unordered set of frames drawn from a clip without their times: sparse sampling as the network sees it.
  Every clip holds whole cycles of its gesture and shows the same poses, each once, whatever its tempo, so such a set
  says nothing of tempo. (An observer of neighbouring frames, or of frames at known times, could measure it: that is
  another observation model. Uneven cycles and a start anywhere in the cycle hide it in part: trees that are given the
  exact phases and times of one random frame in each of 3 segments name 53 % of the tempi rightly, chance being 50 %;
  of 8 segments, 96 %; of the middles of 3 segments, 65 %, of 5, all.)
- *sensors* are the series of accelerometers, gyroscope and orientation. They follow from the motion alone, so they say
  nothing of the prop.

Two activities that an observer cannot tell apart form one class of its partition of the activities. With equally many
recordings of each activity, the best possible accuracy is the number of classes over the number of activities: of a
class of m activities, one in m is named rightly, whatever one does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mmtsa_cli.recordings.synthesis.body import Angle, Arm, Array, Leg, Posture

Gesture = Callable[[Array, float], Posture]

TEMPI: Mapping[str, tuple[float, float]] = {
    "slow": (0.5, 0.67),
    "brisk": (0.67, 0.84),
    "fast": (1.0, 1.25),
    "breathing": (0.17, 0.34),
}
"""Cycles a second, lowest and highest over all people: `slow` and `fast` never meet."""


@dataclass(frozen=True)
class Activity:
    """One class of the data.

    Attributes
    ----------
    name : str
    gesture : str
        Key of `GESTURES`.
    tempo : str
        Key of `TEMPI`.
    prop : str or None
        Key of `rendering.PROPS`.
    """

    name: str
    gesture: str
    tempo: str
    prop: str | None = None

    @property
    def looks(self) -> tuple[str, str | None]:
        """What decides the distribution of its frames."""
        return self.gesture, self.prop

    @property
    def moves(self) -> tuple[str, str]:
        """What decides the distribution of its sensor series."""
        return self.gesture, self.tempo


ACTIVITIES: tuple[Activity, ...] = (
    # Only both modalities together tell these four apart, twice.
    Activity("drinking_slow", "raise", "slow", "cup"),
    Activity("drinking_fast", "raise", "fast", "cup"),
    Activity("phoning_slow", "raise", "slow", "handset"),
    Activity("phoning_fast", "raise", "fast", "handset"),
    Activity("hammering_slow", "strike", "slow", "hammer"),
    Activity("hammering_fast", "strike", "fast", "hammer"),
    Activity("swatting_slow", "strike", "slow", "swatter"),
    Activity("swatting_fast", "strike", "fast", "swatter"),
    # Look alike, move differently.
    Activity("strolling", "step", "slow"),
    Activity("hurrying", "step", "fast"),
    # Move alike, look different.
    Activity("lifting_crate", "squat", "slow", "crate"),
    Activity("lifting_ball", "squat", "slow", "ball"),
    # Either modality tells these.
    Activity("jumping_jacks", "jack", "brisk"),
    Activity("sitting", "sit", "breathing", "stool"),
)


def partition(observer: Callable[[Activity], Hashable]) -> tuple[tuple[str, ...], ...]:
    """Return the activities' names in classes that an observer cannot tell apart.

    Parameters
    ----------
    observer : callable
        What is observed of an activity; equal values cannot be told apart.
    """
    classes: dict[Hashable, list[str]] = {}
    for activity in ACTIVITIES:
        classes.setdefault(observer(activity), []).append(activity.name)
    return tuple(tuple(names) for names in classes.values())


def partitions() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the partition of each observer: video, sensors, both."""
    return {
        "video": partition(lambda activity: activity.looks),
        "sensors": partition(lambda activity: activity.moves),
        "both": partition(lambda activity: (activity.looks, activity.moves)),
    }


def ceilings() -> dict[str, Fraction]:
    """Return the best possible accuracy of each observer: number of classes over number of activities."""
    return {name: Fraction(len(classes), len(ACTIVITIES)) for name, classes in partitions().items()}


def _wave(phase: Array) -> Array:
    """Return 0 at whole phases, 1 at halves, smooth and at rest at both."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * phase)


def _between(low: float, high: float, part: Array, extent: float) -> Angle:
    """Return degrees from `low` (part 0) to `high` (part 1) in radians, the way between them scaled by `extent`."""
    return np.deg2rad(low + (high - low) * part * extent)


_IDLE_ARM = Arm(flexion=np.deg2rad(5), abduction=np.deg2rad(9), elbow=np.deg2rad(14))


def _raise(phase: Array, extent: float) -> Posture:
    """Bring the hand from the hip to the head and back."""
    part = _wave(phase)
    arm = Arm(
        flexion=_between(8, 62, part, extent),
        abduction=_between(14, 26, part, extent),
        rotation=_between(10, 34, part, extent),
        elbow=_between(38, 128, part, extent),
    )
    weight = Leg(flexion=_between(3, 9, part, extent), knee=_between(5, 16, part, extent))
    relaxed = Leg(flexion=_between(2, 4, part, extent), knee=_between(4, 8, part, extent), abduction=np.deg2rad(4))
    lean = _between(4, -3, part, extent)
    return Posture(arm, _IDLE_ARM, weight, relaxed, lean=lean, twist=_between(-4, 8, part, extent))


def _strike(phase: Array, extent: float) -> Posture:
    """Lift the arm above the head and bring it down in front, faster than it rose."""
    part = _wave(phase + 0.06 * np.sin(2 * np.pi * phase))
    arm = Arm(
        flexion=_between(50, 140, part, extent),
        abduction=_between(14, 30, part, extent),
        rotation=_between(12, -8, part, extent),
        elbow=_between(18, 62, part, extent),
    )
    front = Leg(flexion=_between(26, 14, part, extent), knee=_between(34, 16, part, extent), abduction=np.deg2rad(8))
    back = Leg(flexion=_between(4, -6, part, extent), knee=_between(22, 10, part, extent), abduction=np.deg2rad(10))
    lean = _between(17, -6, part, extent)
    return Posture(arm, _IDLE_ARM, front, back, lean=lean, twist=_between(14, -12, part, extent))


def _step(phase: Array, extent: float) -> Posture:
    """Walk on the spot as on a treadmill: one cycle is two steps."""

    def leg(offset: float) -> Leg:
        turn = 2 * np.pi * (phase + offset)
        hip = 8 + 27 * extent * np.cos(turn)
        # The knee bends most while the leg swings forward.
        knee = 12 + 24 * extent * (1 + np.cos(turn + 1.35)) * (0.75 + 0.25 * np.cos(turn + 1.35))
        return Leg(flexion=np.deg2rad(hip), knee=np.deg2rad(knee), abduction=np.deg2rad(2))

    def arm(offset: float) -> Arm:
        swing = np.cos(2 * np.pi * (phase + offset))
        elbow = np.deg2rad(42 + 14 * extent * swing)
        return Arm(flexion=np.deg2rad(4 + 30 * extent * swing), abduction=np.deg2rad(11), elbow=elbow)

    # The heel strikes: a millimetre or two, but within a thirtieth of a cycle.
    since_strike = (2 * phase + 0.1 + 0.5) % 1.0 - 0.5
    impact = 0.0022 * np.exp(-0.5 * (since_strike / 0.035) ** 2)
    twist = np.deg2rad(7) * extent * np.cos(2 * np.pi * phase)
    return Posture(arm(0.5), arm(0.0), leg(0.0), leg(0.5), lean=np.deg2rad(5), twist=twist, lift=impact)


def _squat(phase: Array, extent: float) -> Posture:
    """Go down and up again with something large in front of the body."""
    part = _wave(phase)
    arms = Arm(
        flexion=_between(48, 60, part, extent),
        abduction=np.deg2rad(10),
        rotation=np.deg2rad(16),
        elbow=_between(52, 18, part, extent),
    )
    leg = Leg(flexion=_between(6, 88, part, extent), knee=_between(10, 108, part, extent), abduction=np.deg2rad(12))
    return Posture(arms, arms, leg, leg, lean=_between(4, 34, part, extent))


def _jack(phase: Array, extent: float) -> Posture:
    """Jump with legs and arms apart, and back: two hops a cycle."""
    part = _wave(phase)
    arms = Arm(abduction=_between(18, 150, part, extent), elbow=np.deg2rad(16))
    hop = _wave(2 * phase)
    knee = _between(30, 12, hop, 1.0)
    leg = Leg(flexion=np.asarray(knee) / 2, knee=knee, abduction=_between(2, 26, part, extent))
    return Posture(arms, arms, leg, leg, lean=np.deg2rad(3), lift=0.07 * extent * hop)


def _sit(phase: Array, extent: float) -> Posture:
    """Sit, breathing, the hands on the thighs."""
    part = _wave(phase)
    arms = Arm(
        flexion=_between(24, 26, part, extent),
        abduction=np.deg2rad(14),
        rotation=np.deg2rad(20),
        elbow=_between(62, 60, part, extent),
    )
    leg = Leg(flexion=np.deg2rad(84), knee=_between(82, 82.5, part, extent), abduction=np.deg2rad(9))
    return Posture(arms, arms, leg, leg, lean=_between(-4, -6, part, extent))


GESTURES: Mapping[str, Gesture] = {
    "raise": _raise,
    "strike": _strike,
    "step": _step,
    "squat": _squat,
    "jack": _jack,
    "sit": _sit,
}
"""Per gesture the posture at a phase (cycles, (n,) array) for a person who moves to a given extent (1: average)."""
