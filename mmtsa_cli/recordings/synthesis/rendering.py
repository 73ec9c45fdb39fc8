"""Frames of a body in a pose: convex hulls of balls, painted from far to near, with soft edges and a lit side.

A frame depends on the pose, the person, the session and the prop, and on nothing else: no noise, no motion blur.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.recordings.synthesis.body import SIGN, Array, Build, Pose, Side, rotation
from mmtsa_cli.recordings.synthesis.people import Colour, Person, Session

Image = NDArray[np.uint8]
Outline = NDArray[np.int32]
_SUBPIXEL_BITS = 4
_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 16)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 16)[:-1])], axis=1)


@dataclass(frozen=True)
class Solid:
    """The convex hull of balls.

    Attributes
    ----------
    centres : (n, m, 3)
        Metres, at n moments.
    radii : (m,)
    colour : Colour
    nearer : float
        Metres by which it is painted as if it were nearer to the camera.
    """

    centres: Array
    radii: Array
    colour: Colour
    nearer: float = 0.0


@dataclass(frozen=True)
class Piece:
    """A part of a prop: balls in axes of the hand (x across the palm, y left, z from fingers to elbow)."""

    centres: tuple[tuple[float, float, float], ...]
    radii: tuple[float, ...]
    colour: Colour


_WOOD: Colour = (70, 110, 150)


def _box(centre: tuple[float, float, float], half: float) -> tuple[tuple[float, float, float], ...]:
    x, y, z = centre
    signs = (-1, 1)
    return tuple((x + half * i, y + half * j, z + half * k) for i in signs for j in signs for k in signs)


PROPS: Mapping[str, tuple[Piece, ...]] = {
    "cup": (
        Piece(((0.0, 0.0, -0.03), (0.17, 0.0, -0.03)), (0.065, 0.085), (30, 30, 225)),
        Piece(((0.17, 0.0, -0.03), (0.19, 0.0, -0.03)), (0.08, 0.08), (240, 240, 250)),
    ),
    "handset": (
        Piece(((-0.1, 0.0, -0.03), (0.24, 0.0, -0.03)), (0.045, 0.045), (225, 110, 20)),
        Piece(((0.05, 0.0, -0.06), (0.2, 0.0, -0.06)), (0.03, 0.03), (250, 235, 130)),
    ),
    "hammer": (
        Piece(((-0.06, 0.0, -0.03), (0.34, 0.0, -0.03)), (0.022, 0.022), (60, 120, 180)),
        Piece(((0.34, 0.0, -0.17), (0.34, 0.0, 0.13)), (0.07, 0.05), (45, 40, 38)),
    ),
    "swatter": (
        Piece(((-0.06, 0.0, -0.03), (0.28, 0.0, -0.03)), (0.022, 0.022), (235, 235, 235)),
        Piece(((0.34, 0.0, -0.03), (0.46, 0.0, -0.03)), (0.12, 0.12), (60, 215, 70)),
    ),
    "crate": (Piece(_box((0.0, 0.0, 0.0), 0.17), (0.012,) * 8, (25, 130, 235)),),
    "ball": (Piece(((0.0, 0.0, 0.0),), (0.22,), (190, 60, 170)),),
    "stool": (
        Piece(
            ((-0.1, -0.15, -0.11), (-0.1, 0.15, -0.11), (0.12, -0.15, -0.11), (0.12, 0.15, -0.11)), (0.03,) * 4, _WOOD
        ),
        Piece(((0.0, 0.0, -0.12), (0.0, 0.0, -0.44)), (0.05, 0.09), _WOOD),
    ),
}
"""What a hand holds, both hands hold (crate, ball), or the body sits on (stool)."""
_IN_BOTH_HANDS = frozenset({"crate", "ball"})


def render(pose: Pose, person: Person, session: Session, prop: str | None, *, size: int) -> Iterator[Image]:
    """Yield one square frame (size, size, 3) uint8, blue-green-red, for each of the pose's n moments."""
    solids = body_solids(pose, person, session)
    if prop is not None:
        solids += prop_solids(pose, prop, person.side)
    room = background(session, size=size)
    _paint_shadow(room, (0.5 + session.shift_x) * size, session)
    outlines, depths = zip(*(project(solid, person, session, size=size) for solid in solids), strict=True)
    shades = [_shades(solid.colour, session) for solid in solids]
    farthest_first = np.argsort(-np.stack(depths), axis=0, kind="stable").T.tolist()
    for moment, order in enumerate(farthest_first):
        frame = room.copy()
        for index in order:
            _paint(frame, outlines[index][moment], shades[index])
        yield frame


