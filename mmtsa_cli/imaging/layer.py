"""Imaging as a layer: sensor windows to Gramian angular fields, on the device and in the graph of the network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmtsa_cli.imaging.field import FieldOptions, gramian, rescale


class FieldImages(nn.Module):
    """Turn windows into images, of C channels (2 C where the field is "both": sums first).

    Parameters
    ----------
    options : FieldOptions
    axes : int
        C.
    low, high : (C,) array or tensor, optional
        Bounds of scale "dataset". Scale "LOW,HIGH" brings its own. They are buffers: saved with the network, so that
        a network that is loaded needs none.

    Raises
    ------
    ValueError
        `low` and `high` are not C numbers each.
    """

    low: Tensor
    high: Tensor

    def __init__(self, options: FieldOptions, *, axes: int, low: Any = None, high: Any = None) -> None:
        super().__init__()
        self.options = options
        self.axes = axes
        if options.bounds:
            low, high = options.bounds
        self.register_buffer("low", _bounds(-1.0 if low is None else low, axes))
        self.register_buffer("high", _bounds(1.0 if high is None else high, axes))

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.options.channels(self.axes)

    def forward(self, windows: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
        """Return the images of windows.

        Parameters
        ----------
        windows : (B, N, C, K) tensor
            In the sensor's unit.
        low, high : (C,) or (B, C) tensors
            Extremes of each clip's whole series; needed, and used, by scale "clip" only.

        Returns
        -------
        (B, N, C or 2 C, K, K) float32 tensor, in [-1, 1]
            Of `image_size` x `image_size` pixels where that is set: enlarged as images, made smaller as series.

        Raises
        ------
        ValueError
            Scale "clip" without `low` and `high`.
        """
        # float32 whatever autocast says: bfloat16 would leave 8 bits of a window's samples.
        windows = self._shortened(windows.float())
        lowest, highest = self._bounds_of(windows, low, high)
        scaled = rescale(windows, lowest, highest, range=self.options.range, noise_floor=self.options.noise_floor)
        images = [gramian(scaled, kind) for kind in self.options.kinds]
        return self._resized(images[0] if len(images) == 1 else torch.cat(images, dim=2))

    def _bounds_of(self, windows: Tensor, low: Tensor | None, high: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what the windows are rescaled by, each (B or 1, N or 1, C)."""
        if self.options.scale == "window":
            return windows.amin(dim=-1), windows.amax(dim=-1)
        if self.options.scale != "clip":
            return self.low[None, None], self.high[None, None]
        if low is None or high is None:
            raise ValueError("scale clip needs the extremes of every clip")
        return low.float().reshape(-1, 1, self.axes), high.float().reshape(-1, 1, self.axes)

    def _shortened(self, windows: Tensor) -> Tensor:
        """Average a window down to the image's size (piecewise aggregate approximation): fewer fields to compute."""
        size = self.options.image_size
        if size is None or size >= windows.shape[-1]:
            return windows
        means = nn.functional.adaptive_avg_pool1d(windows.flatten(0, 1), size)
        return means.reshape(*windows.shape[:-1], size)

    def _resized(self, images: Tensor) -> Tensor:
        size = self.options.image_size
        if size is None or size == images.shape[-1]:
            return images
        resized = nn.functional.interpolate(
            images.flatten(0, 1), size=(size, size), mode="bilinear", align_corners=False
        )
        return resized.reshape(*images.shape[:2], *resized.shape[1:])


def _bounds(values: Any, axes: int) -> Tensor:
    bounds = torch.as_tensor(values, dtype=torch.float32)
    if bounds.ndim == 0:
        return bounds.repeat(axes)
    if bounds.shape != (axes,):
        raise ValueError(f"bounds of shape {tuple(bounds.shape)} for {axes} axes")
    return bounds.clone()
