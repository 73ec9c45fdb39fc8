"""Multi-stream networks: pooling, the LSTM's last state, streams trained apart and once, round trips."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmtsa_cli.errors import ArtifactError, DataError
from mmtsa_cli.methods.multi_stream import (
    MultiStreamAverage,
    MultiStreamMaximum,
    MultiStreamOptions,
    SensorStream,
    SeriesLstm,
    TemporalStream,
    pooled,
)
from mmtsa_cli.methods.tsn import TsnStream
from mmtsa_cli.models.network import Input
from mmtsa_cli.training.run import Run, TrainingStoppedError
from tests.methods.parts import accuracy
from tests.methods.small_clips import clips_of, small

STREAMS = ["spatial", "temporal", "sensor gyro", "sensor acc_phone"]
OPTIONS = small(MultiStreamOptions, epochs=6, flow_stack=3, lstm_hidden=32, dropout=0.2)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """One cache for the module, so that flow is computed once."""
    directory = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTSA_CACHE", str(directory))
        yield directory


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("streams")


@pytest.fixture(scope="module")
def average(samples, place):
    clips = clips_of(samples)
    method = MultiStreamAverage.for_samples(OPTIONS, clips, seed=1)
    states = method.fit(clips, None, seed=1, run=Run(place / "average", shared=place / "shared"))
    assert list(states) == STREAMS
    return method


def test_pooling_by_hand():
    scores = np.array([[[0.8, 0.1, 0.1]], [[0.2, 0.5, 0.3]]])
    np.testing.assert_allclose(pooled(scores, "average"), [[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(pooled(scores, "maximum"), np.array([[0.8, 0.5, 0.3]]) / 1.6)


def test_video_and_sensors_are_pooled_first(average):
    video, sensors = [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]
    scores = np.array([video, video, sensors, [0.3, 0.4, 0.3]])[:, None]
    np.testing.assert_allclose(average.combine(scores), [[0.4, 0.4, 0.2]])
    maximum = MultiStreamMaximum(OPTIONS, average.parts)
    # The sensors' maxima, 0.3 0.8 0.3, are scaled by 1.4 before they meet the video's.
    levels = np.maximum(np.array(video), np.array([0.3, 0.8, 0.3]) / 1.4)
    np.testing.assert_allclose(maximum.combine(scores), [levels / levels.sum()])


def test_lstm_gives_the_state_after_the_last_sample():
    torch.manual_seed(0)
    encoder = SeriesLstm(Input("sensor", 2, bounds=[(-1.0, 3.0), (5.0, 5.0)]), hidden=3)
    windows = torch.randn(2, 3, 2, 7)
    found = encoder(windows)
    assert found.shape == (2, 3, 3)
    state = memory = torch.zeros(3)
    lstm = encoder.lstm
    for sample in windows[1, 2].T:
        scaled = torch.stack([(sample[0] - 1) / 2, sample[1] - 5])
        gates = lstm.weight_ih_l0 @ scaled + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ state + lstm.bias_hh_l0
        enter, forget, cell, leave = gates.chunk(4)
        memory = forget.sigmoid() * memory + enter.sigmoid() * cell.tanh()
        state = leave.sigmoid() * memory.tanh()
    torch.testing.assert_close(found[1, 2], state)


def test_streams_are_networks_of_their_own(average):
    assert list(average.parts) == STREAMS
    kinds = [type(stream) for stream in average.parts.values()]
    assert kinds == [TsnStream, TemporalStream, SensorStream, SensorStream]
    first = next(m for m in average.parts["temporal"].network.modules() if isinstance(m, torch.nn.Conv2d))
    assert first.in_channels == 2 * 3
    assert [tuple(stream.inputs) for stream in average.parts.values()] == [
        ("rgb",),
        ("rgb",),
        ("gyro",),
        ("acc_phone",),
    ]


def test_flow_and_frames_are_different_inputs(samples, average):
    clips = clips_of(samples, subjects=("4",), modalities=("rgb",))
    flow = average.parts["temporal"]._flow(clips).batch([0]).inputs["rgb"]
    assert flow.shape == (1, 3, 32, 32, 6)
    assert clips.batch([0]).inputs["rgb"].shape == (1, 3, 32, 32, 3)


def test_the_other_system_reuses_the_streams(samples, average, place):
    clips = clips_of(samples)
    reports = []
    run = Run(place / "maximum", report=lambda *state: reports.append(state), shared=place / "shared")
    method = MultiStreamMaximum.for_samples(OPTIONS, clips, seed=1)
    assert method.fit(clips, None, seed=1, run=run) == {}
    assert reports == []
    assert len(list((place / "shared").iterdir())) == len(STREAMS)
    test = clips_of(samples, subjects=("4",))
    parts = average.predict_parts(test)
    np.testing.assert_array_equal(method.predict_parts(test), parts)
    assert not np.allclose(method.predict_proba(test), average.predict_proba(test))


@pytest.mark.parametrize("other", ["seed", "clips", "options"])
def test_streams_of_other_work_are_not_reused(samples, average, place, other):
    clips = clips_of(samples, subjects=("1", "2") if other == "clips" else ("1", "2", "3"))
    options = replace(OPTIONS, lstm_hidden=16) if other == "options" else OPTIONS
    seed = 2 if other == "seed" else 1
    method = MultiStreamAverage.for_samples(options, clips, seed=seed)
    # It is asked to stop in its first step: had the streams been found, nothing would have been asked.
    run = Run(place / other, should_stop=lambda: True, shared=place / "shared")
    before = {path.name for path in (place / "shared").iterdir()}
    with pytest.raises(TrainingStoppedError):
        method.fit(clips, None, seed=seed, run=run)
    (new,) = {path.name for path in (place / "shared").iterdir()} - before
    assert new.startswith("stream-spatial-")


def test_without_a_shared_place_streams_lie_in_the_systems_own(samples, tmp_path):
    clips = clips_of(samples, subjects=("1",), modalities=("rgb", "gyro"))
    options = replace(OPTIONS, training=replace(OPTIONS.training, epochs=1))
    states = MultiStreamAverage.for_samples(options, clips).fit(clips, clips, seed=0, run=Run(tmp_path))
    names = sorted(path.name.rsplit("-", 1)[0] for path in tmp_path.iterdir())
    assert names == ["stream-sensor-gyro", "stream-spatial", "stream-temporal"]
    assert all("validation_accuracy" in state.history[0] for state in states.values())


def test_learns_a_separable_toy(samples, average):
    train, test = clips_of(samples), clips_of(samples, subjects=("4",))
    probabilities = average.predict_proba(train)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    # Of 18 clips 6 by chance; 12 or more happen so once in 250.
    assert accuracy(probabilities, train) >= 12 / 18
    # Of 6 clips 2 by chance; 4 or more happen so once in 10: with the line above, once in 2500.
    assert accuracy(average.predict_proba(test), test) >= 4 / 6


def test_state_is_restored_and_clips_are_independent(samples, average):
    test = clips_of(samples, subjects=("4",))
    together = average.predict_proba(test)
    restored = MultiStreamAverage.restore(OPTIONS, average.state())
    np.testing.assert_allclose(restored.predict_proba(test), together, atol=1e-12)
    seen = []
    one = type(test)(
        test.store, test.clips[2:3], modalities=test.modalities, classes=test.classes, options=test.options
    )
    alone = average.predict_proba(one, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(alone[0], together[2], atol=1e-5)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(ArtifactError, match="the state is of another system than multi-stream-max"):
        MultiStreamMaximum.restore(OPTIONS, {"_parts": {"rgb": {}}})


def test_cost_is_that_of_all_streams(average):
    costs = [stream.cost() for stream in average.parts.values()]
    assert average.cost().parameters == sum(cost.parameters for cost in costs)
    assert average.cost().macs == sum(cost.macs for cost in costs)
    # The gyroscope's LSTM: 3 windows of 50 samples, four gates of 32 units; then 3 classes of each window.
    assert average.parts["sensor gyro"].cost().macs == 3 * 50 * 4 * 32 * (3 + 32) + 3 * 32 * 3


def test_missing_modalities_are_named(samples):
    with pytest.raises(DataError, match="multi-stream-avg needs a sensor, expected a sensor, found rgb"):
        MultiStreamAverage.for_samples(OPTIONS, clips_of(samples, modalities=("rgb",)))
    with pytest.raises(DataError, match="multi-stream-max needs a video"):
        MultiStreamMaximum.for_samples(OPTIONS, clips_of(samples, modalities=("gyro",)))


def test_published_backbone():
    assert MultiStreamOptions().model.backbone == "vgg16"
