"""How fast one training item is drawn, beside the paper's loader and beside frames taken from the video one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.recordings.index import ModalitySpec
from mmtsa_cli.recordings.video_files import open_video
from mmtsa_cli.sampling.augmentation import VideoAugmentation
from mmtsa_cli.sampling.draw import Augmentation, DrawOptions, Samples, crop_to, decode_frame
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.speeds import material
from mmtsa_cli.stages.speeds.fields import naive_fields, naive_grey, our_grey
from mmtsa_cli.stages.speeds.timing import SpeedRow, in_turns, timed_row

_SIZE = 224
_CHANGE = Augmentation(video=VideoAugmentation(mirror=True, shift=0.1))


def item_rows(work: Path, shown: Sequence[NDArray[np.uint8]], *, repeats: int) -> list[SpeedRow]:
    """Return the rows of one item of 5 modalities x 3 segments on one core.

    Parameters
    ----------
    work : Path
        Holds `store`; extracted frames and a video are written beside it.
    shown : sequence of (331, 589, 3) uint8 arrays
        The pictures of the store.
    """
    frames = material.extract(shown, work / "frames")
    video = _write_video(shown, work / "video.avi")
    ours, fields_too = item_of(Store(work / "store"), _SIZE), item_of(Store(work / "store"), _SIZE, images=True)
    _, way = naive_fields()
    from_files, from_video = _Naive(lambda place: _opened(frames[place])), _Naive(_frames_of(video, len(shown)))
    ways: dict[str, Callable[[], object]] = {
        "ours": ours,
        "images": fields_too,
        "files": from_files,
        "video": from_video,
    }
    times = in_turns(ways, repeats=4 * repeats, warmup=2, budget_s=30)
    about = f"JPEG files extracted before, 589 x 331; {way}; enlarged to 224"
    return [
        timed_row("item: drawn from the store", times["ours"], times["files"], bar=10, naive_way=about),
        timed_row("item: drawn, with its images", times["images"], times["files"], bar=10, naive_way=about),
        timed_row(
            "item: drawn, frames from the video",
            times["ours"],
            times["video"],
            bar=None,
            naive_way=f"video opened; {way}",
        ),
    ]


def item_ways(store: Path, *, repeats: int) -> list[dict[str, Any]]:
    """Return what the size of frames, decoding at reduced size and leaving 8 bit as it is give for an item's frames."""
    opened = Store(store)
    large = _frames_at(opened, 224, 1)
    ways: dict[str, Callable[[], list[Any]]] = {
        "3 frames of 224, decoded at full size": large,
        "the same, made float32 here and not on the device": lambda: [_tensor(frame) for frame in large()],
        "3 frames of 112, decoded at full size": _frames_at(opened, 112, 1),
        "3 frames of 112, decoded at half size": _frames_at(opened, 112, 2),
        "3 frames of 56, decoded at a quarter": _frames_at(opened, 56, 4),
    }
    times = in_turns(ways, repeats=4 * repeats, warmup=2, budget_s=20)
    base = times[next(iter(ways))]
    whole, half = (np.stack(_frames_at(opened, 112, by)()).astype(int) for by in (1, 2))
    off = f"{np.abs(half - whole).mean():.2f} of 255, mean, from full size"
    return [
        {
            "part": "item",
            "way": name,
            "ms": 1000 * times[name].median_s,
            "times_as_fast": base.median_s / times[name].median_s,
            "cpu_times_as_fast": base.cpu_s / max(times[name].cpu_s, 1e-9),
            "difference": off if "half" in name else "",
        }
        for name in ways
    ]


def _frames_at(store: Store, size: int, reduction: int) -> Callable[[], list[Any]]:
    """Return what decodes three frames at 1 / `reduction` of their size and cuts squares of `size` pixels out."""
    jpegs = [store.jpeg("rgb", record) for record in store.frames("rgb", 0)[:3]]
    box = (0.0, 0.25, 0.875, False)
    return lambda: [crop_to(decode_frame(jpeg, False, reduction), box, size) for jpeg in jpegs]


