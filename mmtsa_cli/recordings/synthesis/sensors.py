"""What a phone in the trouser pocket and a watch on the acting wrist read while the body moves.

A device is a frame that travels with a limb: its position p(t) in the world (metres, z up) and its rotation R(t) from
its own axes to the world's. Derivatives are central differences over a millisecond on either side of the very moment
of a sample, so that uneven stamps cost no accuracy. Frames and signs are Android's, as in MMAct: an accelerometer at
rest reads +g along the axis that points up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mmtsa_cli.recordings.series import Series
from mmtsa_cli.recordings.synthesis.body import SIGN, Array, Build, Pose, Side, rotation

GRAVITY = 9.80665
"""m/s^2."""
_STEP_S = 1e-3

Placement = Callable[[Array], tuple[Array, Array]]
"""Times (n,) in seconds to positions (n, 3) in metres and rotations (n, 3, 3) from device to world."""


@dataclass(frozen=True)
class Sensor:
    """One sensor of the rig.

    Attributes
    ----------
    device : "phone" or "watch"
    rate : float
        Nominal samples a second.
    unit : str
    columns : (str, str, str)
    noise, bias : float
        Standard deviations: of each sample, and of what is added to all samples of a person's device, in `unit`.
    decimals : int
        Digits kept in a file.
    """

    device: str
    rate: float
    unit: str
    columns: tuple[str, str, str]
    noise: float
    bias: float
    decimals: int = 3


SENSORS: Mapping[str, Sensor] = {
    "acc_phone": Sensor("phone", 100.0, "m/s^2", ("x", "y", "z"), 0.05, 0.08),
    "acc_watch": Sensor("watch", 100.0, "m/s^2", ("x", "y", "z"), 0.06, 0.08),
    "gyro": Sensor("phone", 50.0, "rad/s", ("x", "y", "z"), 0.008, 0.006, 4),
    "orientation": Sensor("phone", 50.0, "degree", ("azimuth", "pitch", "roll"), 0.25, 1.5, 2),
}
"""The sensors of MMAct, with its rates."""

# Physiological tremor of a held-out limb: 8 to 12 Hz, and far below what a camera shows.
_TREMOR_HZ = (8.0, 12.0)
_TREMOR = {"acc_watch": 0.12, "acc_phone": 0.03}
_STAMP_JITTER_S = 8e-4


def specific_force(placement: Placement, times: Array) -> Array:
    """Return what an ideal accelerometer reads: R^T (p'' + g z).

    Parameters
    ----------
    placement : callable
    times : (n,)
        Seconds.

    Returns
    -------
    (n, 3)
        m/s^2 along the device's axes.
    """
    (before, now, after), (_, rotations, _) = _around(placement, times)
    force = (before - 2 * now + after) / _STEP_S**2
    force[:, 2] += GRAVITY
    return np.einsum("nji,nj->ni", rotations, force)


def angular_velocity(placement: Placement, times: Array) -> Array:
    """Return what an ideal gyroscope reads: the vector of the skew matrix R^T R'.

    Returns
    -------
    (n, 3)
        rad/s about the device's axes.
    """
    _, (before, now, after) = _around(placement, times)
    skew = np.einsum("nji,njk->nik", now, (after - before) / (2 * _STEP_S))
    return 0.5 * np.stack(
        [skew[:, 2, 1] - skew[:, 1, 2], skew[:, 0, 2] - skew[:, 2, 0], skew[:, 1, 0] - skew[:, 0, 1]], axis=1
    )


def _around(placement: Placement, times: Array) -> tuple[list[Array], list[Array]]:
    """Return positions and rotations a step before, at and a step after each time, evaluated in one go."""
    positions, rotations = placement(np.concatenate([times - _STEP_S, times, times + _STEP_S]))
    return np.split(positions, 3), np.split(rotations, 3)


def orientation_angles(rotations: Array) -> Array:
    """Return azimuth (0 to 360), pitch (-90 to 90) and roll (-180 to 180) in degrees, as Android defines them.

    Parameters
    ----------
    rotations : (n, 3, 3)
        From device to world (x east, y north, z up).

    Returns
    -------
    (n, 3)
    """
    azimuth = np.arctan2(rotations[:, 0, 1], rotations[:, 1, 1])
    pitch = np.arcsin(np.clip(-rotations[:, 2, 1], -1.0, 1.0))
    roll = np.arctan2(-rotations[:, 2, 0], rotations[:, 2, 2])
    angles = np.degrees(np.stack([azimuth, pitch, roll], axis=1))
    angles[:, 0] %= 360.0
    return angles


def ideal(name: str, placement: Placement, times: Array) -> Array:
    """Return what the sensor `name` would read without noise and bias, (n, 3) in its unit."""
    if name.startswith("acc"):
        return specific_force(placement, times)
    if name == "gyro":
        return angular_velocity(placement, times)
    return orientation_angles(placement(times)[1])


def mounting(device: str, side: Side, tilt: Array) -> Array:
    """Return the rotation from a device's axes to those of the limb that carries it, (3, 3).

    The phone stands slanted in the front pocket, its screen outwards; the watch has x along the forearm to the hand
    and its face on the back of the wrist.

    Parameters
    ----------
    device : "phone" or "watch"
    side : "left" or "right"
        The acting side.
    tilt : (3,)
        Radians about the device's x, y and z by which this person wears it otherwise.
    """
    tilted = rotation("x", tilt[0]) @ rotation("y", tilt[1]) @ rotation("z", tilt[2])
    if device == "phone":
        # Columns: the device's x, y, z in axes of the thigh (x forward, y left, z up).
        upright = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        return upright @ rotation("z", SIGN[side] * np.deg2rad(35)) @ tilted
    outwards = SIGN[side]
    along = np.array([0.0, 0.0, -1.0])
    face = np.array([0.0, outwards, 0.0])
    return np.stack([along, np.cross(face, along), face], axis=1) @ tilted


@dataclass(frozen=True)
class Worn:
    """How a device is worn.

    Attributes
    ----------
    limb, joint : str
        The frame of a pose that it turns with, and the joint where that limb begins.
    offset : (3,)
        Metres from the joint, in the limb's axes.
    mount : (3, 3)
        Rotation from the device's axes to the limb's.
    """

    limb: str
    joint: str
    offset: Array
    mount: Array


def worn_as_usual(device: str, build: Build, side: Side, mount: Array) -> Worn:
    """Return how the phone is worn in the pocket of a side, or the watch on its wrist; `mount` as of `mounting`."""
    if device == "phone":
        offset = np.array([0.06 * build.girth, 0.0, -0.35 * build.length("thigh")])
        return Worn(f"{side}_thigh", f"{side}_hip", offset, mount)
    return Worn(f"{side}_forearm", f"{side}_elbow", np.array([0.0, 0.0, -0.92 * build.length("forearm")]), mount)


_LIMBS: Mapping[str, str] = {"upper_arm": "shoulder", "forearm": "elbow", "thigh": "hip", "shin": "knee"}


def worn_anywhere(build: Build, rng: np.random.Generator) -> Worn:
    """Return a device that is worn on any limb or on the trunk, anywhere along it, in any orientation."""
    number, along = int(rng.integers(2 * len(_LIMBS) + 1)), rng.uniform(0.1, 0.95)
    mount = _any_rotation(rng)
    if number == 2 * len(_LIMBS):
        return Worn("trunk", "pelvis", np.array([0.1 * build.girth, 0.0, along * build.length("trunk")]), mount)
    part, side = list(_LIMBS)[number // 2], ("left", "right")[number % 2]
    # On the skin, on any side of the limb.
    around = rng.uniform(0, 2 * np.pi)
    skin = 0.05 * build.girth * np.array([np.cos(around), np.sin(around), 0.0])
    offset = skin - np.array([0.0, 0.0, along * build.length(part)])
    return Worn(f"{side}_{part}", f"{side}_{_LIMBS[part]}", offset, mount)


def _any_rotation(rng: np.random.Generator) -> Array:
    """Draw from all rotations alike (a unit quaternion of four normal numbers)."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def place(pose: Pose, worn: Worn, *, heading: float) -> tuple[Array, Array]:
    """Return where a device is in the world while the body is in `pose`.

    Parameters
    ----------
    worn : Worn
    heading : float
        Radians from the world's x axis (east) to where the person faces.

    Returns
    -------
    (n, 3), (n, 3, 3)
    """
    frame = pose.frames[worn.limb]
    position = pose.joints[worn.joint] + frame @ worn.offset
    turn = rotation("z", heading)
    return position @ turn.T, turn @ frame @ worn.mount


