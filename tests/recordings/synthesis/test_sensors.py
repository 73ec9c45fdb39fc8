"""Readings of the devices: physics against closed forms and against the motion itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import cumulative_simpson
from scipy.spatial.transform import Rotation

from mmtsa_cli.recordings.synthesis import generator
from mmtsa_cli.recordings.synthesis.body import rotation
from mmtsa_cli.recordings.synthesis.sensors import (
    GRAVITY,
    SENSORS,
    angular_velocity,
    measure,
    mounting,
    orientation_angles,
    specific_force,
    stamps,
)

OPTIONS = generator.SynthesisOptions()
CLIPS = {clip.activity.name: clip for clip in generator.plan(OPTIONS, seed=3)[:14]}


def at_rest(orientation):
    return lambda times: (np.ones((len(times), 3)), np.tile(orientation, (len(times), 1, 1)))


def swing(radius, speed):
    """A device on a turntable: x outwards, z up."""

    def placement(times):
        turn = speed * times
        place = radius * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
        return place, rotation("z", turn)

    return placement


@given(st.tuples(*[st.floats(-3, 3)] * 3))
@settings(max_examples=30, deadline=None)
def test_at_rest_the_accelerometer_reads_gravity_and_the_gyroscope_nothing(turns):
    orientation = rotation("z", turns[0]) @ rotation("y", turns[1]) @ rotation("x", turns[2])
    times = np.linspace(0, 1, 7)
    force = specific_force(at_rest(orientation), times)
    np.testing.assert_allclose(np.linalg.norm(force, axis=1), GRAVITY, atol=1e-9)
    np.testing.assert_allclose(force @ orientation.T, [[0, 0, GRAVITY]] * 7, atol=1e-9)
    np.testing.assert_allclose(angular_velocity(at_rest(orientation), times), 0, atol=1e-12)


@given(st.floats(0.1, 1.0), st.floats(-12, 12))
@settings(max_examples=30, deadline=None)
def test_a_circular_swing_reads_its_centripetal_acceleration_and_its_speed(radius, speed):
    times = np.array([0.0, 0.313, 1.7])
    force = specific_force(swing(radius, speed), times)
    np.testing.assert_allclose(force, [[-radius * speed**2, 0, GRAVITY]] * 3, atol=1e-2, rtol=1e-4)
    np.testing.assert_allclose(angular_velocity(swing(radius, speed), times), [[0, 0, speed]] * 3, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", ["hammering_fast", "hurrying", "lifting_ball", "jumping_jacks"])
def test_the_gyroscope_integrates_to_the_change_of_orientation(name):
    placement = generator.perform(CLIPS[name], OPTIONS).placement("phone", 0.4)
    step = 1e-3
    middles = np.arange(0.5, 2000.5) * step
    turned = placement(np.array([0.0]))[1][0]
    for turn in Rotation.from_rotvec(angular_velocity(placement, middles) * step).as_matrix():
        turned = turned @ turn
    arrived = placement(np.array([2.0]))[1][0]
    assert Rotation.from_matrix(turned.T @ arrived).magnitude() < 1e-3


@pytest.mark.parametrize("name", ["drinking_slow", "swatting_fast", "strolling", "jumping_jacks"])
@pytest.mark.parametrize("device", ["watch", "phone"])
def test_the_accelerometer_integrates_twice_to_the_way_of_the_device(name, device):
    placement = generator.perform(CLIPS[name], OPTIONS).placement(device, 1.1)
    times = np.linspace(0, 2, 4001)
    positions, rotations = placement(times)
    in_world = np.einsum("nij,nj->ni", rotations, specific_force(placement, times)) - [0, 0, GRAVITY]
    first_speed = (placement(np.array([1e-4]))[0] - placement(np.array([-1e-4]))[0]) / 2e-4
    speed = first_speed + cumulative_simpson(in_world, x=times, axis=0, initial=0)
    way = cumulative_simpson(speed, x=times, axis=0, initial=0)
    np.testing.assert_allclose(way, positions - positions[0], atol=2e-3)


@given(st.floats(1, 359), st.floats(-85, 85), st.floats(-175, 175))
@settings(max_examples=50, deadline=None)
def test_orientation_angles_are_those_of_android(azimuth, pitch, roll):
    # Android turns clockwise seen from above, and counts the top going down as positive pitch.
    matrix = rotation("z", np.deg2rad(-azimuth)) @ rotation("x", np.deg2rad(-pitch)) @ rotation("y", np.deg2rad(roll))
    np.testing.assert_allclose(orientation_angles(matrix[None])[0], [azimuth, pitch, roll], atol=1e-8)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("device", ["phone", "watch"])
def test_devices_are_turned_not_mirrored(side, device):
    mount = mounting(device, side, np.array([0.1, -0.2, 0.05]))
    np.testing.assert_allclose(mount @ mount.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(mount) == pytest.approx(1.0)


@pytest.mark.parametrize("name", SENSORS)
def test_noise_and_bias_are_those_of_the_table(name):
    sensor = SENSORS[name]
    bias = np.array([1.0, -2.0, 0.5])
    still = at_rest(rotation("z", 2.0) @ rotation("x", 0.3))
    series = measure(name, still, 60.0, bias=bias, rng=np.random.default_rng(0))
    ideal = specific_force(still, series.times) if name.startswith("acc") else 0.0
    if name == "orientation":
        ideal = orientation_angles(still(series.times)[1])
    np.testing.assert_allclose((series.values - ideal).mean(axis=0), sensor.bias * bias, atol=5 * sensor.noise / 50)
    spread = (series.values - ideal).std(axis=0)
    assert np.all(spread > 0.9 * sensor.noise)
    assert np.all(spread < 2.2 * sensor.noise)
    assert series.channels == sensor.columns


@pytest.mark.parametrize("rate", [50.0, 100.0])
def test_stamps_rise_unevenly_at_the_nominal_rate(rate):
    times = stamps(rate, 30.0, np.random.default_rng(0))
    steps = np.diff(times)
    assert times[0] >= 0
    assert times[-1] < 30.0 + 1 / rate
    assert steps.min() > 0
    assert len(np.unique(steps.round(4))) > 5
    assert np.median(steps) == pytest.approx(1 / rate, rel=0.02)


def test_readings_stay_within_what_real_devices_can_read():
    for name, clip in CLIPS.items():
        for sensor, series in generator.series(generator.perform(clip, OPTIONS)).items():
            limit = {"m/s^2": 16 * GRAVITY, "rad/s": 20.0, "degree": 360.0}[series_unit(sensor)]
            assert np.abs(series.values).max() < limit, (name, sensor)
            assert np.isfinite(series.values).all()


def series_unit(sensor):
    return SENSORS[sensor].unit


def test_tempo_squares_in_the_watch():
    """At f times the tempo accelerations are f^2 times as large: sensors can tell the pair."""
    slow, fast = (generator.perform(CLIPS[f"swatting_{tempo}"], OPTIONS) for tempo in ("slow", "fast"))
    times = np.linspace(0, slow.timing.duration, 800)
    spread = []
    for performance in (slow, dataclasses.replace(fast, extent=slow.extent)):
        placement = performance.placement("watch", 0.0)
        force = specific_force(placement, times)
        moved = np.einsum("nij,nj->ni", placement(times)[1], force) - [0, 0, GRAVITY]
        spread.append(np.sqrt((moved**2).sum(axis=1).mean()))
    ratio = fast.timing.cycles / slow.timing.cycles
    assert spread[1] / spread[0] == pytest.approx(ratio**2, rel=0.25)
