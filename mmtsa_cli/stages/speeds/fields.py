"""How fast fields are made, beside pyts, window by window."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.imaging.field import gramian, grey_field, rescale, to_grey
from mmtsa_cli.stages.speeds.timing import SpeedRow, in_turns, timed_row

_WINDOWS, _SAMPLES = 16, 200
_PLAIN = "pyts' arithmetic written out, window by window (pyts is not installed)"


def field_row(*, repeats: int) -> SpeedRow:
    """Return the row of the fields of 3 x 200 windows to 8 bit, on one core, in milliseconds a window."""
    fields, way = naive_fields()
    windows = _windows()

    def naive() -> None:
        for window in windows:
            naive_grey(fields(window))

    times = in_turns({"ours": lambda: our_grey(windows), "naive": naive}, repeats=repeats, budget_s=20)
    row = timed_row("field: 3 x 200 samples to 8 bit, 1 core", times["ours"], times["naive"], bar=20, naive_way=way)
    return SpeedRow(
        row.name, row.unit, row.ours / _WINDOWS, (row.naive or 0) / _WINDOWS, 20, way, False, row.fastest, row.cpu
    )


def field_ways(*, repeats: int) -> list[dict[str, Any]]:
    """Return what each way to make fields takes and how far it is from the exact one, in steps of grey."""
    windows = _windows()
    exact = exact_grey(windows)
    ways: dict[str, Callable[[], NDArray[np.uint8]]] = {
        "float64 in several passes, all windows at once": lambda: exact_grey(windows),
        "one product of matrices in float32, bytes while in the cache": lambda: our_grey(windows),
        "the same, one half mirrored from the other": lambda: _mirrored(windows),
    }
    times = in_turns(ways, repeats=repeats, budget_s=20)
    base = times[next(iter(ways))]
    return [
        {
            "part": "field",
            "way": name,
            "ms": 1000 * times[name].median_s / _WINDOWS,
            "times_as_fast": base.median_s / times[name].median_s,
            "cpu_times_as_fast": base.cpu_s / max(times[name].cpu_s, 1e-9),
            "difference": f"{np.abs(call().astype(int) - exact).max()} of 255 grey",
        }
        for name, call in ways.items()
    ]


def our_grey(windows: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the images of windows (..., C, K), each rescaled by its own extremes, as `imagify` makes them."""
    return grey_field(rescale(windows, windows.min(axis=-1), windows.max(axis=-1)))


def exact_grey(windows: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the same by equations 1 to 5 in float64."""
    return to_grey(gramian(rescale(windows, windows.min(axis=-1), windows.max(axis=-1))))


def naive_fields() -> tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], str]:
    """Return what makes the fields (C, K, K) of one window (C, K) the naive way, and what that is."""
    # pyts is three NumPy products an axis: interpreted it is as fast as compiled, which takes a minute.
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    try:
        from pyts.image import GramianAngularField
    except ImportError:
        return _plain_fields, _PLAIN
    return lambda window: GramianAngularField(method="summation").fit_transform(window), "pyts, window by window"


def naive_grey(fields: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return fields as 8 bit the way of the paper's code: by the least and the largest value of each."""
    low, high = fields.min(axis=(1, 2), keepdims=True), fields.max(axis=(1, 2), keepdims=True)
    return ((fields - low) / (high - low) * 255).astype(np.uint8)


def _plain_fields(window: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what pyts does of a window, by its steps: scaled, clipped, cosines, sines, their products axis by axis."""
    low, high = window.min(axis=1, keepdims=True), window.max(axis=1, keepdims=True)
    cosine = np.clip((window - low) / (high - low) * 2 - 1, -1, 1)
    sine = np.sqrt(np.clip(1 - cosine**2, 0, 1))
    return np.stack([np.outer(c, c) - np.outer(s, s) for c, s in zip(cosine, sine, strict=True)])


def _mirrored(windows: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return fields whose lower left quarter is copied from the upper right one."""
    scaled = rescale(windows, windows.min(axis=-1), windows.max(axis=-1))
    half = scaled.shape[-1] // 2
    sine = np.sqrt((1 - scaled) * (1 + scaled))
    out = np.empty((*scaled.shape, scaled.shape[-1]), np.uint8)
    first, second = scaled[..., :half], scaled[..., half:]
    out[..., :half, :half], out[..., half:, half:] = grey_field(first), grey_field(second)
    corner = first[..., :, None] * second[..., None, :] - sine[..., :half, None] * sine[..., None, half:]
    out[..., :half, half:] = to_grey(corner.astype(np.float32))
    out[..., half:, :half] = np.swapaxes(out[..., :half, half:], -1, -2)
    return out


def _windows() -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=(_WINDOWS, 3, _SAMPLES)).cumsum(axis=-1)
