"""Motions and their offsets: what is put in is found, and what says nothing is not believed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from mmtsa_cli.recordings.consensus import RELIABLE, Consensus, consensus
from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.motion import GRID_HZ, Motion, sensor_motion, smoothed, video_motion
from mmtsa_cli.recordings.series import Series
from mmtsa_cli.recordings.synchrony import agreement, drift, estimate, shifts_s
from mmtsa_cli.recordings.synthesis import generator
from mmtsa_cli.recordings.video import Video, VideoInfo

GRAVITY = 9.80665


class Pictures(Video):
    """Frames in memory, at given times."""

    def __init__(self, times: Sequence[float], frames: Sequence[NDArray[np.uint8]]) -> None:
        self._times, self._frames = np.asarray(times), frames

    @property
    def info(self) -> VideoInfo:
        step = float(np.diff(self._times).mean())
        height, width = self._frames[0].shape[:2]
        return VideoInfo(float(self._times[-1]) + step, len(self._frames), 1 / step, width, height, grey=True)

    def probe(self) -> VideoInfo:
        return self.info

    def scan(self) -> VideoInfo:
        return self.info

    def close(self) -> None:
        pass

    def _frames_at(self, times_s: Sequence[float]) -> list[tuple[float, NDArray[np.uint8]]]:
        shown = np.clip(np.searchsorted(self._times, np.asarray(times_s) + 1e-6, side="right") - 1, 0, None)
        return [(float(self._times[index]), self._frames[index]) for index in shown]


def noise(seconds: float, seed: int, *, smooth_s: float = 0.15) -> NDArray[np.float64]:
    """Return an aperiodic motion."""
    values = smoothed(np.random.default_rng(seed).normal(size=round(seconds * GRID_HZ)), smooth_s)
    return (values - values.mean()) / values.std()


def related(seconds: float, seed: int, offset_s: float) -> tuple[Motion, Motion]:
    """Return two motions of one movement, half of each its own, the second to be moved by `offset_s` to agree."""
    common = noise(seconds, seed)
    first, second = (common + 0.5 * noise(seconds, 1000 * seed + which) for which in (1, 2))
    return Motion(0, first), Motion(-round(offset_s * GRID_HZ), second)


def swing(name: str, spec: ModalitySpec, *, seconds: float = 6.0, late_s: float = 0.0) -> Motion:
    """Return what a sensor on a pendulum feels that swings with a growing rate, its stamps late."""
    times = np.arange(round(seconds * 100)) / 100
    phase = 2 * np.pi * (0.5 * times + 0.06 * times**2)
    angle = 0.9 * np.sin(phase)
    rate = np.gradient(angle, times)
    if name == "gyro":
        values = np.stack([rate, 0 * rate, 0 * rate], axis=1)
    elif name == "orientation":
        # Crosses from 360 to 0.
        values = np.stack([np.degrees(angle) % 360, 0 * angle, 0 * angle], axis=1)
    else:
        forwards = 0.6 * np.gradient(rate, times) + GRAVITY * np.sin(angle)
        upwards = GRAVITY * np.cos(angle) + 0.6 * rate**2
        values = np.stack([forwards, 0 * angle, upwards], axis=1)
    return sensor_motion(Series(times + late_s, values, ("x", "y", "z"), 100.0), name, spec)


def found(reference: Motion, other: Motion, *, max_shift_s: float = 3.0) -> tuple[float, float]:
    evidence = agreement(reference, other, max_shift_s=max_shift_s)
    assert evidence is not None
    one = estimate(evidence, shifts_s(max_shift_s))
    return one.offset_s, one.confidence


@pytest.mark.parametrize("offset", [-2.0, -0.34, 0.0, 1.28])
def test_the_offset_of_two_related_motions_is_found_and_believed(offset: float) -> None:
    reference, other = related(20, 1, offset)
    at, confidence = found(reference, other)
    assert at == pytest.approx(offset, abs=0.03)
    assert confidence > 0.95


def test_an_offset_between_steps_of_the_grid_is_found() -> None:
    spec = ModalitySpec("sensor", unit="rad/s")
    at, _ = found(swing("gyro", spec), swing("gyro", spec, late_s=0.507))
    assert at == pytest.approx(-0.507, abs=0.004)


def test_a_periodic_movement_has_several_offsets_and_none_is_believed() -> None:
    wave = np.sin(2 * np.pi * np.arange(300) / GRID_HZ)
    at, confidence = found(Motion(0, wave), Motion(-20, wave))
    assert at % 1.0 == pytest.approx(0.4, abs=0.02)
    assert confidence < 0.6


@pytest.mark.parametrize(
    ("name", "unit"), [("acc_watch", None), ("imu", "m/s^2"), ("orientation", None), ("tilt", "degree")]
)
def test_every_sensor_of_a_swinging_limb_moves_when_a_gyroscope_does(name: str, unit: str | None) -> None:
    feels = "orientation" if unit == "degree" else name
    spec = ModalitySpec("sensor", unit=unit)
    at, _ = found(swing("gyro", ModalitySpec("sensor")), swing(feels, spec, late_s=-0.2))
    assert at == pytest.approx(0.2, abs=0.03)


def test_the_deviation_of_the_norm_alone_would_be_off_by_a_part_of_the_swing() -> None:
    # The reason why `sensor_motion` does not use it.
    times = np.arange(600) / 100
    angle = 0.9 * np.sin(2 * np.pi * (0.5 * times + 0.06 * times**2))
    rate = np.gradient(angle, times)
    force = np.hypot(0.6 * np.gradient(rate, times) + GRAVITY * np.sin(angle), GRAVITY * np.cos(angle) + 0.6 * rate**2)
    deviation = np.log(np.abs(force - np.median(force)) + 0.5)[::2]
    at, _ = found(swing("gyro", ModalitySpec("sensor")), Motion(0, smoothed(deviation - deviation.mean(), 0.06)))
    assert abs(at) > 0.08


def test_what_is_still_or_hardly_overlaps_is_not_compared() -> None:
    moving, still = Motion(0, noise(10, 1)), Motion(0, np.zeros(500))
    assert agreement(moving, still, max_shift_s=3) is None
    assert agreement(moving, Motion(0, np.zeros(0)), max_shift_s=3) is None
    assert agreement(moving, Motion(700, noise(10, 2)), max_shift_s=3) is None
    resting = Series(np.arange(300) / 100, np.full((300, 3), 5.0), ("x", "y", "z"), 100.0)
    assert sensor_motion(resting, "acc", ModalitySpec("sensor")).is_still


def test_flicker_and_cuts_are_no_motion() -> None:
    rng = np.random.default_rng(0)
    size = 48
    place = 10 + np.cumsum(0.5 + smoothed(rng.random(120) * 4, 0.1))
    frames = []
    for index, x in enumerate(place):
        picture = np.full((size, 8 * size), 60.0)
        picture[10:40, int(x) : int(x) + 20] = 200
        picture += 25 * (index % 7 == 0)
        frames.append(picture.astype(np.uint8))
    times = np.arange(120) / 20
    steady = video_motion(
        Pictures(times, [(frame - 25 * (i % 7 == 0)).astype(np.uint8) for i, frame in enumerate(frames)])
    )
    flickering = video_motion(Pictures(times, frames))
    assert np.corrcoef(steady.values, flickering.values)[0, 1] > 0.95
    cut = video_motion(Pictures(times, [*frames[:60], *(255 - frame for frame in frames[60:])]))
    assert np.corrcoef(flickering.values, cut.values)[0, 1] > 0.8
    assert video_motion(
        Pictures(times, [np.full((size, size), 90 + i % 5, dtype=np.uint8) for i in range(120)])
    ).is_still


def test_frames_stand_at_their_own_times() -> None:
    # Twice as slow in its second half: what moves by one pixel a frame there is half as fast.
    times = np.concatenate([np.arange(40) / 20, 2 + np.arange(40) / 10])
    frames = [np.zeros((40, 200), dtype=np.uint8) for _ in times]
    for index, frame in enumerate(frames):
        frame[10:30, 20 + 2 * index : 40 + 2 * index] = 255
    video = Pictures(times, frames)
    video.offset_s = 7.0
    motion = video_motion(video)
    assert motion.first / GRID_HZ == pytest.approx(7.05, abs=0.02)
    assert motion.values[:70].mean() - motion.values[140:].mean() == pytest.approx(np.log(2.1 / 1.1), abs=0.12)


@pytest.mark.parametrize("ms_per_minute", [0.0, -18.0, 60.0])
def test_drift_is_found(ms_per_minute: float) -> None:
    values = noise(180, 3)
    times = np.arange(len(values)) / GRID_HZ
    # The other clock runs slow where its offset grows.
    drifted = np.interp(times * (1 + ms_per_minute / 60e3), times, values) + 0.3 * noise(180, 4)
    grown = drift(Motion(0, values), Motion(-20, drifted), offset_s=0.4 + ms_per_minute / 1000 * 1.5)
    assert grown is not None
    assert grown.ms_per_minute == pytest.approx(ms_per_minute, abs=6)
    assert grown.confidence > 0.8


def test_short_recordings_say_nothing_of_drift_and_unrelated_ones_nothing_credible() -> None:
    assert drift(Motion(0, noise(59, 3)), Motion(0, noise(59, 3)), offset_s=0.0) is None
    grown = drift(Motion(0, noise(120, 3)), Motion(0, noise(120, 4)), offset_s=0.0)
    assert grown is not None
    assert grown.confidence < 0.5


def agreed(pairs: Sequence[tuple[Motion, Motion]], **settings: float) -> Consensus:
    one = consensus(pairs, ["walk"] * len(pairs), max_shift_s=settings.get("max_shift_s", 3.0))
    assert one is not None
    return one


def test_short_recordings_agree_where_each_alone_does_not_know() -> None:
    pairs = [related(4, seed, 1.5) for seed in range(1, 25)]
    one = agreed(pairs)
    assert one.verdict == "reliable"
    assert one.offset_s == pytest.approx(1.5, abs=0.02)
    assert one.low_s <= 1.5 <= one.high_s < one.low_s + 0.1
    assert len(one.recordings) == 24
    assert np.median([abs(own.offset_s - 1.5) for own in one.recordings]) < 0.03


def test_a_few_recordings_that_are_wrong_do_not_outvote_the_rest() -> None:
    one = agreed([related(10, seed, -1.0 if seed % 4 == 0 else 0.8) for seed in range(1, 25)])
    assert one.verdict == "reliable"
    assert one.offset_s == pytest.approx(0.8, abs=0.03)
    assert one.common == pytest.approx(0.75, abs=0.08)
    wrong = [own for seed, own in enumerate(one.recordings, 1) if seed % 4 == 0]
    assert np.median([own.offset_s for own in wrong]) == pytest.approx(-1.0, abs=0.05)


def test_recordings_with_offsets_of_their_own_are_told_apart() -> None:
    offsets = np.round(np.random.default_rng(5).uniform(-2, 2, 24), 2)
    one = agreed([related(20, seed, offset) for seed, offset in enumerate(offsets, 1)])
    assert one.verdict.startswith("uncertain: ")
    assert one.verdict.endswith("% of the recordings agree on it, the others have offsets of their own")
    assert np.median(np.abs([own.offset_s - o for own, o in zip(one.recordings, offsets, strict=True)])) < 0.03
    assert np.mean([own.confidence for own in one.recordings]) > 0.8


@pytest.mark.parametrize("seed", range(4))
def test_mismatched_recordings_are_not_believed(seed: int) -> None:
    pairs = [related(8, 50 * seed + number, 0.0) for number in range(1, 21)]
    mixed = [(reference, other) for (reference, _), (_, other) in zip(pairs, pairs[3:] + pairs[:3], strict=True)]
    one = agreed(mixed)
    assert one.confidence < RELIABLE / 2
    assert one.verdict == "uncertain: recordings that do not belong together agree equally well"
    assert np.mean([own.confidence for own in one.recordings]) < 0.5


def test_a_protocol_that_all_recordings_follow_is_no_clock() -> None:
    # Everybody moves in the middle of the clip: any video agrees with any sensor about there.
    burst = 3 * np.exp(-0.5 * ((np.arange(200) - 100) / 25) ** 2)
    pairs = [(Motion(0, burst + noise(4, 2 * n)), Motion(0, burst + noise(4, 2 * n + 1))) for n in range(1, 25)]
    one = agreed(pairs)
    assert one.offset_s == pytest.approx(0.0, abs=0.1)
    assert one.verdict == "uncertain: recordings that do not belong together agree equally well"


def test_an_offset_at_the_limit_is_told() -> None:
    one = agreed([related(20, seed, 1.0) for seed in range(1, 13)], max_shift_s=1.0)
    assert one.verdict == "uncertain: at the limit of what was looked for, 1 s"


def test_one_long_recording_is_enough_and_one_pair_of_strangers_is_not() -> None:
    assert agreed([related(60, 1, -0.6)]).verdict == "reliable"
    strangers = (related(60, 1, 0.0)[0], related(60, 2, 0.0)[1])
    assert agreed([strangers]).verdict.startswith("uncertain: ")


def test_nothing_to_compare_gives_nothing() -> None:
    assert consensus([(Motion(0, np.zeros(300)), Motion(0, noise(6, 1)))], ["rest"], max_shift_s=3) is None


@pytest.mark.parametrize(("seconds", "within"), [(6.0, 0.6), (20.0, 0.7)])
def test_a_synthetic_recording_alone_tells_its_offset(seconds: float, within: float) -> None:
    options = generator.SynthesisOptions(size=48, seconds=seconds)
    offsets = np.random.default_rng(2).uniform(-2, 2, 28)
    errors = []
    for clip, offset in zip(generator.plan(options, seed=3)[:28:2], offsets, strict=False):
        performance = generator.perform(clip, options)
        shown = [frame[..., 0] for frame in generator.frames(performance, options)]
        motion = video_motion(Pictures(performance.timing.frame_times(), shown))
        felt = generator.series(performance)["acc_watch"]
        late = Series(felt.times - offset, felt.values, felt.channels, felt.rate)
        at, _ = found(motion, sensor_motion(late, "acc_watch", ModalitySpec("sensor", unit="m/s^2")))
        errors.append(abs(at - offset))
    assert len(errors) == 14
    assert np.median(errors) < 0.03
    assert np.mean(np.asarray(errors) < 0.1) >= within
