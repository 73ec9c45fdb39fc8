"""Time of one training item from a sample store, beside the way of the paper's code, in the same run on one thread.

An item is one random draw of a clip: per segment a frame (decoded, cropped, mirrored) and K samples of each sensor, as
tensors. The paper's code opens a JPEG extracted before (589 x 331 pixels, scaled to 256, cropped to 224), and makes and
enlarges an image of each window (pyts, 8 bit, 224 pixels) for each item; here the network makes the images of a whole
batch, so both are also shown with the images made.

Run by hand: `python -m tests.benchmarks.item [--data DIRECTORY] [--repeats 300] [--interpreted]`.
Asked for: under 3 ms an item of depth + acc + gyro.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before NumPy reads it.
os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import torch
from PIL import Image

from mmtsa_cli.imaging.field import gramian, rescale
from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.reading import read_series
from mmtsa_cli.recordings.video_files import open_video
from mmtsa_cli.sampling.augmentation import VideoAugmentation
from mmtsa_cli.sampling.draw import Augmentation, DrawOptions, Samples
from mmtsa_cli.sampling.packing import CuttingOptions
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import prepare, sample
from tests.benchmarks.measure import show

SEGMENTS, CLIPS = 3, 16


def timed(item: Callable[[int], Any], repeats: int) -> tuple[float, float]:
    """Return median wall time and mean CPU time of an item, in milliseconds."""
    for number in range(5):
        item(number)
    spent, cpu = [], time.process_time()
    for number in range(repeats):
        begin = time.perf_counter()
        item(number)
        spent.append(time.perf_counter() - begin)
    return 1000 * float(np.median(spent)), 1000 * (time.process_time() - cpu) / repeats


def from_store(store: Path, frame_size: int, *, images: bool = False) -> Callable[[int], Any]:
    """Return what draws an item from a store; `images`: and makes the image of every window."""
    opened = Store(store)
    names = tuple(opened.header.modalities)
    options = DrawOptions(frame_size=frame_size)
    clips = range(len(opened))
    drawn = Samples(opened, clips, modalities=names, classes=opened.labels, options=options)
    change = Augmentation(video=VideoAugmentation(mirror=True, shift=0.1))

    def item(number: int) -> list[torch.Tensor]:
        place = number % len(clips)
        batch = drawn.batch([place], generators=[np.random.default_rng(number)], augmentation=change)
        tensors = [torch.from_numpy(array) for array in batch.inputs.values()]
        if images:
            for name, extremes in batch.extremes.items():
                low, high = extremes[0].T[:, None]
                field = gramian(rescale(batch.inputs[name][0].astype(np.float64), low, high, range="signed"))
                tensors.append(torch.from_numpy(field))
        return tensors

    return item


def naive_image(window: np.ndarray) -> torch.Tensor:
    """Return what the paper's code makes of a window (K, 3): pyts by axis, 8 bit, enlarged, a tensor."""
    from pyts.image import GramianAngularField

    field = GramianAngularField(method="summation").fit_transform(window.T)
    low, high = field.min(axis=(1, 2), keepdims=True), field.max(axis=(1, 2), keepdims=True)
    grey = ((field - low) / (high - low) * 255).astype(np.uint8)
    enlarged = Image.fromarray(grey.transpose(1, 2, 0)).resize((224, 224), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(enlarged).transpose(2, 0, 1).copy()).float().div(255)


