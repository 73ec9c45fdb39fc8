"""What the speed benchmark works on: a store of five modalities as the paper has them, made in a moment.

A video of 589 x 331 pixels, two accelerometers at 100 Hz, gyroscope and orientation at 50 Hz, clips of 10 s, 37
classes. Pictures are noise whose power falls with the frequency, as that of photographs does, so that their JPEG files
are as large; there is nothing to be learned from them, and nothing of what is measured depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.manifest import Manifest, write_manifest
from mmtsa_cli.sampling.packing import CuttingOptions, PackedClip, PackedFrame, StoreWriter, candidate_times, shrink
from mmtsa_cli.sampling.store import StoredModality, StoreHeader

HEIGHT, WIDTH, SECONDS, SEGMENTS, WINDOW_S = 331, 589, 10.0, 3, 2.0
RATES = {"acc_phone": 100.0, "acc_watch": 100.0, "gyro": 50.0, "orientation": 50.0}
CLASSES = tuple(f"activity {number:02d}" for number in range(37))
_AXES = ("x", "y", "z")
_EXTRACTED_QUALITY = 95


def pictures(count: int, *, seed: int) -> list[NDArray[np.uint8]]:
    """Return pictures, (331, 589, 3) uint8, like photographs to a JPEG coder."""
    rng = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None]
    falling = 1 / np.maximum(np.hypot(down, across), 1 / WIDTH) ** 1.2
    found = []
    for _ in range(count):
        noise = np.fft.rfft2(rng.normal(size=(3, HEIGHT, WIDTH))) * falling
        picture = np.fft.irfft2(noise, s=(HEIGHT, WIDTH))
        picture = 128 + 50 * picture / picture.std()
        found.append(np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8).transpose(1, 2, 0)))
    return found


def series(samples: int, *, seed: int) -> NDArray[np.float32]:
    """Return a sensor's series, (n, 3) float32: a sum of sines and noise, about as an accelerometer reads."""
    rng = np.random.default_rng(seed)
    phase = np.linspace(0, 0.1 * samples, samples, dtype=np.float32)[:, None] * np.array([1.0, 0.7, 0.3], np.float32)
    return np.sin(phase) * 3 + rng.normal(size=(samples, 3)).astype(np.float32)


def write_store(directory: Path, *, clips: int = 16, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Write the store and return the pictures of which its frames are.

    Parameters
    ----------
    directory : Path
        It is made.
    """
    options = CuttingOptions(segments=SEGMENTS, window_s=WINDOW_S)
    shown = pictures(SEGMENTS * options.frames, seed=seed)
    times = candidate_times(SECONDS, options)
    frames = tuple(_packed(picture, time, options) for picture, time in zip(shown, times, strict=True))
    packed = (
        PackedClip(
            {"id": f"clip{number:03d}", "label": CLASSES[number % len(CLASSES)], "duration_s": f"{SECONDS:.6f}"},
            {"rgb": frames},
            own := {name: series(round(SECONDS * rate), seed=number) for name, rate in RATES.items()},
            {name: _extremes(rows) for name, rows in own.items()},
            dict.fromkeys(RATES, _AXES),
            {"rgb": False},
            (),
        )
        for number in range(clips)
    )
    stored = {"rgb": StoredModality("video", ("r", "g", "b"), 0.0), **sensors(RATES)}
    _write(directory, stored, packed)
    return shown


def write_series_store(directory: Path, seconds: Sequence[float], *, rate: float = 100.0) -> None:
    """Write a store of one accelerometer, a clip for each of `seconds`."""
    packed = (
        PackedClip(
            {"id": f"{length:g} s", "label": "walk", "duration_s": f"{length:.6f}"},
            {},
            {"acc": (rows := series(round(length * rate), seed=number))},
            {"acc": _extremes(rows)},
            {"acc": _AXES},
            {},
            (),
        )
        for number, length in enumerate(seconds)
    )
    _write(directory, sensors({"acc": rate}), packed)


def sensors(rates: dict[str, float]) -> dict[str, StoredModality]:
    """Return the store's description of sensors of three axes."""
    return {name: StoredModality("sensor", _AXES, rate, "m/s^2") for name, rate in rates.items()}


def extract(shown: Sequence[NDArray[np.uint8]], directory: Path) -> list[Path]:
    """Write pictures as the paper's code finds them: JPEG files of full size, extracted from the video before."""
    import cv2

    directory.mkdir()
    paths = [directory / f"{number:05d}.jpg" for number in range(len(shown))]
    for picture, path in zip(shown, paths, strict=True):
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, _EXTRACTED_QUALITY])
    return paths


def _write(directory: Path, stored: dict[str, StoredModality], packed: Any) -> None:
    directory.mkdir()
    with StoreWriter(directory, stored, ["id", "label", "duration_s"]) as writer:
        for clip in packed:
            writer.append(clip)
        writer.finish(StoreHeader("speed", SEGMENTS, 5, WINDOW_S, stored, {}, None, {}))
    write_manifest(directory, Manifest("sample", {}, 0))


def _packed(picture: NDArray[np.uint8], time_s: float, options: CuttingOptions) -> PackedFrame:
    import cv2

    small = shrink(picture, options.short_side)
    jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, options.quality])[1].tobytes()
    return PackedFrame(jpeg, time_s, *small.shape[:2])


def _extremes(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([rows.min(axis=0), rows.max(axis=0)], axis=-1)