def body_solids(pose: Pose, person: Person, session: Session) -> list[Solid]:
    """Return the parts of a clothed body."""
    build, joints = person.build, pose.joints
    solids = [
        _hull(
            joints, build, ("left_shoulder", "right_shoulder", "left_hip", "right_hip"), (52, 52, 62, 62), session.shirt
        ),
        _hull(joints, build, ("pelvis", "left_hip", "right_hip"), (70, 78, 78), session.trousers),
        _hull(joints, build, ("chest", "neck"), (48, 46), person.skin),
        _hull(joints, build, ("neck", "head"), (72, 98), person.skin, nearer=0.03),
        Solid(_behind_head(pose, build), np.array([0.1]) * _scale(build), person.hair),
    ]
    for side in ("left", "right"):
        solids += [
            _hull(joints, build, (f"{side}_shoulder", f"{side}_elbow"), (58, 44), session.shirt, nearer=0.04),
            _hull(joints, build, (f"{side}_elbow", f"{side}_wrist"), (42, 34), person.skin, nearer=0.05),
            _hull(joints, build, (f"{side}_wrist", f"{side}_hand"), (36, 46), person.skin, nearer=0.06),
            _hull(joints, build, (f"{side}_hip", f"{side}_knee"), (84, 58), session.trousers),
            _hull(joints, build, (f"{side}_knee", f"{side}_ankle"), (56, 40), session.trousers),
            _hull(joints, build, (f"{side}_ankle", f"{side}_toe"), (44, 36), session.shoes),
        ]
    return solids


def prop_solids(pose: Pose, prop: str, side: Side) -> list[Solid]:
    """Return the parts of what the acting hand or both hands hold, or of what the body sits on."""
    pieces, nearer = PROPS[prop], 0.10
    frame = pose.frames[f"{side}_forearm"]
    origin = pose.joints[f"{side}_hand"]
    if prop in _IN_BOTH_HANDS:
        frame = pose.frames["trunk"]
        origin = (pose.joints["left_hand"] + pose.joints["right_hand"]) / 2
    elif prop == "stool":
        frame, nearer = np.broadcast_to(np.eye(3), frame.shape), -0.4
        origin = pose.joints["pelvis"]
    return [
        Solid(
            origin[:, None] + np.einsum("nij,mj->nmi", frame, np.array(piece.centres)),
            np.array(piece.radii),
            piece.colour,
            nearer=nearer + 0.01 * layer,
        )
        for layer, piece in enumerate(pieces)
    ]


def project(
    solid: Solid, person: Person, session: Session, *, size: int
) -> tuple[list[tuple[Outline, Outline]], Array]:
    """Return the outlines of a solid and of its lit side in the picture at each moment, and its distance.

    Returns
    -------
    list of ((k, 2) int32, (k, 2) int32)
        Convex polygons in sixteenths of a pixel.
    (n,)
        Metres, larger is farther.
    """
    turned = solid.centres @ camera(person.side, session).T
    scale = session.zoom * size
    across = (0.5 + session.shift_x) * size + turned[..., 1] * scale
    down = (0.93 + session.shift_y) * size - turned[..., 2] * scale
    # A pixel's centre, not its corner, is at its whole coordinates.
    middles = np.stack([across, down], axis=-1)[:, :, None, :] - 0.5
    radii = solid.radii[:, None, None] * scale
    towards_light = np.array([0.16 * session.light_from, -0.12])
    whole = _outlines(middles + radii * _CIRCLE)
    lit = _outlines(middles + radii * (0.72 * _CIRCLE + towards_light))
    return list(zip(whole, lit, strict=True)), -turned[..., 0].mean(axis=1) - solid.nearer


def _outlines(points: Array) -> list[Outline]:
    """Return the convex hull at each moment of points (n, m, k, 2) in pixels."""
    fixed = np.round(points * 2**_SUBPIXEL_BITS).astype(np.int32).reshape(len(points), -1, 2)
    return [cv2.convexHull(each) for each in fixed]


