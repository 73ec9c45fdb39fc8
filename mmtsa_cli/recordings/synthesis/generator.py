"""The synthetic recordings: which clips there are, and the files of one clip.

Every random choice of a clip comes from its own seed, made of (seed, subject, session, activity), so that a clip is the
same whatever is made beside it and in whatever order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmtsa_cli.errors import UsageError
from mmtsa_cli.recordings.index import Dataset, ModalitySpec, Recording
from mmtsa_cli.recordings.series import Series
from mmtsa_cli.recordings.synthesis.activities import ACTIVITIES, TEMPI, Activity, ceilings, partitions
from mmtsa_cli.recordings.synthesis.body import Array, Pose, pose
from mmtsa_cli.recordings.synthesis.files import csv_bytes, encode
from mmtsa_cli.recordings.synthesis.invented import gesture_of, invented_activities
from mmtsa_cli.recordings.synthesis.people import ROOMS, Person, Session, draw_person, draw_session
from mmtsa_cli.recordings.synthesis.rendering import Image, render
from mmtsa_cli.recordings.synthesis.sensors import (
    SENSORS,
    Placement,
    Worn,
    measure,
    place,
    worn_anywhere,
    worn_as_usual,
)
from mmtsa_cli.recordings.synthesis.timing import FRAME_RATE, Timing, draw_timing, frame_count

_PERSON, _SESSION, _TIMING, _SENSORS, _EXTENT, _WORN = range(6)

OBSERVATION = (
    "video: an unordered set of frames of a clip, drawn without their times (sparse sampling); sensors: the series of "
    "all sensors; both: the two together. An observer of neighbouring frames, or of frames at known times, could "
    "measure the tempo and pass the ceiling of video."
)


@dataclass(frozen=True)
class SynthesisOptions:
    """How much is recorded.

    Attributes
    ----------
    subjects : int
        At least 2, so that one can be tested.
    repeats : int
        Sessions of each subject; every activity is performed once in each.
    size : int
        Width and height of the frames in pixels, even (H.264 halves the colour planes).
    seconds : float
        A clip lasts the largest prime number of frames within this time.
    gestures : int
        Invented gestures (see `invented`), each one more activity.
    wear : "usual" or "anywhere"
        The phone in the pocket and the watch on the wrist; or each anywhere on the body, in any orientation, drawn for
        every session of a subject.
    video : bool
        False: sensors alone, in a fraction of the time.
    """

    subjects: int = 8
    repeats: int = 3
    size: int = 128
    seconds: float = 6.0
    gestures: int = 0
    wear: Literal["usual", "anywhere"] = "usual"
    video: bool = True

    @property
    def has_ceilings(self) -> bool:
        """Whether the best possible accuracy is known: of the planned activities, on devices worn as planned."""
        return not self.gestures and self.wear == "usual"

    @property
    def modalities(self) -> tuple[str, ...]:
        """What is recorded."""
        return ("rgb", *SENSORS) if self.video else tuple(SENSORS)


LIMITS: Mapping[str, tuple[float, float]] = {
    "subjects": (2, 999),
    "repeats": (1, 99),
    "size": (32, 1080),
    "seconds": (2.0, 120.0),
    "gestures": (0, 999),
}


@dataclass(frozen=True)
class Clip:
    """One recording to be made.

    Attributes
    ----------
    activity : Activity
    subject, session : int
        From 1.
    seed : int
        Of the whole data set.
    draw : int
        What tells the random choices of this clip from those of the session's other clips.
    """

    activity: Activity
    subject: int
    session: int
    seed: int
    draw: int

    @property
    def id(self) -> str:
        """Name of the recording."""
        return f"s{self.subject:02d}_e{self.session:02d}_{self.activity.name}"

    @property
    def room(self) -> int:
        """Where it is recorded, 0 to ROOMS - 1."""
        return (self.subject + self.session) % ROOMS

    def person(self) -> Person:
        """Draw the subject."""
        return draw_person(self.subject, np.random.default_rng([self.seed, _PERSON, self.subject]))

    def surroundings(self) -> Session:
        """Draw clothes, light and camera."""
        return draw_session(self.room, np.random.default_rng([self.seed, _SESSION, self.subject, self.session]))

    def rng(self, purpose: int) -> np.random.Generator:
        """Return the clip's own random numbers for one purpose."""
        return np.random.default_rng([self.seed, purpose, self.subject, self.session, self.draw])


