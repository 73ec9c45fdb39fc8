"""Contrastive pairing: what modalities recorded at the same time is told from what they recorded in other clips.

The loss of van den Oord et al. (InfoNCE, 2018) between each two modalities, as Radford et al. (2021) have it between
pictures and texts: of a segment's vector in one modality, the vector of the same segment in the other must be the
nearest among those of all clips of the batch. Other segments of the same clip are no counterexamples: they show the
same activity.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

_TEMPERATURE = 0.1


def pairing_loss(vectors: Sequence[Tensor], *, temperature: float = _TEMPERATURE) -> Tensor:
    """Return the mean loss over all pairs of modalities, both ways.

    Parameters
    ----------
    vectors : sequence of (B, N, D) tensors
        One a modality, at least two; their length does not matter.
    temperature : float
        Differences of the cosine count in units of this.
    """
    clips, segments = vectors[0].shape[:2]
    unit = [nn.functional.normalize(vector.float().flatten(0, 1), dim=-1) for vector in vectors]
    clip_of = torch.arange(clips, device=unit[0].device).repeat_interleave(segments)
    rows = torch.arange(clips * segments, device=unit[0].device)
    passed_over = (clip_of[:, None] == clip_of[None]) & (rows[:, None] != rows[None])
    losses = []
    for one, other in combinations(unit, 2):
        scores = (one @ other.T / temperature).masked_fill(passed_over, -torch.inf)
        losses += [nn.functional.cross_entropy(scores, rows), nn.functional.cross_entropy(scores.T, rows)]
    return torch.stack(losses).mean()