def naive_frame(picture: Image.Image, rng: np.random.Generator) -> torch.Tensor:
    """Scale the short side to 256, cut 224 x 224 out at random, mirror half of them, make a tensor."""
    scale = 256 / min(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    left, top = int(rng.integers(picture.width - 223)), int(rng.integers(picture.height - 223))
    picture = picture.crop((left, top, left + 224, top + 224))
    pixels = np.asarray(picture)[:, :: -1 if rng.random() < 0.5 else 1]
    return torch.from_numpy(pixels.reshape(224, 224, -1).transpose(2, 0, 1).copy()).float().div(255)


def utd(data: Path, work: Path) -> tuple[Path, list[dict[str, str]]]:
    """Return a store of some clips of UTD-MHAD, and the rows of its index."""
    prepare.run("utd-mhad", data / "utd-mhad", work / "all")
    rows = list(csv.DictReader((work / "all" / "index.csv").open()))
    rows = [row for row in rows if row["label"] == rows[0]["label"]][:CLIPS]
    few = work / "few"
    few.mkdir()
    (few / "dataset.yaml").write_text((work / "all" / "dataset.yaml").read_text())
    for row in rows:
        row.update({name: str((work / "all" / row[name]).resolve()) for name in ("depth", "acc", "gyro") if row[name]})
    write_index(few, rows)
    options = CuttingOptions(segments=SEGMENTS, window_s=1.0)
    return sample.run(few, work / "utd", modalities=("depth", "acc", "gyro"), options=options, jobs=1).output, rows


def write_index(directory: Path, rows: list[dict[str, str]]) -> None:
    """Write `index.csv`."""
    with (directory / "index.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def naive_utd(rows: list[dict[str, str]]) -> Callable[[int], Any]:
    """Return what draws an item from the dataset's own files: two .mat files opened an item."""
    depth = ModalitySpec("video", variable="d_depth", depth_range_mm=(2000.0, 3600.0))
    inertial = ModalitySpec("sensor", rate=50.0)

    def item(number: int) -> list[torch.Tensor]:
        row, rng = rows[number % len(rows)], np.random.default_rng(number)
        series = read_series(Path(row["acc"]), inertial)
        duration = series.end_s
        starts = (np.arange(SEGMENTS) + rng.random(SEGMENTS)) / SEGMENTS * (duration - 1.0)
        with open_video(Path(row["depth"]), depth, duration_s=duration) as video:
            shown = [Image.fromarray(picture) for _, picture in video.frames_at(starts)]
        tensors = [naive_frame(picture, rng) for picture in shown]
        for start in starts:
            first = int(start * 50)
            tensors += [naive_image(series.values[first : first + 50, axes]) for axes in ([0, 1, 2], [3, 4, 5])]
        return tensors

    return item


def five(data: Path, work: Path) -> tuple[Path, Path]:
    """Return a store of five modalities (a real video of 10 s, four sensors), and its frames extracted before."""
    root, frames = work / "five", work / "frames"
    root.mkdir()
    frames.mkdir()
    video = data / "video" / "arm-wrestling.mp4"
    times, rng = np.arange(1000) / 100, np.random.default_rng(0)
    sensors = ("acc_phone", "acc_watch", "gyro", "orientation")
    for name in sensors:
        np.save(root / f"{name}.npy", rng.normal(size=(len(times), 3)).cumsum(axis=0))
    files = {name: f"{name}.npy" for name in sensors}
    write_index(root, [{"id": s, "label": "wrestle", "subject": s, "rgb": str(video.resolve()), **files} for s in "12"])
    (root / "dataset.yaml").write_text("modalities:\n" + "".join(f"  {n}: {{rate: 100}}\n" for n in sensors))
    with open_video(video, ModalitySpec("video")) as opened:
        for number, (_, picture) in enumerate(opened.frames_at([i / 25 for i in range(250)])):
            enlarged = cv2.resize(picture, (589, 331), interpolation=cv2.INTER_CUBIC)
            Image.fromarray(enlarged).save(frames / f"{number:05d}.jpg", quality=95)
    return sample.run(root, work / "five-store", options=CuttingOptions(segments=SEGMENTS), jobs=1).output, frames


def naive_five(root: Path, frames: Path) -> Callable[[int], Any]:
    """Return what draws an item as the paper's code does: frames extracted before, series in memory."""
    sensors = [np.load(root / f"{name}.npy") for name in ("acc_phone", "acc_watch", "gyro", "orientation")]

    def item(number: int) -> list[torch.Tensor]:
        rng = np.random.default_rng(number)
        starts = (np.arange(SEGMENTS) + rng.random(SEGMENTS)) / SEGMENTS * 8.0
        tensors = []
        for start in starts:
            with Image.open(frames / f"{int(start * 25):05d}.jpg") as picture:
                tensors.append(naive_frame(picture.convert("RGB"), rng))
            first = int(start * 100)
            tensors += [naive_image(values[first : first + 200]) for values in sensors]
        return tensors

    return item


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("MMTSA_DATA", "../shared/data"))
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--interpreted", action="store_true", help="do not compile pyts, which takes a minute")
    wanted = parser.parse_args()
    data = Path(wanted.data)
    os.environ["NUMBA_DISABLE_JIT"] = "1" if wanted.interpreted else "0"
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        store, rows = utd(data, work)
        compare("depth + acc + gyro, from .mat files", store, naive_utd(rows), wanted.repeats)
        store, frames = five(data, work)
        compare("rgb + 4 sensors, from JPEG 589 x 331", store, naive_five(work / "five", frames), wanted.repeats)


def compare(name: str, store: Path, naive: Callable[[int], Any], repeats: int) -> None:
    """Print both ways and their ratio."""
    theirs = timed(naive, max(20, repeats // 10))
    rows: list[tuple[Any, ...]] = [("as the paper's code, images made", *theirs, 1.0)]
    for size in (112, 224):
        for images in (False, True):
            ours = timed(from_store(store, size, images=images), repeats)
            made = "images made" if images else "images made by the network"
            rows.append((f"from the store, frames of {size}, {made}", *ours, theirs[0] / ours[0]))
    show((f"{name}, {SEGMENTS} segments", "ms", "CPU ms", "times as fast"), rows)


if __name__ == "__main__":
    main()
