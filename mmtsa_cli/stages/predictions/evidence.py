"""What networks say of one clip: which segment, second, axis and modality speaks for a class, averaged over draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.segments import draw_fractions
from mmtsa_cli.stages.predictions.networks import Networks

Progress = Callable[[int, int], None]
Floats = NDArray[np.float64]


@dataclass
class Found:
    """What networks say of a clip: means over networks and draws, by modality.

    Attributes
    ----------
    maps : (N, h, w) arrays
        Grad-CAM of the centre draw.
    evidence : (N,) arrays
        What each segment adds to the class's score.
    importance : (n,) arrays
        Of a sensor: what a moment adds to the class's score, per second, on the grid of its series. Their sum over
        time is that of `evidence`.
    without : (classes,) arrays
        Probabilities without the modality.
    at_rest : (C, classes) arrays
        Of a sensor: probabilities with each axis at rest.
    """

    maps: dict[str, Floats] = field(default_factory=dict)
    evidence: dict[str, Floats] = field(default_factory=dict)
    importance: dict[str, Floats] = field(default_factory=dict)
    without: dict[str, Floats] = field(default_factory=dict)
    at_rest: dict[str, Floats] = field(default_factory=dict)


def find(networks: Networks, samples: Samples, target: int, progress: Progress) -> Found:
    """Ask every network about every draw of the one clip of `samples`; `target` is the class that is explained."""
    found = Found()
    draws, total = networks.recipe.draws, networks.recipe.draws * len(networks.methods)
    for draw in range(draws):
        for number, method in enumerate(networks.methods):
            _add_draw(found, method, samples, target, draw, networks.seed, 1 / total, 1 / len(networks.methods))
            progress(draw * len(networks.methods) + number + 1, total)
    return found


def _add_draw(
    found: Found, method: Any, samples: Samples, target: int, draw: int, seed: int, part: float, centre_part: float
) -> None:
    """Add what one network says of one draw, weighed by `part`; maps of the centre draw by `centre_part`."""
    from mmtsa_cli.methods.batches import evaluation_generators
    from mmtsa_cli.models.grad_cam import grad_cam, time_importance

    generators = evaluation_generators(seed, draw, [0])
    batch = samples.batch([0], generators=generators)
    # The first thing that a generator draws; `batch` has used the other one up.
    again = evaluation_generators(seed, draw, [0])
    fractions = draw_fractions(samples.segments, again[0] if again else None)
    tensors = tensors_of(batch, method.device)
    for name, maps in grad_cam(method.network.eval(), tensors, target).items():
        if draw == 0:
            _add(found.maps, name, centre_part, maps[0])
        _add(found.evidence, name, part, maps[0].sum(dim=(1, 2)))
        if samples.kind(name) == "sensor":
            moments = time_importance(maps[0], samples.window_samples(name)).cpu().numpy()
            _add(found.importance, name, part, _on_the_grid(samples, name, fractions, moments))
    _add_left_out(found, method, tensors, part)


def tensors_of(batch: Any, device: Any) -> dict[str, Any]:
    """Return a batch as a network takes it, on its device."""
    import torch

    arrays = {**batch.inputs, **{f"{name}.extremes": values for name, values in batch.extremes.items()}}
    return {name: torch.from_numpy(values).to(device) for name, values in arrays.items()}


def _on_the_grid(samples: Samples, name: str, fractions: Floats, moments: NDArray[Any]) -> Floats:
    """Return what windows say of their samples, (N, K), per second on the grid of the series, (n,)."""
    grid = np.zeros(len(samples.store.series(name, 0)))
    for first, window in zip(samples.first_rows(name, 0, fractions), moments, strict=True):
        grid[first : first + len(window)] += window
    return grid * samples.store.header.modalities[name].rate


def _add_left_out(found: Found, method: Any, tensors: Mapping[str, Any], part: float) -> None:
    import torch

    from mmtsa_cli.models.leave_out import leave_out
    from mmtsa_cli.training.optimisation import autocast

    # The network that said the probabilities which these are compared with.
    network, precision = method.network_for_inference()
    with torch.inference_mode(), autocast(precision, method.device):
        left_out = leave_out(network, tensors)
    for name, scores in left_out.modalities.items():
        _add(found.without, name, part, scores.double().softmax(dim=-1))
    for name, scores in left_out.axes.items():
        _add(found.at_rest, name, part, scores.double().softmax(dim=-1))


def _add(sums: dict[str, Floats], name: str, part: float, values: Any) -> None:
    values = values if isinstance(values, np.ndarray) else values.double().cpu().numpy()
    sums[name] = sums.get(name, 0.0) + part * values


def axis_shares(all_: Floats, at_rest: Floats, target: int) -> Floats:
    """Return which part of a sensor's importance each axis has.

    The part is what the log-odds of the class lose when the axis rests, of the sum over axes that lose any.

    Parameters
    ----------
    all_ : (classes,) array
        Probabilities with all axes.
    at_rest : (C, classes) array
        Probabilities with each axis at rest.
    target : int

    Returns
    -------
    (C,) array
        Sums to 1; even where no axis loses.
    """
    lost = np.maximum(log_odds(all_, target) - log_odds(at_rest, target), 0.0)
    return lost / lost.sum() if lost.sum() > 0 else np.full(len(lost), 1 / len(lost))


def log_odds(probabilities: Floats, target: int) -> Floats:
    """Return log p / (1 - p) of a class, of probabilities (..., classes), finite however sure the network is."""
    tiny = np.finfo(float).tiny
    others = np.delete(probabilities, target, axis=-1).sum(axis=-1)
    return np.log(np.maximum(probabilities[..., target], tiny)) - np.log(np.maximum(others, tiny))