def stamps(rate: float, duration: float, rng: np.random.Generator) -> Array:
    """Return sample times in seconds as a real device gives them: begun a little late, uneven, to 0.1 ms."""
    regular = rng.uniform(0.0, 1.0 / rate) + np.arange(int(duration * rate)) / rate
    jitter = np.clip(rng.normal(0.0, _STAMP_JITTER_S, len(regular)), -3e-3, 3e-3)
    return np.round(np.maximum(regular + jitter, 0.0), 4).astype(np.float64)


def measure(name: str, placement: Placement, duration: float, *, bias: Array, rng: np.random.Generator) -> Series:
    """Return what the sensor `name` records over a clip, with noise, bias, tremor and uneven stamps.

    Parameters
    ----------
    name : str
        Key of `SENSORS`.
    placement : callable
    duration : float
        Seconds.
    bias : (3,)
        In units of the sensor's own standard deviation of bias.
    rng : numpy.random.Generator
    """
    sensor = SENSORS[name]
    times = stamps(sensor.rate, duration, rng)
    values = ideal(name, placement, times) + sensor.bias * bias
    values += rng.normal(0.0, sensor.noise, values.shape)
    if name in _TREMOR:
        frequency, start = rng.uniform(*_TREMOR_HZ, 3), rng.uniform(0, 2 * np.pi, 3)
        values += _TREMOR[name] * np.sin(2 * np.pi * frequency * times[:, None] + start)
    return Series(times, np.round(values, sensor.decimals), sensor.columns, sensor.rate)