def item_of(store: Store, size: int, *, images: bool = False) -> Callable[..., Any]:
    """Return what draws one item after the other; `images`: and makes the 8 bit image of each window."""
    names = tuple(store.header.modalities)
    drawn = Samples(
        store, range(len(store)), modalities=names, classes=store.labels, options=DrawOptions(frame_size=size)
    )
    count = iter(range(10**9))

    def item(number: int | None = None) -> Any:
        number = next(count) if number is None else number
        rng = np.random.default_rng(number)
        inputs = drawn.batch([number % len(drawn)], generators=[rng], augmentation=_CHANGE).inputs
        if not images:
            return inputs
        return {n: our_grey(values[0]) if values.ndim == 4 else values for n, values in inputs.items()}

    return item


def time_by_part(store: Path) -> dict[str, float]:
    """Return the milliseconds of an item that decoding its frames takes, and all else: the fastest of several."""
    opened = Store(store)
    item = item_of(opened, _SIZE)
    times = in_turns({"decoding": _frames_at(opened, _SIZE, 1), "all": item}, repeats=30, budget_s=5)
    decoding = 1000 * times["decoding"].fastest_s
    return {"frames decoded and cropped": decoding, "windows, copies": 1000 * times["all"].fastest_s - decoding}


class _Naive:
    """Draws an item as the paper's code does: frames opened, scaled to 256, cropped; an image of each window by itself.

    Parameters
    ----------
    picture : callable (place) -> PIL image
        The frame at one of the places of the pictures.
    """

    def __init__(self, picture: Callable[[int], Any]) -> None:
        self._picture = picture
        self._fields, _ = naive_fields()
        self._sensors = [
            (material.series(round(material.SECONDS * rate), seed=0).astype(np.float64), rate)
            for rate in material.RATES.values()
        ]
        self._count = 0

    def __call__(self) -> list[Any]:
        rng = np.random.default_rng(self._count)
        self._count += 1
        starts = (np.arange(material.SEGMENTS) + rng.random(material.SEGMENTS)) / material.SEGMENTS
        item = []
        for start in starts:
            item.append(_naive_frame(self._picture(int(start * 15)), rng))
            item += [self._image(values, rate, start) for values, rate in self._sensors]
        return item

    def _image(self, values: NDArray[np.float64], rate: float, start: float) -> Any:
        from PIL import Image

        first = int(start * (material.SECONDS - material.WINDOW_S) * rate)
        grey = naive_grey(self._fields(values[first : first + round(material.WINDOW_S * rate)].T))
        enlarged = Image.fromarray(grey.transpose(1, 2, 0)).resize((_SIZE, _SIZE), Image.Resampling.BILINEAR)
        return _tensor(np.asarray(enlarged))


def _naive_frame(picture: Any, rng: np.random.Generator) -> Any:
    from PIL import Image

    scale = 256 / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = int(rng.integers(picture.width - _SIZE + 1)), int(rng.integers(picture.height - _SIZE + 1))
    pixels = np.asarray(picture.crop((left, top, left + _SIZE, top + _SIZE)))
    return _tensor(pixels[:, :: -1 if rng.random() < 0.5 else 1])


def _tensor(pixels: NDArray[np.uint8]) -> Any:
    import torch

    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float().div(255)


def _opened(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.convert("RGB")


def _write_video(shown: Sequence[NDArray[np.uint8]], path: Path) -> Path:
    """Write the pictures, each for 16 frames of 25 a second, as a video."""
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (material.WIDTH, material.HEIGHT))
    for picture in shown:
        for _ in range(16):
            writer.write(picture)
    writer.release()
    return path


def _frames_of(video: Path, count: int) -> Callable[[int], Any]:
    """Return what opens the video and decodes the frame at a place, each time anew."""
    from PIL import Image

    def picture(place: int) -> Any:
        with open_video(video, ModalitySpec("video")) as opened:
            return Image.fromarray(opened.frames_at([16 / 25 * min(place, count - 1)])[0][1])

    return picture
