"""The ring of segments says what the whole network says of the same N segments."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models.network import Input, ModelOptions, SegmentNetwork, build_network
from mmtsa_cli.models.streaming import SegmentRing

INPUTS = {
    "rgb": Input("video", 3, size=32),
    "acc": Input("sensor", 3, ((-2, 2), (-1, 3), (-2, 1)), size=20),
    "gyro": Input("sensor", 2, ((-5, 5), (-9, 9)), size=16),
}


def network(segments: int, *, seed: int = 0, scale: str = "dataset", **model: object) -> SegmentNetwork:
    torch.manual_seed(seed)
    options = ModelOptions(backbone="resnet10", width=0.125, hidden=8, **model)  # type: ignore[arg-type]
    made = build_network(INPUTS, options, FieldOptions(scale=scale, image_size=16), segments=segments, classes=4)
    for parameter in made.fusion.parameters():
        torch.nn.init.normal_(parameter)
    for token in made.tokens.values():
        torch.nn.init.normal_(token)
    return made.eval()


def stream(count: int, *, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    random = torch.Generator().manual_seed(seed)
    return [
        {
            "rgb": torch.randint(0, 256, (1, 1, 32, 32, 3), generator=random, dtype=torch.uint8),
            "acc": torch.randn(1, 1, 3, 20, generator=random),
            "gyro": 4 * torch.randn(1, 1, 2, 16, generator=random),
        }
        for _ in range(count)
    ]


def together(segments: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([one[name] for one in segments], dim=1) for name in segments[0]}


def assert_same(ring: SegmentRing, whole: tuple[torch.Tensor, torch.Tensor], **given: object) -> None:
    logits, attention = ring.classify(**given)  # type: ignore[arg-type]
    torch.testing.assert_close(logits, whole[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(attention, whole[1], atol=1e-6, rtol=1e-4)


@settings(max_examples=15, deadline=None)
@given(
    segments=st.integers(1, 5),
    more=st.integers(0, 4),
    seed=st.integers(0, 999),
    model=st.sampled_from(
        [{}, {"fusion": "average"}, {"position_embedding": True}, {"level": True}, {"auxiliary": 0.5, "vote": True}]
    ),
)
def test_at_every_hop_it_equals_the_whole_network(segments: int, more: int, seed: int, model: dict) -> None:
    asked, came = network(segments, seed=seed, **model), stream(segments + more, seed=seed)
    ring = SegmentRing(asked, segments)
    with torch.inference_mode():
        for number, segment in enumerate(came, start=1):
            ring.push(segment)
            assert ring.held == min(number, segments)
            if ring.full:
                assert_same(ring, asked(together(came[number - segments : number])))


def test_images_scaled_by_the_window_are_made_anew() -> None:
    asked, came = network(3, scale="clip"), stream(5)
    ring = SegmentRing(asked, 3, by_window=("acc", "gyro"))
    with torch.inference_mode():
        for number, segment in enumerate(came, start=1):
            ring.push(segment)
            if ring.full:
                inputs = together(came[number - 3 : number])
                extremes = {
                    name: torch.stack([inputs[name].amin(dim=(1, 3)), inputs[name].amax(dim=(1, 3))], dim=-1)
                    for name in ("acc", "gyro")
                }
                whole = asked({**inputs, **{f"{name}.extremes": values for name, values in extremes.items()}})
                assert_same(ring, whole, extremes=extremes)


def test_a_segment_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = network(4)
    seen = []
    for encoder in asked.encoders.values():
        encoder.register_forward_hook(lambda module, given, result: seen.append(result.shape[1]))
    ring = SegmentRing(asked, 4)
    with torch.inference_mode():
        for segment in stream(6):
            ring.push(segment)
            if ring.full:
                ring.classify()
    # Three encoders, six segments, one at a time.
    assert seen == [1] * 18


def test_what_is_absent_is_its_token_whatever_it_held() -> None:
    asked, came = network(3, modality_dropout=0.3), stream(3)
    ring = SegmentRing(asked, 3)
    with torch.inference_mode():
        for segment in came:
            ring.push({name: segment[name] for name in ("rgb", "gyro")})
        inputs = together(came)
        assert_same(ring, asked({name: inputs[name] for name in ("rgb", "gyro")}))
        # In one segment of three: neither with nor without it throughout.
        ring.push(came[0])
        mixed, _ = ring.classify()
        assert not torch.allclose(mixed, asked(inputs)[0], atol=1e-4)


def test_a_missing_segment_is_a_gap_until_it_has_left_the_window() -> None:
    asked, came = network(3), stream(7)
    ring = SegmentRing(asked, 3)
    with torch.inference_mode():
        for segment in came[:3]:
            ring.push(segment)
        ring.skip()
        held = []
        for segment in came[3:6]:
            with pytest.raises(ValueError, match="of 3 segments"):
                ring.classify()
            ring.push(segment)
            held.append(ring.held)
        assert held == [1, 2, 3]
        assert_same(ring, asked(together(came[3:6])))
        ring.clear()
        assert ring.held == 0


@pytest.mark.parametrize("there", [(), ("rgb", "acc")])
def test_without_tokens_nothing_may_be_missing(there: tuple[str, ...]) -> None:
    (segment,) = stream(1)
    with pytest.raises(ValueError, match="a segment without"):
        SegmentRing(network(2), 2).push({name: segment[name] for name in there})
