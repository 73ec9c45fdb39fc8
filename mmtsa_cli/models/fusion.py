"""Fusion over segments (equations 8 and 9), and the classifier after it.

Features of the modalities come concatenated (equation 7): (B, N, D), D the sum over modalities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    """A weighted mean over segments whose weights are learned: softmax of W_att . Y.

    Such a mean does not see the order of segments; a position embedding lets it.

    Parameters
    ----------
    features : int
        D.
    segments : int, optional
        N: learn one vector a segment, added to its features before they are scored and fused. None: no embedding,
        and any number of segments.
    """

    positions: nn.Parameter | None

    def __init__(self, features: int, *, segments: int | None = None) -> None:
        super().__init__()
        # From zero: training starts at the plain mean and leaves it where that pays.
        self.weight = nn.Parameter(torch.zeros(features))
        if segments is None:
            self.register_parameter("positions", None)
        else:
            self.positions = nn.Parameter(torch.randn(segments, features) * 0.02)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse segments.

        Parameters
        ----------
        features : (B, N, D) tensor

        Returns
        -------
        fused : (B, D) tensor
        weights : (B, N) float32 tensor
            Sum to 1 over segments.

        Raises
        ------
        ValueError
            Another number of segments than there are position embeddings.
        """
        if self.positions is not None:
            if features.shape[1] != len(self.positions):
                raise ValueError(f"{features.shape[1]} segments, embeddings of {len(self.positions)} positions")
            features = features + self.positions
        weights = (features * self.weight).sum(dim=-1).float().softmax(dim=-1)
        return (features * weights[..., None].to(features.dtype)).sum(dim=1), weights


class AverageFusion(nn.Module):
    """The plain mean over segments: the "concat" row of the paper's table 5."""

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean, (B, D), of features, (B, N, D), and the equal weights, (B, N), that it gives."""
        clips, segments = features.shape[:2]
        return features.mean(dim=1), features.new_full((clips, segments), 1.0 / segments, dtype=torch.float32)


class Classifier(nn.Sequential):
    """Two fully connected layers, with dropout before each; the softmax is the loss's.

    Parameters
    ----------
    features : int
        D.
    hidden : int
    classes : int
    dropout : float
    """

    def __init__(self, features: int, *, hidden: int, classes: int, dropout: float) -> None:
        super().__init__(
            nn.Dropout(dropout),
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
