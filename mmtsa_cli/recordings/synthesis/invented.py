"""Gestures that nobody planned: any number of closed paths of poses, for networks that learn from motion as such.

An invented gesture moves one arm at least; the other arm, the legs and the trunk join in by chance. Each joint angle
goes along a sum of three harmonics about a posture, within what the joint can do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mmtsa_cli.recordings.synthesis.activities import GESTURES, Activity, Gesture
from mmtsa_cli.recordings.synthesis.body import Angle, Arm, Array, Leg, Posture

_NAME = "invented"
_TEMPI = ("slow", "brisk", "fast")
_HARMONICS = np.arange(1, 4)
_JOINS = 0.4
"""Chance that the other arm, the legs, the trunk's lean and its twist move along."""
_GESTURE, _KIND = 31, 32


def invented_activities(count: int, *, seed: int) -> tuple[Activity, ...]:
    """Return `count` activities without prop, each of a gesture of its own and a tempo that the seed draws."""
    width = len(str(count))
    tempi = np.random.default_rng([seed, _KIND]).choice(_TEMPI, count)
    names = [f"{_NAME}_{number:0{width}d}" for number in range(1, count + 1)]
    return tuple(Activity(name, name, str(tempo)) for name, tempo in zip(names, tempi, strict=True))


def gesture_of(name: str, *, seed: int) -> Gesture:
    """Return a gesture of `GESTURES`, or the one that the seed invents under this name."""
    if name in GESTURES:
        return GESTURES[name]
    rng = np.random.default_rng([seed, _GESTURE, int(name.removeprefix(f"{_NAME}_"))])
    acting, other = _arm(rng, moves=True), _arm(rng, moves=bool(rng.random() < _JOINS))
    squat = _angle(rng, 3, 60, moves=bool(rng.random() < _JOINS))
    lean = _angle(rng, -8, 35, moves=bool(rng.random() < _JOINS))
    twist = _angle(rng, -25, 25, moves=bool(rng.random() < _JOINS))
    apart = float(np.deg2rad(rng.uniform(2, 15)))

    def gesture(phase: Array, extent: float) -> Posture:
        bend = squat(phase, extent)
        # Thigh and shin are of one length: so the foot stays below the hip.
        leg = Leg(flexion=bend, abduction=apart, knee=2 * np.asarray(bend))
        trunk = {"lean": lean(phase, extent), "twist": twist(phase, extent)}
        return Posture(acting(phase, extent), other(phase, extent), leg, leg, **trunk)

    return gesture


def _arm(rng: np.random.Generator, *, moves: bool) -> Callable[[Array, float], Arm]:
    flexion, abduction = _angle(rng, -30, 150, moves=moves), _angle(rng, 8, 100, moves=moves)
    rotation, elbow = _angle(rng, -30, 60, moves=moves), _angle(rng, 8, 130, moves=moves)
    return lambda phase, extent: Arm(
        flexion=flexion(phase, extent),
        abduction=abduction(phase, extent),
        rotation=rotation(phase, extent),
        elbow=elbow(phase, extent),
    )


def _angle(rng: np.random.Generator, low: float, high: float, *, moves: bool) -> Callable[[Array, float], Angle]:
    """Return an angle in radians along the phase, from `low` to `high` degrees at most."""
    sizes, starts = rng.normal(size=3) / _HARMONICS, rng.uniform(0, 2 * np.pi, 3)
    middle, width = rng.uniform(-0.6, 0.6), rng.uniform(0.3, 1.2) if moves else 0.0
    half = (high - low) / 2

    def angle(phase: Array, extent: float) -> Angle:
        waves = np.sin(2 * np.pi * np.multiply.outer(_HARMONICS, phase) + starts[:, None])
        # tanh keeps the joint within its range, smoothly.
        return np.deg2rad(low + half + half * np.tanh(middle + width * extent * (sizes @ waves)))

    return angle
