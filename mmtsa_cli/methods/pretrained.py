"""Encoders that begin with backbones of another training: other recordings, other people, other classes.

What is taken over is each backbone, which has seen images alone. Bounds of the fields, fusion and classifiers belong to
the recordings that they were made for, and begin anew.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import Tensor

from mmtsa_cli.errors import DataError
from mmtsa_cli.models.network import SegmentNetwork
from mmtsa_cli.models.weights import load_tensors, place_tensors

_BACKBONE = re.compile(r"encoders\.modality_(?P<modality>[^.]+)\.backbone\.(?P<tensor>.+)")


def start_from(network: SegmentNetwork, source: str, *, sha256: str | None = None) -> dict[str, str]:
    """Give encoders the backbones of the most similar modality of another network, where there is one.

    Similar is the modality of the same name, or one whose name begins alike (`acc` and `acc_watch`).

    Parameters
    ----------
    network : SegmentNetwork
        Changed in place.
    source : str
        Weights of a training (`folds/NAME/best.safetensors`): a path, or a URL, which needs its hash.

    Returns
    -------
    dict of str to str
        By modality of `network`, from which modality of the other one it starts.

    Raises
    ------
    UsageError, DataError
        As of `load_tensors`; no modality is similar, or a similar one's backbone is another.
    """
    backbones: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load_tensors(source, sha256=sha256).items():
        if found := _BACKBONE.fullmatch(name):
            backbones.setdefault(found["modality"].replace(":", "."), {})[found["tensor"]] = tensor
    origins = {name: other for name in network.modalities if (other := _similar(name, backbones))}
    if not origins:
        raise DataError(
            "no modality to start from",
            where=f"start {source}",
            expected=f"weights of a training with one like {', '.join(network.modalities)}",
            found=", ".join(backbones) or "no encoder's weights",
        )
    for name, encoder in zip(network.modalities, network.encoders.values(), strict=True):
        if name in origins:
            where = f"start {source}, {origins[name]}"
            place_tensors(encoder.backbone, backbones[origins[name]], source=where)  # type: ignore[arg-type]
    return origins


def _similar(name: str, others: Collection[str]) -> str | None:
    if name in others:
        return name
    # Of acc_phone and acc_watch the last: a watch moves more.
    alike = sorted(other for other in others if _stem(other) == _stem(name))
    return alike[-1] if alike else None


def _stem(name: str) -> str:
    return name.partition("_")[0]
