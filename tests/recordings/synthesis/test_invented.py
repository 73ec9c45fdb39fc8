"""Gestures that a seed invents: closed, smooth, within what joints can do, and unlike each other."""

import itertools

import numpy as np
import pytest

from mmtsa_cli.recordings.synthesis.activities import GESTURES, TEMPI
from mmtsa_cli.recordings.synthesis.body import Build, pose
from mmtsa_cli.recordings.synthesis.invented import gesture_of, invented_activities
from mmtsa_cli.recordings.synthesis.sensors import place, specific_force, worn_anywhere

PHASES = np.arange(400) / 400
NAMES = [activity.name for activity in invented_activities(12, seed=3)]


def joints_of(name, phases=PHASES, seed=3, extent=1.0):
    return pose(Build(), gesture_of(name, seed=seed)(phases, extent), "right", moments=len(phases)).joints


def test_a_planned_gesture_is_itself_and_the_seed_invents_the_others():
    assert gesture_of("squat", seed=5) is GESTURES["squat"]
    assert NAMES[0] == "invented_01"
    assert {activity.tempo for activity in invented_activities(60, seed=0)} == set(TEMPI) - {"breathing"}
    assert invented_activities(12, seed=3) == invented_activities(12, seed=3)
    one, again, other = joints_of(NAMES[4]), joints_of(NAMES[4]), joints_of(NAMES[4], seed=4)
    np.testing.assert_array_equal(one["right_hand"], again["right_hand"])
    assert np.abs(one["right_hand"] - other["right_hand"]).max() > 0.05


@pytest.mark.parametrize("name", NAMES)
def test_paths_are_closed_smooth_and_the_hand_moves(name):
    here, later = joints_of(name)["right_hand"], joints_of(name, PHASES + 1)["right_hand"]
    np.testing.assert_allclose(here, later, atol=1e-9)
    around = np.concatenate([here, here[:2]])
    assert np.linalg.norm(np.diff(around, axis=0), axis=1).max() < 0.05
    assert np.linalg.norm(np.diff(around, n=2, axis=0), axis=1).max() < 0.004
    assert np.ptp(here, axis=0).max() > 0.05


@pytest.mark.parametrize("name", NAMES)
def test_joints_keep_within_their_range(name):
    posture = gesture_of(name, seed=3)(PHASES, 1.1)
    for angle, low, high in (
        (posture.acting_arm.flexion, -30, 150),
        (posture.acting_arm.elbow, 8, 130),
        (posture.acting_leg.flexion, 3, 60),
        (posture.acting_leg.knee, 6, 120),
        (posture.lean, -8, 35),
    ):
        degrees = np.rad2deg(angle)
        assert low <= degrees.min() <= degrees.max() <= high
    # The feet stay below the hips.
    joints = joints_of(name)
    assert np.abs(joints["left_ankle"][:, 0] - joints["left_hip"][:, 0]).max() < 0.02


def test_no_two_are_alike():
    hands = [joints_of(name)["right_hand"] for name in NAMES]
    for first, second in itertools.combinations(hands, 2):
        apart = min(
            np.linalg.norm(first - np.roll(second, shift, axis=0), axis=1).mean() for shift in range(0, 400, 20)
        )
        assert apart > 0.02


def test_a_device_worn_anywhere_is_on_the_body_and_feels_gravity():
    rng, seen = np.random.default_rng(0), set()
    still = pose(Build(), GESTURES["sit"](np.full(300, 0.25), 1.0), "right", moments=300)
    for _ in range(60):
        worn = worn_anywhere(Build(), rng)
        seen.add(worn.limb)
        np.testing.assert_allclose(worn.mount @ worn.mount.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(worn.mount) == pytest.approx(1.0)
        positions, _ = place(still, worn, heading=0.3)
        assert 0 < positions[0, 2] < 1.9

        def at(times, worn=worn):
            body = pose(Build(), GESTURES["sit"](np.full(len(times), 0.25), 1.0), "right", moments=len(times))
            return place(body, worn, heading=0.3)

        force = specific_force(at, np.arange(5) / 10)
        np.testing.assert_allclose(np.linalg.norm(force, axis=1), 9.80665, rtol=1e-6)
    assert len(seen) == 9