@dataclass(frozen=True)
class Performance:
    """A person performing a gesture: the body's pose as a function of phase, the phase as a function of time."""

    clip: Clip
    person: Person
    timing: Timing
    extent: float
    worn: Mapping[str, Worn]

    def pose_at(self, phase: Array) -> Pose:
        """Return the pose at phases (n,) in cycles."""
        posture = gesture_of(self.clip.activity.gesture, seed=self.clip.seed)(phase, self.extent)
        return pose(self.person.build, posture, self.person.side, moments=len(phase))

    def placement(self, device: str, heading: float) -> Placement:
        """Return where a device is at any time."""

        def at(times: Array) -> tuple[Array, Array]:
            return place(self.pose_at(self.timing.phase(times)), self.worn[device], heading=heading)

        return at


def check(options: SynthesisOptions) -> None:
    """Refuse options out of range.

    Raises
    ------
    UsageError
    """
    for name, (low, high) in LIMITS.items():
        value = getattr(options, name)
        if not low <= value <= high:
            raise UsageError("out of range", where=f"--{name}", expected=f"{low:g} to {high:g}", found=f"{value:g}")
    if options.size % 2:
        remedy = f"give {options.size - 1} or {options.size + 1}"
        raise UsageError("H.264 needs an even size", where=f"--size {options.size}", remedy=remedy)


def plan(options: SynthesisOptions, *, seed: int) -> tuple[Clip, ...]:
    """Return the clips of a data set, by subject, session and activity."""
    return tuple(
        Clip(activity, subject, session, seed, draw)
        for subject in range(1, options.subjects + 1)
        for session in range(1, options.repeats + 1)
        for draw, activity in enumerate(activities(options, seed=seed))
    )


def activities(options: SynthesisOptions, *, seed: int) -> tuple[Activity, ...]:
    """Return the planned activities, then the invented ones."""
    return (*ACTIVITIES, *invented_activities(options.gestures, seed=seed))


def perform(clip: Clip, options: SynthesisOptions) -> Performance:
    """Draw how the subject performs in this clip."""
    person = clip.person()
    timing = draw_timing(clip.activity.tempo, options.seconds, hurry=person.hurry, rng=clip.rng(_TIMING))
    extent = person.extent * float(clip.rng(_EXTENT).uniform(0.96, 1.04))
    return Performance(clip, person, timing, extent, _worn(clip, person, options))


def _worn(clip: Clip, person: Person, options: SynthesisOptions) -> dict[str, Worn]:
    if options.wear == "usual":
        return {
            device: worn_as_usual(device, person.build, person.side, mount) for device, mount in person.mounts.items()
        }
    rng = np.random.default_rng([clip.seed, _WORN, clip.subject, clip.session])
    return {device: worn_anywhere(person.build, rng) for device in person.mounts}


def frames(performance: Performance, options: SynthesisOptions) -> Iterator[Image]:
    """Yield the frames of a clip in order of time, (size, size, 3) uint8, blue-green-red."""
    clip, (phases, _) = performance.clip, performance.timing.frame_phases()
    body = performance.pose_at(phases)
    return render(body, performance.person, clip.surroundings(), clip.activity.prop, size=options.size)


def series(performance: Performance) -> dict[str, Series]:
    """Return what each sensor records in a clip."""
    rng = performance.clip.rng(_SENSORS)
    # The phone's top points about south, so that its azimuth stays clear of the step from 360 to 0.
    south = 180.0 if performance.person.side == "right" else 0.0
    heading = float(np.deg2rad(south + rng.uniform(-60, 60)))
    return {
        name: measure(
            name,
            performance.placement(sensor.device, heading),
            performance.timing.duration,
            bias=performance.person.biases[name],
            rng=rng,
        )
        for name, sensor in SENSORS.items()
    }


def paths(clip: Clip, options: SynthesisOptions) -> dict[str, str]:
    """Return the files of a clip by modality, relative to the data set."""
    place_of = f"subject{clip.subject}/session{clip.session}/{clip.activity.name}"
    return {name: f"{name}/{place_of}.{'mp4' if name == 'rgb' else 'csv'}" for name in options.modalities}


