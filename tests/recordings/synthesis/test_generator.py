"""The ceilings, derived from the files themselves."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from mmtsa_cli.recordings.synthesis import generator
from mmtsa_cli.recordings.synthesis.activities import ACTIVITIES, GESTURES, TEMPI, Activity, ceilings, partitions
from mmtsa_cli.recordings.synthesis.rendering import PROPS
from mmtsa_cli.recordings.synthesis.sensors import SENSORS
from mmtsa_cli.recordings.synthesis.timing import cycle_choices

OPTIONS = generator.SynthesisOptions(size=64)
SHORT = generator.SynthesisOptions(size=48, seconds=3.0)
CLIP = generator.plan(OPTIONS, seed=11)[0]
BY_NAME = {activity.name: activity for activity in ACTIVITIES}


def with_activity(activity: Activity | str) -> generator.Clip:
    """The same person, session and random numbers in another activity."""
    return dataclasses.replace(CLIP, activity=BY_NAME[activity] if isinstance(activity, str) else activity)


def frame_multiset(clip):
    images = generator.frames(generator.perform(clip, SHORT), SHORT)
    return frozenset(Counter(image.tobytes() for image in images).items())


def sensor_bytes(clip, tmp_path):
    root = tmp_path / clip.activity.name
    generator.write_clip(clip, root, SHORT)
    return tuple((root / generator.paths(clip, OPTIONS)[name]).read_bytes() for name in SENSORS)


def observed_classes(observe):
    classes = {}
    for activity in ACTIVITIES:
        classes.setdefault(observe(with_activity(activity)), []).append(activity.name)
    return tuple(tuple(names) for names in classes.values())


def named(classes):
    return [(name, number) for number, names in enumerate(classes) for name in names]


def test_ceilings_follow_from_what_the_files_hold(tmp_path):
    """Two activities are one to an observer if, with the same random numbers, what it observes is the same bytes."""
    video = observed_classes(frame_multiset)
    sensors = observed_classes(lambda clip: sensor_bytes(clip, tmp_path))
    members = {name: dict(named(classes)) for name, classes in (("video", video), ("sensors", sensors))}
    both = observed_classes(lambda clip: tuple(each[clip.activity.name] for each in members.values()))
    assert partitions() == {"video": video, "sensors": sensors, "both": both}
    for name, classes in {"video": video, "sensors": sensors, "both": both}.items():
        # Of m activities that look the same, the best guess names one: 1 / m of each, m / M of all recordings.
        best = sum(Fraction(1, len(names)) * Fraction(len(names), len(ACTIVITIES)) for names in classes)
        assert ceilings()[name] == best


def test_the_ceilings_are_the_ones_we_tell():
    assert ceilings() == {"video": Fraction(9, 14), "sensors": Fraction(9, 14), "both": Fraction(1)}
    assert generator.notes(OPTIONS, seed=0)["ceilings"] == {"video": 0.642857, "sensors": 0.642857, "both": 1.0}


def test_equal_motion_means_equal_definition_and_tempi_of_a_gesture_do_not_overlap():
    """What the classes are made of: distributions are equal within a class and disjoint between."""
    for first in ACTIVITIES:
        for second in ACTIVITIES:
            if first.gesture == second.gesture and first.tempo != second.tempo:
                choices = [set(cycle_choices(tempo, OPTIONS.seconds)) for tempo in (first.tempo, second.tempo)]
                assert not choices[0] & choices[1]
    assert {activity.gesture for activity in ACTIVITIES} == set(GESTURES)
    assert {activity.prop for activity in ACTIVITIES} - {None} == set(PROPS)
    assert {activity.tempo for activity in ACTIVITIES} == set(TEMPI)
    assert len(BY_NAME) == len(ACTIVITIES) >= 12


def decoded(data, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize(("slow", "fast"), [("hammering_slow", "hammering_fast"), ("strolling", "hurrying")])
def test_compressed_videos_of_a_look_alike_pair_are_the_same_frames_in_another_order(slow, fast, tmp_path):
    shown = []
    for name in (slow, fast):
        performance = generator.perform(with_activity(name), OPTIONS)
        data = generator.encode(generator.frames(performance, OPTIONS), size=OPTIONS.size, rate=15)
        images, (_, ranks) = decoded(data, tmp_path), performance.timing.frame_phases()
        assert len(images) == performance.timing.frames
        shown.append([images[index] for index in np.argsort(ranks)])
    np.testing.assert_array_equal(shown[0], shown[1])


@pytest.mark.parametrize("prop", sorted(set(PROPS) - {"stool"}))
def test_what_hands_hold_is_seen_in_every_frame(prop):
    activity = next(activity for activity in ACTIVITIES if activity.prop == prop)
    without = dataclasses.replace(activity, prop=None)
    for clip in generator.plan(OPTIONS, seed=2)[:: 3 * len(ACTIVITIES)]:
        images = [
            list(generator.frames(generator.perform(dataclasses.replace(clip, activity=each), OPTIONS), OPTIONS))
            for each in (activity, without)
        ]
        differing = (np.abs(np.subtract(*images, dtype=np.int16)).max(axis=-1) > 40).sum(axis=(1, 2))
        assert np.median(differing) >= 20, clip.id
        assert differing.min() >= 4, clip.id


def test_people_and_sessions_differ():
    clips = generator.plan(OPTIONS, seed=0)
    people = [clips[index].person() for index in range(0, len(clips), 3 * len(ACTIVITIES))]
    assert {person.side for person in people} == {"left", "right"}
    assert len({person.build.height for person in people}) == len(people)
    first, second = clips[0].surroundings(), clips[len(ACTIVITIES)].surroundings()
    assert first.shirt != second.shirt
    assert first.room != second.room
    assert clips[0].surroundings() == clips[1].surroundings()


def test_a_clip_does_not_depend_on_how_many_are_made():
    few, many = (generator.plan(generator.SynthesisOptions(subjects=n), seed=4) for n in (2, 5))
    assert set(few) <= set(many)


def test_frames_have_the_size_and_are_in_order_of_time():
    performance = generator.perform(with_activity("jumping_jacks"), OPTIONS)
    images = list(generator.frames(performance, OPTIONS))
    assert {image.shape for image in images} == {(64, 64, 3)}
    steps = [np.abs(cv2.absdiff(a, b)).mean() for a, b in itertools.pairwise(images)]
    shuffled = [np.abs(cv2.absdiff(a, b)).mean() for a, b in zip(images, images[20:], strict=False)]
    assert np.mean(steps) < np.mean(shuffled)


def test_protocols_name_existing_subjects_and_sessions_without_overlap():
    splits = generator.protocols(generator.SynthesisOptions(subjects=3, repeats=1))
    assert splits["cross-subject"] == {"train": {"subject": ["1", "2"]}, "test": {"subject": ["3"]}}
    assert "cross-session" not in splits
    splits = generator.protocols(generator.SynthesisOptions(subjects=9, repeats=3))
    assert splits["cross-subject"]["test"] == {"subject": ["8", "9"]}
    assert splits["cross-session"] == {"train": {"session": ["1", "2"]}, "test": {"session": ["3"]}}
