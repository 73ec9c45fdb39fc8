"""The jointed body."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.recordings.synthesis.activities import GESTURES
from mmtsa_cli.recordings.synthesis.body import Arm, Build, Leg, Posture, pose, rotation

PHASES = np.linspace(0, 1, 23)
BONES = {
    ("shoulder", "elbow"): "upper_arm",
    ("elbow", "wrist"): "forearm",
    ("wrist", "hand"): "hand",
    ("hip", "knee"): "thigh",
    ("knee", "ankle"): "shin",
}
angles = st.floats(-2.5, 2.5)


@given(angles, angles, angles, angles, st.sampled_from(["left", "right"]))
@settings(max_examples=40, deadline=None)
def test_bones_keep_their_length(first, second, third, fourth, side):
    build = Build(height=1.8)
    arm, leg = Arm(first, second, third, fourth), Leg(second, third, fourth)
    body = pose(build, Posture(arm, arm, leg, leg, lean=first, twist=fourth), side, moments=1)
    for (start, end), name in BONES.items():
        for which in ("left", "right"):
            bone = body.joints[f"{which}_{end}"] - body.joints[f"{which}_{start}"]
            assert np.linalg.norm(bone) == pytest.approx(build.length(name), abs=1e-12)


@pytest.mark.parametrize("gesture", GESTURES)
def test_a_left_handed_body_is_the_mirror_image_of_a_right_handed_one(gesture):
    posture = GESTURES[gesture](PHASES, 1.0)
    left = pose(Build(), posture, "left", moments=len(PHASES)).joints
    right = pose(Build(), posture, "right", moments=len(PHASES)).joints
    for name, position in left.items():
        mirrored = name.replace("left", "?").replace("right", "left").replace("?", "right")
        np.testing.assert_allclose(position * [1, -1, 1], right[mirrored], atol=1e-12)


@pytest.mark.parametrize("gesture", sorted(set(GESTURES) - {"jack"}))
def test_the_feet_stay_on_the_floor(gesture):
    build = Build()
    joints = pose(build, GESTURES[gesture](PHASES, 1.0), "right", moments=len(PHASES)).joints
    lower = np.minimum(joints["left_ankle"][:, 2], joints["right_ankle"][:, 2])
    # The weight goes over smoothly from foot to foot, which costs up to ln 2 of the transition's 2 cm.
    assert np.all(lower >= build.length("ankle") - 0.02 * np.log(2) - 1e-9)
    assert np.all(lower <= build.length("ankle") + 0.003)


def test_flexion_brings_limbs_forward_and_abduction_outwards():
    arm = Arm(flexion=np.pi / 2)
    joints = pose(Build(), Posture(arm, Arm(abduction=np.pi / 2)), "right", moments=1).joints
    forward = (joints["right_hand"] - joints["right_shoulder"])[0]
    outwards = (joints["left_hand"] - joints["left_shoulder"])[0]
    reach = sum(Build().length(part) for part in ("upper_arm", "forearm", "hand"))
    np.testing.assert_allclose(forward, [reach, 0, 0], atol=1e-12)
    np.testing.assert_allclose(outwards, [0, reach, 0], atol=1e-12)


@given(st.sampled_from("xyz"), angles, angles)
@settings(max_examples=40, deadline=None)
def test_rotations_about_one_axis_add_up_and_are_proper(axis, first, second):
    both = rotation(axis, first) @ rotation(axis, second)
    np.testing.assert_allclose(both, rotation(axis, first + second), atol=1e-12)
    np.testing.assert_allclose(both @ both.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(both) == pytest.approx(1.0)