def write_clip(clip: Clip, root: Path, options: SynthesisOptions) -> str:
    """Write the files of one clip below `root` and return its id.

    Raises
    ------
    OSError
        The place cannot be written.
    """
    performance = perform(clip, options)
    contents = {}
    if options.video:
        contents["rgb"] = encode(frames(performance, options), size=options.size, rate=FRAME_RATE)
    for name, measured in series(performance).items():
        contents[name] = csv_bytes(measured, decimals=SENSORS[name].decimals)
    for name, relative in paths(clip, options).items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[name])
    return clip.id


def describe(options: SynthesisOptions, root: Path, *, seed: int) -> Dataset:
    """Return the index of the data set: its recordings, protocols, and what can be known of each activity at best."""
    modalities = {"rgb": ModalitySpec("video", rate=float(FRAME_RATE))} if options.video else {}
    for name, sensor in SENSORS.items():
        modalities[name] = ModalitySpec("sensor", sensor.rate, sensor.unit, columns=sensor.columns, time="time")
    recordings = tuple(
        Recording(
            clip.id,
            clip.activity.name,
            {"subject": str(clip.subject), "session": str(clip.session), "scene": str(clip.room + 1)},
            {name: root / relative for name, relative in paths(clip, options).items()},
        )
        for clip in plan(options, seed=seed)
    )
    return Dataset(
        name="synthetic",
        root=root,
        modalities=modalities,
        recordings=recordings,
        protocols=protocols(options),
        default_protocol="cross-subject",
        notes=notes(options, seed=seed),
    )


def protocols(options: SynthesisOptions) -> dict[str, dict[str, Any]]:
    """Return the splits: tested are the last quarter of the subjects, each subject in turn, the last session."""
    subjects = [str(number) for number in range(1, options.subjects + 1)]
    sessions = [str(number) for number in range(1, options.repeats + 1)]
    tested = max(1, options.subjects // 4)
    splits: dict[str, dict[str, Any]] = {
        "cross-subject": {"train": {"subject": subjects[:-tested]}, "test": {"subject": subjects[-tested:]}},
        "leave-one-subject-out": {"leave_one_out": "subject"},
    }
    if len(sessions) > 1:
        splits["cross-session"] = {"train": {"session": sessions[:-1]}, "test": {"session": sessions[-1:]}}
    return splits


def notes(options: SynthesisOptions, *, seed: int) -> dict[str, Any]:
    """Return what `dataset.yaml` says beside the usual: what an activity is, and ceilings with what they follow from.

    Of invented gestures and of devices worn anywhere no ceiling is known.
    """
    about = {
        "definition": {
            activity.name: {"gesture": activity.gesture, "tempo": activity.tempo, "prop": activity.prop}
            for activity in activities(options, seed=seed)
        },
        "tempi_hz": {name: list(band) for name, band in TEMPI.items()},
    }
    if not options.has_ceilings:
        return about
    return {
        "ceilings": {name: round(float(value), 6) for name, value in _ceilings(options).items()},
        "ceilings_exact": {name: str(value) for name, value in _ceilings(options).items()},
        "observation": OBSERVATION,
        "indistinguishable": {name: [list(members) for members in classes] for name, classes in partitions().items()},
        **about,
    }


def _ceilings(options: SynthesisOptions) -> dict[str, Fraction]:
    return {name: value for name, value in ceilings().items() if options.video or name == "sensors"}


def facts(options: SynthesisOptions) -> dict[str, Any]:
    """Return what the data set holds, counted, and its ceilings."""
    frames_each = frame_count(options.seconds)
    return {
        "clips": options.subjects * options.repeats * (len(ACTIVITIES) + options.gestures),
        "activities": len(ACTIVITIES) + options.gestures,
        "subjects": options.subjects,
        "sessions": options.repeats,
        "frames_per_clip": frames_each,
        "seconds_per_clip": round(frames_each / FRAME_RATE, 3),
        "ceilings": {name: round(float(value), 6) for name, value in _ceilings(options).items()}
        if options.has_ceilings
        else None,
    }
