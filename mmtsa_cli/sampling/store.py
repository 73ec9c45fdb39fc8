"""The sample store: per clip a few candidate frames a segment (JPEG, packed) and every sensor's series whole.

Files of a store, beside `manifest.json`:

- `store.json`: modalities, segments, window, labels, protocols.
- `clips.csv`: one row a clip: id, label, duration_s and the other columns of the index.
- `frames-NAME.bin`, `frames-NAME.npy`: JPEG files one after the other; where each lies, of which clip, at which time.
- `series-NAME.bin`, `series-NAME.npy`: float32 rows of all clips one after the other; where each clip begins.
- `extremes-NAME.npy`: minimum and maximum of each axis of each clip.

Reading maps the packed files into memory, so that a draw touches only what it draws.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import file_name
from mmtsa_cli.artifacts.manifest import read_manifest
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.modalities import Kind

FRAME_RECORD = np.dtype(
    [("clip", "<i4"), ("time_s", "<f4"), ("offset", "<i8"), ("length", "<i4"), ("height", "<i2"), ("width", "<i2")]
)
ANGLE_UNITS = ("deg", "degree", "degrees", "rad", "°")
STORE_NAME = "store.json"
CLIPS_NAME = "clips.csv"


@dataclass(frozen=True)
class StoredModality:
    """What the store says of a modality.

    Attributes
    ----------
    kind : "video" or "sensor"
    channels : tuple of str
        Axes of a sensor; ("grey",) or ("r", "g", "b") of a video.
    rate : float
        Samples a second of a sensor's series, all clips alike; 0 for a video.
    unit : str or None
    """

    kind: Kind
    channels: tuple[str, ...]
    rate: float
    unit: str | None = None

    @property
    def is_vector(self) -> bool:
        """Whether the axes are a vector in space, which turns with the sensor (an orientation's angles are none)."""
        return self.kind == "sensor" and len(self.channels) == 3 and (self.unit or "") not in ANGLE_UNITS

    def window_samples(self, window_s: float) -> int:
        """Return K, the samples of a window of `window_s` seconds."""
        return max(2, round(window_s * self.rate))


@dataclass(frozen=True)
class StoreHeader:
    """What `store.json` holds: the data's name, how it was cut, its protocols.

    `segments` and `frames` say which candidate frames there are (frames per segment); `window_s` is the default window.
    """

    name: str
    segments: int
    frames: int
    window_s: float
    modalities: Mapping[str, StoredModality]
    protocols: Mapping[str, Mapping[str, Any]]
    protocol: str | None
    notes: Mapping[str, Any]


class Store:
    """A sample store, opened for reading.

    Parameters
    ----------
    directory : Path
    stage : str
        Of its manifest: a shard of a store is none.

    Raises
    ------
    ArtifactError
        Not a sample store, or a damaged one.
    """

    def __init__(self, directory: Path, *, stage: str = "sample") -> None:
        read_manifest(directory, stage=stage)
        self.directory = directory
        self.header = _read_header(directory / STORE_NAME)
        self.clips = _read_clips(directory / CLIPS_NAME)
        self._frames: dict[str, _Frames] = {}
        self._series: dict[str, _SeriesFile] = {}
        for name, modality in self.header.modalities.items():
            if modality.kind == "video":
                self._frames[name] = _Frames(directory, name, len(self.clips))
            else:
                self._series[name] = _SeriesFile(directory, name, len(self.clips), len(modality.channels))

    def __len__(self) -> int:
        return len(self.clips)

    def __getstate__(self) -> dict[str, Any]:
        return {"directory": self.directory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["directory"])  # type: ignore[misc]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All labels, sorted."""
        return tuple(sorted({clip["label"] for clip in self.clips}))

    def duration_s(self, clip: int) -> float:
        """Return the length of a clip in seconds."""
        return float(self.clips[clip]["duration_s"])

    def series(self, modality: str, clip: int) -> NDArray[np.float32]:
        """Return the series of a clip, (n, C), in the sensor's unit: a view into the mapped file."""
        return self._series[modality].rows(clip)

    def frames(self, modality: str, clip: int) -> NDArray[Any]:
        """Return the records (FRAME_RECORD) of a clip's candidate frames, increasing in time."""
        return self._frames[modality].records(clip)

    def jpeg(self, modality: str, record: NDArray[Any]) -> NDArray[np.uint8]:
        """Return one candidate frame as the bytes of a JPEG file: a view into the mapped file."""
        return self._frames[modality].jpeg(record)

    def extremes(self, modality: str, clip: int) -> NDArray[np.float32]:
        """Return minimum and maximum of each axis over the whole clip, (C, 2): what scale `clip` rescales by."""
        return self._series[modality].extremes[clip]


class _Frames:
    def __init__(self, directory: Path, name: str, clips: int) -> None:
        path = directory / f"frames-{name}.npy"
        self._table = _load_array(path)
        data = directory / f"frames-{name}.bin"
        expected = int((self._table["offset"][-1] + self._table["length"][-1]) if len(self._table) else 0)
        _check_size(data, expected)
        # As a plain array: np.memmap's own class does work at every slice.
        self._bytes = np.memmap(data, np.uint8, "r").view(np.ndarray) if expected else np.empty(0, np.uint8)
        self._first = np.searchsorted(self._table["clip"], np.arange(clips + 1))

    def records(self, clip: int) -> NDArray[Any]:
        return self._table[self._first[clip] : self._first[clip + 1]]

    def jpeg(self, record: NDArray[Any]) -> NDArray[np.uint8]:
        offset = int(record["offset"])
        return self._bytes[offset : offset + int(record["length"])]


class _SeriesFile:
    def __init__(self, directory: Path, name: str, clips: int, channels: int) -> None:
        bounds = _load_array(directory / f"series-{name}.npy")
        self.extremes = _load_array(directory / f"extremes-{name}.npy")
        data = directory / f"series-{name}.bin"
        if len(bounds) != clips + 1 or self.extremes.shape != (clips, channels, 2):
            found = f"{len(bounds) - 1}"
            raise ArtifactError("damaged", where=str(data), expected=f"{clips} clips", found=found, remedy=_ANEW)
        self._bounds = [int(bound) for bound in bounds]
        rows = self._bounds[-1]
        _check_size(data, rows * channels * 4)
        shape = (rows, channels)
        self._rows = np.memmap(data, "<f4", "r", shape=shape).view(np.ndarray) if rows else np.empty(shape, "<f4")

    def rows(self, clip: int) -> NDArray[np.float32]:
        return self._rows[self._bounds[clip] : self._bounds[clip + 1]]


_ANEW = "make the store anew with `mmtsa sample`"


def _load_array(path: Path) -> NDArray[Any]:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError("damaged", where=str(path), found=str(error), remedy=_ANEW) from None


def _check_size(path: Path, expected: int) -> None:
    found = path.stat().st_size if path.is_file() else 0
    if found != expected:
        raise ArtifactError(
            "damaged", where=str(path), expected=f"{expected} bytes", found=f"{found} bytes", remedy=_ANEW
        )


def write_header(path: Path, header: StoreHeader) -> None:
    """Write `store.json`."""
    raw = asdict(header)
    path.write_text(json.dumps(raw, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_header(path: Path) -> StoreHeader:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        strange = [name for name in raw["modalities"] if name != file_name(name)]
        if strange:
            raise ValueError(f"{strange[0]!r} is no name of a modality")
        modalities = {
            name: StoredModality(m["kind"], tuple(m["channels"]), float(m["rate"]), m["unit"])
            for name, m in raw.pop("modalities").items()
        }
        return StoreHeader(modalities=modalities, **raw)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtifactError("damaged", where=str(path), found=str(error), remedy=_ANEW) from None


class ClipsWriter:
    """Writes `clips.csv`, a row a clip; use as a context manager."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = columns

    def __enter__(self) -> ClipsWriter:
        self._stream = self._path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._stream, self._columns, restval="")
        self._writer.writeheader()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def append(self, clip: Mapping[str, str]) -> None:
        """Write one row."""
        self._writer.writerow(clip)

    def finish(self) -> None:
        """Bring everything to the file, so that a full disk is met here."""
        self._stream.flush()


class RowsWriter:
    """Writes a `.npy` file of rows whose number is known only at the end; use as a context manager.

    Parameters
    ----------
    path : Path
    dtype : numpy.dtype
        Of records (a table of one dimension), or of the numbers of rows that are arrays.
    shape : tuple of int
        Of one row, where none is ever appended: () of a record.
    """

    def __init__(self, path: Path, dtype: np.dtype, shape: tuple[int, ...] = ()) -> None:
        self._path = path
        self._rows = path.with_suffix(".rows")
        self._dtype = np.dtype(dtype)
        self._shape = shape
        self._count = 0

    def __enter__(self) -> RowsWriter:
        self._stream = self._rows.open("w+b")
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()
        self._rows.unlink(missing_ok=True)

    def append(self, rows: Sequence[tuple[Any, ...]] | NDArray[Any]) -> None:
        """Write some rows."""
        if not len(rows):
            return
        array = np.asarray(rows, self._dtype)
        self._stream.write(array.tobytes())
        self._shape = array.shape[1:]
        self._count += len(array)

    def finish(self) -> None:
        """Put the header before the rows."""
        self._stream.seek(0)
        shape = (self._count, *self._shape)
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        with self._path.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            shutil.copyfileobj(self._stream, stream)


def _read_clips(path: Path) -> tuple[dict[str, str], ...]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return tuple(csv.DictReader(stream))
    except (OSError, ValueError) as error:
        raise ArtifactError("damaged", where=str(path), found=str(error), remedy=_ANEW) from None
