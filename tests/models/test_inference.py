"""The copy of a network for inference: the same answers, to stated bounds."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import fx, nn

from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models import network as network_module
from mmtsa_cli.models.inference import GroupedSensors, fold_norms, ready_for_inference
from mmtsa_cli.models.network import Input, ModelOptions, build_network
from mmtsa_cli.models.packed_convolution import PackedConvolution, can_pack, pack_convolutions

BOUND = {"float32": 1e-4, "bfloat16": 0.05}


def seen(backbone, **options):
    """A network whose norms have seen clips, and clips for it."""
    torch.manual_seed(0)
    inputs = {
        "rgb": Input("video", 3, size=40),
        "acc": Input("sensor", 3, ((-1, 1),) * 3, size=36),
        "gyro": Input("sensor", 3, ((-1, 1),) * 3, size=36),
    }
    model = ModelOptions(backbone=backbone, width=0.25, hidden=16, dropout=0.0, **options)
    network = build_network(inputs, model, FieldOptions(scale="dataset"), segments=2, classes=4)
    tensors = {"rgb": torch.randint(0, 255, (6, 2, 40, 40, 3), dtype=torch.uint8)}
    tensors |= {name: torch.randn(6, 2, 3, 36) for name in ("acc", "gyro")}
    with torch.no_grad():
        for _ in range(3):
            network.train()(tensors)
    return network.eval(), tensors


@pytest.fixture(scope="module", params=["bn_inception", "resnet10", "resnet10, vote"])
def case(request):
    name, _, vote = request.param.partition(", ")
    return seen(name, auxiliary=0.5, vote=bool(vote))


def difference(mine, its):
    return float((mine - its).abs().max() / its.abs().max())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_copy_answers_as_the_network_does_within_its_bound(case, precision):
    network, tensors = case
    with torch.inference_mode():
        logits, attention = network(tensors)
        fast_logits, fast_attention = ready_for_inference(network, precision=precision)(tensors)
    assert fast_logits.dtype == torch.float32
    assert difference(fast_logits, logits) < BOUND[precision]
    assert torch.allclose(fast_attention, attention, atol=BOUND[precision])


def test_encoders_of_the_copy_run_side_by_side_in_inference_and_nowhere_else(case, monkeypatch):
    network, tensors = case
    calls, whole = [], network_module.side_by_side

    def counted(*arguments):
        calls.append(len(arguments[0]))
        return whole(*arguments)

    monkeypatch.setattr(network_module, "side_by_side", counted)
    ready, said = ready_for_inference(network), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            said[threads] = ready(tensors)[0]
    assert calls == [3, 3]
    assert difference(said[2], said[1]) < BOUND["float32"]
    with torch.inference_mode():
        network(tensors)
    ready(tensors)
    assert calls == [3, 3]


def test_the_copy_has_no_norms_left_and_the_network_keeps_its_own(case):
    network, _ = case
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    ready = ready_for_inference(network)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in ready.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_sensors_in_one_grouped_call_answer_as_one_by_one(case):
    network, tensors = case
    for precision, bound in BOUND.items():
        ready = ready_for_inference(network, precision=precision, packed=False)
        with torch.inference_mode():
            assert difference(GroupedSensors(ready)(tensors)[0], ready(tensors)[0]) < bound


def test_sensors_that_share_a_backbone_go_on_sharing_it():
    network, tensors = seen("resnet10", shared_sensors=True)
    ready = ready_for_inference(network)
    backbones = [encoder.backbone for encoder in ready.encoders.values() if hasattr(encoder, "images")]
    assert backbones[0] is backbones[1]
    with torch.inference_mode():
        assert difference(ready(tensors)[0], network(tensors)[0]) < BOUND["float32"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("backbone", ["bn_inception", "resnet10", "mobilenet_v3_small"])
def test_packed_weights_answer_alike_for_any_number_of_clips_and_threads(backbone, precision):
    network, tensors = seen(backbone)
    plain, packed = (ready_for_inference(network, precision=precision, packed=way) for way in (False, True))
    if not can_pack(next(layer.weight for layer in plain.modules() if isinstance(layer, nn.Conv2d))):
        pytest.skip(f"weights in {precision} are not packed on this processor")
    layers = list(packed.modules())
    assert any(isinstance(layer, PackedConvolution) for layer in layers)
    assert not any(type(layer) is nn.Conv2d for layer in layers)
    threads = torch.get_num_threads()
    try:
        for count, clips in ((threads, 6), (threads, 1), (1, 6), (threads, 6)):
            torch.set_num_threads(count)
            some = {name: values[:clips] for name, values in tensors.items()}
            with torch.inference_mode():
                assert difference(packed(some)[0], plain(some)[0]) < BOUND[precision] / 10
    finally:
        torch.set_num_threads(threads)


def test_a_packed_network_can_be_copied_after_it_was_asked():
    network, tensors = seen("resnet10")
    packed = ready_for_inference(network)
    with torch.inference_mode():
        said = packed(tensors)[0]
        assert torch.equal(copy.deepcopy(packed)(tensors)[0], said)


def test_a_convolution_that_is_used_twice_is_packed_without_its_relu():
    class Used(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(2, 3, 3, padding=1)

        def forward(self, images):
            inner = self.convolution(images)
            return inner.relu() + nn.functional.relu(inner)

    torch.manual_seed(0)
    backbone, images = Used(), torch.randn(2, 2, 5, 5)
    if not can_pack(backbone.convolution.weight):
        pytest.skip("weights are not packed on this processor")
    with torch.inference_mode():
        whole = backbone(images)
        packed = pack_convolutions(fx.symbolic_trace(backbone))
        assert isinstance(packed.convolution, PackedConvolution)
        assert torch.allclose(packed(images), whole, atol=1e-6)


class Twice(nn.Module):
    """One convolution, called twice, with a norm behind the second call alone."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)

    def forward(self, images):
        return self.norm(self.convolution(self.convolution(images)))


class Branching(nn.Module):
    """What it computes depends on what it sees: no fixed graph."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)

    def forward(self, images):
        return self.norm(self.convolution(images)) if images.sum() > 0 else images


@pytest.mark.parametrize("kind", [Twice, Branching])
def test_where_folding_would_be_wrong_nothing_is_folded(kind):
    torch.manual_seed(0)
    backbone, images = kind(), torch.rand(3, 2, 5, 5)
    with torch.no_grad():
        backbone.train()(images)
        whole = copy.deepcopy(backbone).eval()(images)
        folded = fold_norms(backbone.eval())
        assert torch.equal(folded(images), whole)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())


@pytest.mark.slow
def test_compiled_backbones_answer_and_learn_as_they_are():
    from mmtsa_cli.stages.speeds.networks import compiled_way
    from mmtsa_cli.training.optimisation import compile_backbones

    network, tensors = seen("resnet10")
    ready = ready_for_inference(network)
    call, warm_up_s = compiled_way(ready, tensors)
    with torch.inference_mode():
        assert difference(call(), network(tensors)[0]) < BOUND["float32"]
    assert warm_up_s > 0

    gradients = []
    for own in (copy.deepcopy(network), copy.deepcopy(network)):
        if gradients:
            names = list(own.state_dict())
            assert compile_backbones(own) == 3
            assert list(own.state_dict()) == names
        own.train()(tensors)[0].square().sum().backward()
        gradients.append(own.encoders["modality_acc"].backbone.conv1.weight.grad)
    assert difference(gradients[1], gradients[0]) < 1e-3
