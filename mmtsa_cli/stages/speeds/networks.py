"""How fast the network is asked, beside float32 as it stands with sensor images enlarged to 224 pixels.

Both are the paper's network (BN-Inception for each of five modalities, three segments), with the same weights, drawn at
random; its batch norms have seen clips, so that what it says is of ordinary size. A difference is the largest of the
logits' as a part of the largest logit, from float32 at the same sizes of images.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmtsa_cli.methods.batches import evaluation_generators
from mmtsa_cli.methods.mmtsa import Mmtsa
from mmtsa_cli.models.inference import (
    GroupedSensors,
    Precision,
    activation_ranges,
    fold_norms,
    ready_for_inference,
    ready_in_integers,
)
from mmtsa_cli.models.integers import computes_integers
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.recipe import Recipe, read_recipe
from mmtsa_cli.stages.speeds import material
from mmtsa_cli.stages.speeds.timing import SpeedRow, Times, in_turns, timed_row
from mmtsa_cli.training.optimisation import autocast, computes_bfloat16

ENLARGED, SMALL_FRAMES, SMALL_SENSORS = 224, 112, 48
_SCALED_BY = 4
NAIVE = "float32, contiguous, 224 pixels everywhere"


@dataclass(frozen=True)
class Sizes:
    """Pixels of frames, and of sensor images (None: one a sample)."""

    frames: int
    sensors: int | None

    def __str__(self) -> str:
        """Say them."""
        return f"frames {self.frames}, sensors {'native' if self.sensors is None else self.sensors}"


LARGE, NATIVE = Sizes(ENLARGED, ENLARGED), Sizes(ENLARGED, None)
SMALL = Sizes(SMALL_FRAMES, SMALL_SENSORS)


class Networks:
    """The network at several sizes of images, with the same weights, and clips for it.

    Parameters
    ----------
    store : Path
        Of `material.write_store`.
    device : str
    """

    def __init__(self, store: Path, *, device: str = "cpu") -> None:
        self._store, self._device = Store(store), device
        self._made: dict[Sizes, Mmtsa] = {}
        native = self.at(NATIVE)
        _calibrate(native.network, self.tensors(NATIVE, 2))

    def at(self, sizes: Sizes) -> Mmtsa:
        """Return the system for images of these sizes."""
        if sizes not in self._made:
            method = Mmtsa.for_samples(self._recipe(sizes), self._samples(sizes), seed=0)
            if self._made:
                method.network.load_state_dict(self._made[NATIVE].network.state_dict())
            self._made[sizes] = method
        return self._made[sizes]

    def shared(self) -> Mmtsa:
        """Return the system at native size whose sensors of one shape share a backbone: other weights, and fewer."""
        recipe = self._recipe(NATIVE)
        recipe = replace(recipe, model=replace(recipe.model, shared_sensors=True))
        return Mmtsa.for_samples(recipe, self._samples(NATIVE), seed=0)

    def naive(self, sizes: Sizes) -> nn.Module:
        """Return a copy of the network as the paper's code has it."""
        return contiguous(copy.deepcopy(self.at(sizes).network))

    def tensors(self, sizes: Sizes, clips: int) -> dict[str, Tensor]:
        """Return the tensors of some clips."""
        batch = self._samples(sizes).batch(
            list(range(clips)), generators=evaluation_generators(0, 1, list(range(clips)))
        )
        return self.at(sizes)._tensors(batch)

    def _samples(self, sizes: Sizes) -> Samples:
        names = tuple(self._store.header.modalities)
        options = DrawOptions(frame_size=sizes.frames)
        clips = range(len(self._store))
        return Samples(self._store, clips, modalities=names, classes=material.CLASSES, options=options)

    def _recipe(self, sizes: Sizes) -> Recipe:
        size = "null" if sizes.sensors is None else str(sizes.sensors)
        return read_recipe("paper", [f"imaging.image_size={size}", f"training.device={self._device}"])


def contiguous(network: nn.Module) -> nn.Module:
    """Let a network compute in the contiguous format, its images too, in place; return it."""
    for module in network.modules():
        if (backbone := module._modules.get("backbone")) is not None:
            # Convolutions compute channels-last where weights or images are.
            backbone.register_forward_pre_hook(lambda _, images: (images[0].contiguous(),))
    return network.to(memory_format=torch.contiguous_format)


