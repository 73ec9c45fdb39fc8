"""Who performs, and in what surroundings: everything that differs between recordings of one activity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmtsa_cli.recordings.synthesis.body import Array, Build, Side
from mmtsa_cli.recordings.synthesis.sensors import SENSORS, mounting

Colour = tuple[int, int, int]
"""Blue, green, red, 0 to 255, as OpenCV has them."""

ROOMS = 4
_SKINS: tuple[Colour, ...] = ((172, 196, 228), (140, 172, 214), (110, 148, 198), (70, 100, 150), (48, 66, 104))
_HAIRS: tuple[Colour, ...] = ((30, 34, 42), (40, 66, 100), (90, 140, 190), (120, 124, 130))


@dataclass(frozen=True)
class Person:
    """One subject.

    Attributes
    ----------
    build : Build
    side : "left" or "right"
        The hand that acts; it wears the watch, and the phone is in the pocket below it.
    extent : float
        How far the person moves, 1 for the average.
    hurry : float
        0 to 1: where in a tempo's band the person moves by habit.
    skin, hair : Colour
    mounts : dict of str to (3, 3)
        How each device is worn.
    biases : dict of str to (3,)
        Of each sensor, in its own standard deviations.
    """

    build: Build
    side: Side
    extent: float
    hurry: float
    skin: Colour
    hair: Colour
    mounts: dict[str, Array]
    biases: dict[str, Array]


@dataclass(frozen=True)
class Session:
    """What a subject wears on a day, and where the camera stands.

    Attributes
    ----------
    shirt, trousers, shoes : Colour
    room : int
        0 to ROOMS - 1.
    light : float
        Brightness, 1 for the average.
    tint : (3,)
        Factors of blue, green, red.
    light_from : float
        -1 (left of the picture) to 1.
    yaw, elevation : float
        Radians by which the person is turned to the acting side, and the camera looks down.
    zoom, shift_x, shift_y : float
        Of the camera: picture heights a metre, and parts of the picture's height.
    """

    shirt: Colour
    trousers: Colour
    shoes: Colour
    room: int
    light: float
    tint: tuple[float, float, float]
    light_from: float
    yaw: float
    elevation: float
    zoom: float
    shift_x: float
    shift_y: float


def draw_person(subject: int, rng: np.random.Generator) -> Person:
    """Draw a subject; every fourth is left-handed."""
    side: Side = "left" if subject % 4 == 0 else "right"
    build = Build(float(np.clip(rng.normal(1.70, 0.08), 1.52, 1.88)), float(rng.uniform(0.88, 1.16)))
    return Person(
        build=build,
        side=side,
        extent=float(rng.uniform(0.9, 1.06)),
        hurry=float(rng.random()),
        skin=_SKINS[rng.integers(len(_SKINS))],
        hair=_HAIRS[rng.integers(len(_HAIRS))],
        mounts={device: mounting(device, side, rng.normal(0.0, 0.12, 3)) for device in ("phone", "watch")},
        biases={name: rng.normal(0.0, 1.0, 3) for name in SENSORS},
    )


def draw_session(room: int, rng: np.random.Generator) -> Session:
    """Draw the clothes, light and camera of one subject's session in a room."""
    return Session(
        shirt=_muted(rng, 0.25, 0.5, (90, 225)),
        trousers=_muted(rng, 0.1, 0.45, (50, 120)),
        shoes=_muted(rng, 0.0, 0.2, (25, 235)),
        room=room,
        light=float(rng.uniform(0.82, 1.12)),
        tint=(float(rng.uniform(0.93, 1.04)), 1.0, float(rng.uniform(0.95, 1.05))),
        light_from=float(rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0)),
        yaw=float(np.deg2rad(rng.uniform(22, 44))),
        elevation=float(np.deg2rad(rng.uniform(4, 13))),
        zoom=float(rng.uniform(0.40, 0.44)),
        shift_x=float(rng.uniform(-0.05, 0.05)),
        shift_y=float(rng.uniform(-0.015, 0.015)),
    )


def _muted(rng: np.random.Generator, low: float, high: float, brightness: tuple[int, int]) -> Colour:
    """Draw a colour of low saturation: strong colours are the props'."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(low, high), rng.uniform(*brightness) / 255)
    return round(blue * 255), round(green * 255), round(red * 255)
