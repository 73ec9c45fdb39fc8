"""Encoders that begin where a training of their modality alone ended.

A modality's network alone has the fused network's options, clips and seed. Its encoder's best weights are kept in a
file under a hash of all that they follow from, in the place that systems of the same clips share, if there is one: a
table that trains each modality alone anyway does so once. Sensors that share a backbone are one such part: they are
trained together, without the other modalities.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mmtsa_cli.methods.network_method import NetworkMethod
from mmtsa_cli.methods.trained_once import name_of, narrowed, origin_of
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.training.checkpoint import TrainingState, load_tensors, save_tensors
from mmtsa_cli.training.group import from_first, is_first
from mmtsa_cli.training.owed import owe_others
from mmtsa_cli.training.run import Run


def start_from_alone(method: Any, samples: Samples, validation: Samples | None, *, seed: int, run: Run) -> None:
    """Give each encoder of an untrained network the weights of its modality's network alone, trained where need be.

    Parameters
    ----------
    method : NetworkMethod
        Its network has `modalities` and, in their order, `encoders`, and says by `runs` which share a backbone.

    Raises
    ------
    DataError
        Fewer than two clips.
    TrainingStoppedError
    """
    parts = method.network.runs(method.network.modalities)
    if len(parts) == 1:
        return
    for names in parts:
        own, own_validation = narrowed(samples, validation, names)
        path = _place(method.options, own, own_validation, seed, run)
        found = from_first(path.is_file)
        if not found:
            _train_alone(method, own, own_validation, path, seed, run)
        weights, about = from_first(lambda: load_tensors(path))  # noqa: B023 - called at once
        if found and run.shared:
            owe_others(path, about["seconds"])
        _put(method, names, weights)


def keep_alone(
    method: Any, samples: Samples, validation: Samples | None, state: TrainingState, *, seed: int, run: Run
) -> None:
    """Keep the encoder of a trained network of one such part, and its training's time, for those that start from it."""
    if len(method.network.runs(method.network.modalities)) > 1 or not is_first():
        return
    _keep(_place(method.options, samples, validation, seed, run), method, state)


def _train_alone(method: Any, samples: Samples, validation: Samples | None, path: Path, seed: int, run: Run) -> None:
    # A directory of its own, also where the file is shared: two processes may train the same at the same time.
    directory = run.directory / path.stem
    if is_first():
        directory.mkdir(parents=True, exist_ok=True)
    alone = type(method).for_samples(method.options, samples, seed=seed)
    state = NetworkMethod.fit(alone, samples, validation, seed=seed, run=replace(run, directory=directory))
    if is_first():
        _keep(path, alone, state)
        shutil.rmtree(directory, ignore_errors=True)


def _keep(path: Path, method: Any, state: TrainingState) -> None:
    # What systems share has no place yet where this is the first of it.
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, _encoder_weights(method), {"seconds": sum(row["seconds"] for row in state.history)})


def _encoder_weights(method: Any) -> dict[str, Tensor]:
    encoders = method.network.encoders
    if len(encoders) == 1:
        (encoder,) = encoders.values()
        return encoder.state_dict()
    return {f"{name}/{tensor}": value for name, own in encoders.items() for tensor, value in own.state_dict().items()}


def _put(method: Any, names: Sequence[str], weights: Mapping[str, Tensor]) -> None:
    """Give the encoders of some modalities the weights that `_encoder_weights` returned."""
    encoders = dict(zip(method.network.modalities, method.network.encoders.items(), strict=True))
    for key, encoder in (encoders[name] for name in names):
        prefix = f"{key}/" if len(names) > 1 else ""
        encoder.load_state_dict(
            {name.removeprefix(prefix): v for name, v in weights.items() if name.startswith(prefix)}
        )


def _place(options: Any, samples: Samples, validation: Samples | None, seed: int, run: Run) -> Path:
    kept = name_of("alone", "+".join(samples.modalities), origin_of(options, samples, validation, seed=seed))
    return (run.shared or run.directory) / f"{kept}.safetensors"
