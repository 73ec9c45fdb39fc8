"""Steps, recurrent layers, attention and streams: against direct computation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.models.cost import parameters
from mmtsa_cli.models.fusion import AdditiveAttention
from mmtsa_cli.models.network import Input, ModelOptions
from mmtsa_cli.models.sequences import (
    AttendedMean,
    AxisScale,
    Recurrent,
    SelfAttention,
    SeriesSteps,
    Streams,
    cut_steps,
    hamlet_stream,
    whole_steps,
)

SENSOR = Input("sensor", 3, bounds=[(-2.0, 2.0), (0.0, 10.0), (5.0, 5.0)])
D = 8


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_steps_hold_five_samples_each_in_the_order_of_time():
    # Two segments of 10 samples; the value says when it was measured.
    windows = torch.arange(20.0).reshape(1, 2, 1, 10).repeat(1, 1, 3, 1)
    steps = cut_steps(windows)
    assert steps.shape == (1, 4, 3, 5)
    assert steps[0, :, 1].tolist() == torch.arange(20.0).reshape(4, 5).tolist()


def test_no_step_straddles_segments_and_the_rest_is_filled_by_the_last_sample():
    windows = torch.arange(14.0).reshape(1, 2, 1, 7)
    assert whole_steps(windows).shape == (1, 2, 1, 10)
    assert cut_steps(windows)[0, :, 0].tolist() == [
        [0, 1, 2, 3, 4],
        [5, 6, 6, 6, 6],
        [7, 8, 9, 10, 11],
        [12, 13, 13, 13, 13],
    ]


def test_bounds_become_minus_one_and_one():
    windows = torch.tensor([[-2.0, 2.0], [5.0, 10.0], [5.0, 7.0]])
    # The third axis has no width in the bounds: it is only moved.
    assert AxisScale(SENSOR.bounds)(windows).tolist() == [[-1, 1], [0, 1], [0, 2]]
    assert torch.equal(AxisScale(None)(windows), windows)


def test_the_unit_of_a_sensor_is_of_no_consequence():
    torch.manual_seed(0)
    steps = SeriesSteps(Input("sensor", 3, bounds=[(-2.0, 2.0)] * 3), D, dropout=0.0)
    torch.manual_seed(0)
    thousandths = SeriesSteps(Input("sensor", 3, bounds=[(-2000.0, 2000.0)] * 3), D, dropout=0.0)
    windows = normal(2, 2, 3, 10)
    torch.testing.assert_close(thousandths(windows * 1000), steps(windows))


def test_a_step_is_convolved_as_written():
    torch.manual_seed(0)
    steps, windows = SeriesSteps(Input("sensor", 3), D, dropout=0.4).eval(), normal(1, 2, 3, 10)
    found = steps(windows)
    assert found.shape == (1, 4, D)
    point, together, output = steps.point[0], steps.together[0], steps.output[0]
    # Samples 5 to 9 of the second segment.
    points = (point.weight[:, :, 0] @ windows[0, 1, :, 5:] + point.bias[:, None]).clamp(min=0)
    maps = nn.functional.conv2d(points.T[None, None], together.weight, together.bias, padding=1)
    pooled = nn.functional.max_pool2d(maps, 2).permute(0, 2, 3, 1).reshape(-1)
    assert len(pooled) == 32 * 2 * 32
    torch.testing.assert_close(found[0, 3], (output.weight @ pooled + output.bias).clamp(min=0))


def test_a_sample_changes_its_own_step_only():
    torch.manual_seed(0)
    steps, windows = SeriesSteps(Input("sensor", 3), D, dropout=0.0), normal(1, 2, 3, 10)
    other = windows.clone()
    other[0, 1, 2, 3] += 5
    changed = (steps(other) != steps(windows)).any(dim=-1)
    assert changed.tolist() == [[False, False, True, False]]


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_parameters_of_the_series_encoder(channels):
    module = SeriesSteps(Input("sensor", channels), D, dropout=0.4)
    assert parameters(module) == 64 * (channels + 1) + 32 * (9 + 1) + (2048 + 1) * D


def test_two_recurrent_layers_one_way_and_both():
    one, both = Recurrent(D, 6), Recurrent(D, 6, both_ways=True)
    assert one(normal(2, 4, D)).shape == (2, 4, 6)
    assert both(normal(2, 4, D)).shape == (2, 4, 12)
    assert parameters(one) == 4 * 6 * (D + 6 + 2) + 4 * 6 * (6 + 6 + 2)
    assert parameters(both) == 2 * 4 * 6 * (D + 6 + 2) + 2 * 4 * 6 * (12 + 6 + 2)


def test_only_both_ways_sees_what_comes_later():
    steps = normal(1, 4, D)
    later = steps.clone()
    later[:, 3] += 1
    for both, sees in ((False, False), (True, True)):
        torch.manual_seed(0)
        recurrent = Recurrent(D, 6, both_ways=both)
        assert bool((recurrent(later)[:, 0] != recurrent(steps)[:, 0]).any()) is sees


def test_self_attention_is_scaled_dot_products_a_head():
    torch.manual_seed(0)
    layer, items, heads = SelfAttention(D, heads=2).eval(), normal(3, 5, D), 2
    attended, weights = layer(items)
    matrices = layer.project.weight.split(D)
    query, key, value = ((items @ m.T).unflatten(-1, (heads, -1)).transpose(1, 2) for m in matrices)
    expected = (query @ key.transpose(2, 3) / math.sqrt(D / heads)).softmax(dim=-1)
    torch.testing.assert_close(weights, expected.mean(dim=1))
    joined = (expected @ value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attended, joined @ layer.output.weight.T)
    assert parameters(layer) == 4 * D * D


def plant_identity(layer):
    """Let queries and keys be the items themselves."""
    with torch.no_grad():
        layer.project.weight.copy_(torch.eye(D).repeat(3, 1))


def test_self_attention_follows_the_loudest_item():
    layer = SelfAttention(D, heads=2)
    plant_identity(layer)
    items = torch.ones(2, 5, D)
    items[:, 3] *= 10
    _, weights = layer(items)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 5))
    assert (weights[..., 3] > 0.99).all()


def test_heads_that_do_not_fit_are_refused():
    with pytest.raises(
        UsageError, match="features: the heads cannot share it evenly, expected a multiple of 3"
    ) as told:
        SelfAttention(D, heads=3)
    assert told.value.exit_code == 2


def test_attended_mean_gives_each_step_its_share():
    pool = AttendedMean(D, heads=2, dropout=0.4).eval()
    steps = normal(3, 5, D)
    fused, shares = pool(steps)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(fused, pool.attention(steps)[0].mean(dim=1))
    plant_identity(pool.attention)
    loud = torch.ones(3, 5, D)
    loud[:, 1] *= 10
    assert (pool(loud)[1][:, 1] > 0.99).all()


def test_keyless_pooling_follows_the_step_whose_score_is_planted():
    pool = AdditiveAttention(D)
    nn.init.ones_(pool.weight)
    steps = normal(2, 6, D)
    steps[0, 4] += 10
    steps[1, 2] += 10
    fused, weights = pool(steps)
    assert weights.argmax(dim=1).tolist() == [4, 2]
    torch.testing.assert_close(fused, torch.stack([steps[0, 4], steps[1, 2]]), atol=1e-3, rtol=1e-3)


class Said(nn.Module):
    """A stream that says how many channels its input has, and weighs the first step alone."""

    def __init__(self, wanted):
        super().__init__()
        self.channels = wanted.channels

    def forward(self, inputs):
        weights = torch.zeros(inputs.shape[:2])
        weights[:, 0] = self.channels
        return torch.full((len(inputs), 1), float(self.channels)), weights


def test_streams_stand_in_the_order_of_modalities_with_the_videos_attention():
    inputs = {"gyro.left": Input("sensor", 2), "rgb": Input("video", 3), "items": Input("sensor", 5)}
    tensors = {name: torch.zeros(2, 4, 1) for name in inputs}
    vectors, attention = Streams(inputs, Said)(tensors)
    assert vectors[0, :, 0].tolist() == [2, 3, 5]
    assert attention.tolist() == [[3, 0, 0, 0]] * 2


@pytest.mark.parametrize(("names", "found"), [(["gyro"], "gyro"), (["rgb"], "rgb"), ([], "no modality")])
def test_video_and_sensor_are_needed(names, found):
    known = {"gyro": Input("sensor", 3), "rgb": Input("video", 3)}
    with pytest.raises(DataError, match=f"expected a video and at least one sensor, found {found}") as told:
        Streams({name: known[name] for name in names}, Said)
    assert told.value.exit_code == 1


def test_a_modality_that_is_not_there_is_named():
    streams = Streams({"gyro": Input("sensor", 3), "rgb": Input("video", 3)}, Said)
    with pytest.raises(DataError, match="no gyro in the input, expected gyro, rgb, found rgb"):
        streams({"rgb": torch.zeros(2, 4, 1)})


@pytest.mark.parametrize("channels", [1, 3])
def test_a_videos_stream_has_a_step_a_segment_and_a_sensors_one_per_five_samples(channels):
    options = ModelOptions(backbone="resnet10", width=0.125)
    video = hamlet_stream(Input("video", channels, size=32), options, AdditiveAttention(D), features=D)
    frames = torch.randint(256, (2, 4, 32, 32, channels), dtype=torch.uint8)
    vectors, weights = video(frames)
    assert (vectors.shape, weights.shape) == ((2, D), (2, 4))
    sensor = hamlet_stream(Input("sensor", channels), options, AdditiveAttention(D), features=D)
    vectors, weights = sensor(normal(2, 4, channels, 12))
    assert (vectors.shape, weights.shape) == ((2, D), (2, 4 * 3))
