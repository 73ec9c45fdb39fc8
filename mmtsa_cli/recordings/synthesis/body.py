"""A jointed body: joint angles in, positions of joints and orientations of limbs out.

The person's own axes: x forward, y to the left, z up, in metres, with the floor at z = 0. Angles are in radians and 0
where the person stands upright with hanging arms. Limb lengths are fractions of the height after Drillis and Contini,
as tabled in D. A. Winter, Biomechanics and Motor Control of Human Movement, 2009, chapter 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Angle = Array | float
Side = Literal["left", "right"]
SIGN: Mapping[Side, float] = {"left": 1.0, "right": -1.0}
"""Direction of the y axis in which a side lies."""

# How sharply the body's weight goes over from one foot to the other: small is abrupt.
_WEIGHT_SHIFT_M = 0.02


@dataclass(frozen=True)
class Build:
    """The measures of one body.

    Attributes
    ----------
    height : float
        Metres.
    girth : float
        Thickness of limbs and trunk, 1 for the average person.
    """

    height: float = 1.72
    girth: float = 1.0

    def length(self, part: str) -> float:
        """Return the length of a part of the body in metres."""
        return _FRACTIONS[part] * self.height


_FRACTIONS = {
    "ankle": 0.039,
    "shin": 0.246,
    "thigh": 0.245,
    "hip": 0.0955,
    "trunk": 0.288,
    "shoulder": 0.125,
    "neck": 0.052,
    "head": 0.13,
    "upper_arm": 0.186,
    "forearm": 0.146,
    "hand": 0.06,
    "foot": 0.12,
}


@dataclass(frozen=True)
class Arm:
    """Angles of one arm: shoulder flexion (forward), abduction (sideways), inward rotation; elbow flexion."""

    flexion: Angle = 0.0
    abduction: Angle = 0.0
    rotation: Angle = 0.0
    elbow: Angle = 0.0


@dataclass(frozen=True)
class Leg:
    """Angles of one leg: hip flexion (forward) and abduction (sideways), knee flexion."""

    flexion: Angle = 0.0
    abduction: Angle = 0.0
    knee: Angle = 0.0


@dataclass(frozen=True)
class Posture:
    """Joint angles of the whole body, each a number or an array of n moments.

    Attributes
    ----------
    acting_arm, other_arm : Arm
        The acting side is that of the writing hand: right for right-handed people.
    acting_leg, other_leg : Leg
    lean, twist : float or (n,)
        Of the trunk: forward, and about the vertical away from the acting side.
    lift : float or (n,)
        Metres that both feet are above the floor.
    """

    acting_arm: Arm = field(default_factory=Arm)
    other_arm: Arm = field(default_factory=Arm)
    acting_leg: Leg = field(default_factory=Leg)
    other_leg: Leg = field(default_factory=Leg)
    lean: Angle = 0.0
    twist: Angle = 0.0
    lift: Angle = 0.0


@dataclass(frozen=True)
class Pose:
    """Where the body is at n moments.

    Attributes
    ----------
    joints : mapping of str to (n, 3)
        Positions in metres: pelvis, chest, neck, head; per side shoulder, elbow, wrist, hand, hip, knee, ankle, toe.
    frames : mapping of str to (n, 3, 3)
        Rotations from the axes of trunk, upper_arm, forearm, thigh, shin (per side) to the person's; limbs hang along
        -z.
    """

    joints: Mapping[str, Array]
    frames: Mapping[str, Array]


def other(side: Side) -> Side:
    """Return the opposite side."""
    return "left" if side == "right" else "right"


def rotation(axis: Literal["x", "y", "z"], angle: Angle) -> Array:
    """Return right-handed rotations about one axis.

    Parameters
    ----------
    axis : "x", "y" or "z"
    angle : float or (...,)
        Radians.

    Returns
    -------
    (..., 3, 3)
    """
    angle = np.asarray(angle, dtype=np.float64)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((*angle.shape, 3, 3))
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix[..., 3 - first - second, 3 - first - second] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = cosine
    matrix[..., second, first] = sine
    matrix[..., first, second] = -sine
    return matrix


def pose(build: Build, posture: Posture, side: Side, *, moments: int) -> Pose:
    """Return the pose that joint angles give, the feet on the floor (forward kinematics).

    Parameters
    ----------
    build : Build
    posture : Posture
        Angles of `moments` moments each, or numbers.
    side : "left" or "right"
        The acting side.
    moments : int
        n.

    Returns
    -------
    Pose
    """
    joints: dict[str, Array] = {"pelvis": np.zeros((moments, 3))}
    # A forward lean turns the trunk about the left axis (z towards x), a twist about the vertical.
    trunk = rotation("z", _spread(posture.twist, moments) * -SIGN[side]) @ rotation("y", _spread(posture.lean, moments))
    frames: dict[str, Array] = {"trunk": trunk}
    joints["chest"] = joints["pelvis"] + trunk[:, :, 2] * build.length("trunk")
    joints["neck"] = joints["chest"] + trunk[:, :, 2] * build.length("neck")
    joints["head"] = joints["neck"] + trunk[:, :, 2] * build.length("head") * 0.5
    for which, arm, leg in (
        (side, posture.acting_arm, posture.acting_leg),
        (other(side), posture.other_arm, posture.other_leg),
    ):
        _add_arm(joints, frames, build, arm, which)
        _add_leg(joints, frames, build, leg, which)
    return Pose(_put_on_floor(joints, build, _spread(posture.lift, moments)), frames)


def _spread(angle: Angle, moments: int) -> Array:
    return np.broadcast_to(np.asarray(angle, dtype=np.float64), (moments,))


def _add_arm(joints: dict[str, Array], frames: dict[str, Array], build: Build, arm: Arm, side: Side) -> None:
    trunk, sign, moments = frames["trunk"], SIGN[side], len(joints["pelvis"])
    upper = (
        trunk
        @ rotation("x", sign * _spread(arm.abduction, moments))
        @ rotation("y", -_spread(arm.flexion, moments))
        @ rotation("z", -sign * _spread(arm.rotation, moments))
    )
    fore = upper @ rotation("y", -_spread(arm.elbow, moments))
    shoulder = joints["chest"] + trunk[:, :, 1] * (sign * build.length("shoulder"))
    elbow = shoulder - upper[:, :, 2] * build.length("upper_arm")
    wrist = elbow - fore[:, :, 2] * build.length("forearm")
    joints.update({f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist})
    joints[f"{side}_hand"] = wrist - fore[:, :, 2] * build.length("hand")
    frames.update({f"{side}_upper_arm": upper, f"{side}_forearm": fore})


def _add_leg(joints: dict[str, Array], frames: dict[str, Array], build: Build, leg: Leg, side: Side) -> None:
    sign, moments = SIGN[side], len(joints["pelvis"])
    thigh = rotation("x", sign * _spread(leg.abduction, moments)) @ rotation("y", -_spread(leg.flexion, moments))
    shin = thigh @ rotation("y", _spread(leg.knee, moments))
    hip = joints["pelvis"] + np.array([0.0, sign * build.length("hip"), 0.0])
    knee = hip - thigh[:, :, 2] * build.length("thigh")
    ankle = knee - shin[:, :, 2] * build.length("shin")
    joints.update({f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle})
    joints[f"{side}_toe"] = ankle + shin[:, :, 0] * build.length("foot")
    frames.update({f"{side}_thigh": thigh, f"{side}_shin": shin})


def _put_on_floor(joints: Mapping[str, Array], build: Build, lift: Array) -> dict[str, Array]:
    """Raise the body so that the lower ankle has its height above the floor, going over smoothly from foot to foot."""
    reach = -np.stack([joints["left_ankle"][:, 2], joints["right_ankle"][:, 2]]) / _WEIGHT_SHIFT_M
    longest = reach.max(axis=0)
    height = _WEIGHT_SHIFT_M * (longest + np.log(np.exp(reach - longest).mean(axis=0)))
    up = np.zeros((len(lift), 3))
    up[:, 2] = height + build.length("ankle") + lift
    return {name: position + up for name, position in joints.items()}