def camera(side: Side, session: Session) -> Array:
    """Return the rotation from the person's axes to the camera's: x towards it, y to the right, z up; (3, 3)."""
    return rotation("y", session.elevation) @ rotation("z", -SIGN[side] * session.yaw)


def background(session: Session, *, size: int) -> Image:
    """Return the empty room of a session, (size, size, 3) uint8."""
    rng = np.random.default_rng([2024, session.room])
    # Walls and floors are greyish: strong colours are the props'.
    wall = rng.integers(135, 195) + rng.integers(-16, 17, 3)
    floor = rng.integers(80, 130) + rng.integers(-14, 15, 3)
    rows = np.linspace(0.0, 1.0, size)[:, None, None]
    columns = np.linspace(-1.0, 1.0, size)[None, :, None]
    horizon = 0.74 + session.shift_y
    room = np.where(rows < horizon, wall * (0.86 + 0.2 * rows), floor * (0.8 + 0.5 * (rows - horizon)))
    canvas = np.ascontiguousarray(np.clip(room + np.zeros((1, size, 1)), 0, 255).astype(np.uint8))
    for left in (0.04, 0.78):
        _furnish(canvas, left + session.shift_x, horizon, rng)
    lit = canvas * (1.0 + 0.12 * session.light_from * columns) * session.light * np.array(session.tint)
    return np.clip(lit, 0, 255).astype(np.uint8)


def _furnish(canvas: Image, left: float, horizon: float, rng: np.random.Generator) -> None:
    """Hang a picture or stand a cupboard at one side of the room."""
    size = len(canvas)
    standing = rng.random() < 0.5
    top = rng.uniform(0.3, 0.45) if standing else rng.uniform(0.08, 0.2)
    bottom = horizon + 0.03 if standing else top + rng.uniform(0.15, 0.28)
    first = (round(left * size), round(top * size))
    last = (round((left + 0.17) * size), round(bottom * size))
    grey = int(rng.integers(60, 230))
    cv2.rectangle(canvas, first, last, (grey, grey, min(255, grey + 14)), -1)
    cv2.rectangle(canvas, first, last, (grey // 2, grey // 2, grey // 2), max(1, size // 96))


def _scale(build: Build) -> float:
    return build.girth * build.height / 1.7


def _hull(
    joints: Mapping[str, Array],
    build: Build,
    names: tuple[str, ...],
    millimetres: tuple[int, ...],
    colour: Colour,
    *,
    nearer: float = 0.0,
) -> Solid:
    centres = np.stack([joints[name] for name in names], axis=1)
    return Solid(centres, np.array(millimetres) / 1000 * _scale(build), colour, nearer)


def _behind_head(pose: Pose, build: Build) -> Array:
    trunk = pose.frames["trunk"]
    offset = trunk[:, :, 2] * (0.03 * _scale(build)) - trunk[:, :, 0] * (0.035 * _scale(build))
    return (pose.joints["head"] + offset)[:, None]


def _shades(colour: Colour, session: Session) -> tuple[Colour, Colour]:
    """Return a colour in the session's light, on its dark and on its lit side."""
    base = np.array(colour) * session.light * np.array(session.tint)
    dark, lit = np.clip(base * 0.72, 0, 255), np.clip(base + 4, 0, 255)
    return tuple(int(value) for value in dark), tuple(int(value) for value in lit)  # type: ignore[return-value]


def _paint(frame: Image, outlines: tuple[Outline, Outline], shades: tuple[Colour, Colour]) -> None:
    for outline, shade in zip(outlines, shades, strict=True):
        cv2.fillConvexPoly(frame, outline, shade, cv2.LINE_AA, _SUBPIXEL_BITS)


def _paint_shadow(frame: Image, middle: float, session: Session) -> None:
    """Darken the floor below the body, which stands at `middle` of the picture's width in pixels."""
    size, unit = len(frame), 2**_SUBPIXEL_BITS
    centre = (round(middle * unit), round((0.93 + session.shift_y) * size * unit))
    axes = (round(0.17 * size * unit), round(0.022 * size * unit))
    shade = tuple(round(0.7 * int(value)) for value in frame[round(0.88 * size), size // 2])
    cv2.ellipse(frame, centre, axes, 0, 0, 360, shade, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