def _calibrate(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(tensors)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def inference_rows(networks: Networks, *, repeats: int) -> list[SpeedRow]:
    """Return the rows of inference of one clip."""
    native, small = networks.at(NATIVE), networks.at(SMALL)
    ways = {
        "naive": asked(networks.naive(LARGE).eval(), networks.tensors(LARGE, 1)),
        "native": asked(native.network_for_inference()[0], networks.tensors(NATIVE, 1)),
        "small": asked(small.network_for_inference()[0], networks.tensors(SMALL, 1)),
    }
    names = {"native": "infer: 1 clip, native size", "small": f"infer: 1 clip, {SMALL}"}
    if multiplies_bytes(networks):
        for way, sizes in (("native", NATIVE), ("small", SMALL)):
            ways[f"{way} int8"] = asked(network_in_integers(networks, sizes), networks.tensors(sizes, 1))
            names[f"{way} int8"] = f"{names[way]}, 8-bit integers"
    times = in_turns(ways, repeats=repeats, call_before=True)
    about = {"native": f"same weights; {NAIVE}", "small": f"same weights; {NAIVE}; other images"}
    return [
        timed_row(name, times[way], times["naive"], bar=10, naive_way=about[way.split()[0]])
        for way, name in names.items()
    ]


def multiplies_bytes(networks: Networks) -> bool:
    """Say whether the networks can be computed in 8-bit integers here."""
    return next(networks.at(NATIVE).network.parameters()).device.type == "cpu" and computes_integers()


def network_in_integers(networks: Networks, sizes: Sizes) -> nn.Module:
    """Return the network in 8-bit integers, scaled by clips as it is asked about."""
    network = networks.at(sizes).network
    ranges = activation_ranges(network, [networks.tensors(sizes, _SCALED_BY)])
    assert ranges is not None
    return ready_in_integers(network, ranges)


def asked(network: nn.Module, tensors: Mapping[str, Tensor], *, precision: str = "float32") -> Callable[[], Tensor]:
    """Return what asks a network in evaluation about some clips, and returns the logits."""
    device = next(iter(tensors.values())).device

    def call() -> Tensor:
        with torch.inference_mode(), autocast(precision, device):
            logits = network(tensors)[0].float()
        wait_for(device)
        return logits

    return call


def inference_ways(networks: Networks, *, repeats: int, compiled: bool, note: Callable[[str], None]) -> list[dict]:
    """Return what each way to ask faster gives alone, and several together, with how far its answer is from float32."""
    large, native = networks.naive(LARGE).eval(), networks.naive(NATIVE).eval()
    at_large, at_native, at_small = (networks.tensors(sizes, 1) for sizes in (LARGE, NATIVE, SMALL))
    few = Sizes(SMALL_FRAMES, None)
    own = own_precision(networks)
    half = _in_sequence(ready_for_inference(networks.at(NATIVE).network, precision=own, packed=False))
    folded = _in_sequence(ready_for_inference(networks.at(NATIVE).network, packed=False))
    packed = ready_for_inference(networks.at(NATIVE).network, precision=own)
    exact = {sizes: asked(networks.naive(sizes).eval(), networks.tensors(sizes, 1))() for sizes in (LARGE, NATIVE)}
    for sizes in (SMALL, few):
        exact[sizes] = asked(networks.naive(sizes).eval(), networks.tensors(sizes, 1))()
    ways: dict[str, tuple[Callable[[], Tensor], Sizes]] = {
        f"{NAIVE} (the naive way)": (asked(large, at_large), LARGE),
        "alone: channels-last": (asked(networks.at(LARGE).network.eval(), at_large), LARGE),
        "alone: norms folded into convolutions": (asked(_only_folded(large), at_large), LARGE),
        "alone: bfloat16 (autocast)": (asked(large, at_large, precision="bfloat16"), LARGE),
        "alone: sensors at native size": (asked(native, at_native), NATIVE),
        f"alone: frames of {SMALL_FRAMES} besides": (
            asked(networks.naive(few).eval(), networks.tensors(few, 1)),
            few,
        ),
        "float32: native, channels-last, folded": (asked(folded, at_native), NATIVE),
        f"{own}: native, channels-last, folded": (asked(half, at_native), NATIVE),
        "the same, sensors of one shape in one grouped call": (asked(GroupedSensors(half), at_native), NATIVE),
        f"the same as {own}, on one thread": (_on_one_thread(asked(half, at_native)), NATIVE),
        f"the same as {own}, weights packed once, ReLU in the convolution": (
            asked(_in_sequence(packed), at_native),
            NATIVE,
        ),
        "the same, encoders side by side, a thread each": (asked(packed, at_native), NATIVE),
        f"the same, {SMALL}": (asked(networks.at(SMALL).network_for_inference()[0], at_small), SMALL),
    }
    if own == "float32":
        # Emulated it is tens of times slower, which says nothing of a processor that has it.
        del ways["alone: bfloat16 (autocast)"]
    if multiplies_bytes(networks):
        for sizes in (NATIVE, SMALL):
            call = asked(network_in_integers(networks, sizes), networks.tensors(sizes, 1))
            ways[f"8-bit integers, {sizes}"] = (call, sizes)
    times_only = {
        "the same as packed, sensors of one shape share a backbone": asked(
            networks.shared().network_for_inference()[0], at_native
        )
    }
    if compiled:
        call, seconds = compiled_way(half, at_native)
        note(f"torch.compile with frozen weights: warm-up of {seconds:.0f} s, which a process pays once")
        ways[f"the same as {own}, compiled (warm-up {seconds:.0f} s)"] = (call, NATIVE)
    calls = {name: call for name, (call, _) in ways.items()} | times_only
    times = in_turns(calls, repeats=repeats, budget_s=90, call_before=True)
    return way_rows(
        "infer",
        times,
        {name: _difference(call(), exact[sizes]) for name, (call, sizes) in ways.items()}
        | {name: "other weights" for name in times_only},
    )


def own_precision(networks: Networks) -> Precision:
    """Return what the networks are computed in here: bfloat16 where the device has it, else float32."""
    device = next(networks.at(NATIVE).network.parameters()).device
    return "bfloat16" if computes_bfloat16(device) else "float32"


def compiled_way(network: nn.Module, tensors: Mapping[str, Tensor]) -> tuple[Callable[[], Tensor], float]:
    """Return what asks a network whose backbones are compiled, their weights frozen into the code, and the warm-up.

    Returns
    -------
    call : callable
    seconds : float
        Of the first call, in which it is compiled.
    """
    import torch._inductor.config as inductor

    # The compiler's settings are those of the thread that makes them.
    ready = _in_sequence(network)
    _change_backbones(ready, torch.compile)
    call, before = asked(ready, tensors), inductor.freezing
    inductor.freezing = True
    begun = time.perf_counter()
    try:
        call()
    finally:
        inductor.freezing = before
    return call, time.perf_counter() - begun


def _in_sequence(network: nn.Module) -> nn.Module:
    """Return a copy whose encoders run one after the other, each on all threads."""
    ready: Any = copy.deepcopy(network)
    ready.side_by_side = False
    return ready


def _change_backbones(network: nn.Module, change: Callable[[Any], Any]) -> None:
    for module in list(network.modules()):
        if "backbone" in module._modules:
            module.backbone = change(module.backbone)


def _only_folded(network: nn.Module) -> nn.Module:
    ready = copy.deepcopy(network)
    _change_backbones(ready, fold_norms)
    # What is folded is a new module, without what was hung on the old one.
    return contiguous(ready)


def _on_one_thread(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def alone() -> Tensor:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return call()
        finally:
            torch.set_num_threads(threads)

    return alone


def _difference(logits: Tensor, exact: Tensor) -> str:
    return f"{float((logits - exact).abs().max() / exact.abs().max()):.1e}"


def way_rows(part: str, times: Mapping[str, Times], differences: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of several ways, each as many times as fast as the first."""
    base = next(iter(times.values()))
    return [
        {
            "part": part,
            "way": name,
            "ms": 1000 * taken.median_s,
            "times_as_fast": base.median_s / taken.median_s,
            "cpu_times_as_fast": base.cpu_s / max(taken.cpu_s, 1e-9),
            "difference": differences.get(name, ""),
        }
        for name, taken in times.items()
    ]


def wait_for(device: torch.device) -> None:
    """Return when the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
