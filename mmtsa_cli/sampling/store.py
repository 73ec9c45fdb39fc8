"""The sample store: per clip a few candidate frames a segment (JPEG, packed) and every sensor's series whole.

Files of a store, beside `manifest.json`:

- `store.json`: modalities, segments, window, labels, protocols.
- `clips.csv`: one row a clip: id, label, duration_s and the other columns of the index.
- `frames-NAME.bin`, `frames-NAME.npy`: JPEG files one after the other; where each lies, of which clip, at which time.
- `series-NAME.bin`, `series-NAME.npy`: float32 rows of all clips one after the other; where each clip begins.
- `extremes-NAME.npy`: minimum and maximum of each axis of each clip.

Packed files grow to 4 GiB, or what `sample --part-size` says; what is more goes on in `frames-NAME.bin.2` and so on
(`parts`). Reading maps them into memory, so that a draw touches only what it draws; of a store that lies elsewhere
(`s3://...`) the tables are read when it is opened, and of the packed files the ranges that are drawn.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.manifest import read_manifest
from mmtsa_cli.artifacts.remote import RemotePath
from mmtsa_cli.artifacts.unchanged import States, files_in, states_of
from mmtsa_cli.errors import ArtifactError, MmtsaError
from mmtsa_cli.modalities import Kind
from mmtsa_cli.sampling.parts import PackedFile, check_parts
from mmtsa_cli.sampling.store_checks import check_bounds, check_clips, check_frames, check_header, check_lengths

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
    `parts` is the bytes of each part of a packed file that has several, by its name without `.bin`.
    """

    name: str
    segments: int
    frames: int
    window_s: float
    modalities: Mapping[str, StoredModality]
    protocols: Mapping[str, Mapping[str, Any]]
    protocol: str | None
    notes: Mapping[str, Any]
    parts: Mapping[str, Sequence[int]] = field(default_factory=dict)


class Store:
    """A sample store, opened for reading.

    Parameters
    ----------
    directory : Path
    stage : str
        Of its manifest: a shard of a store is none.

    Attributes
    ----------
    states : mapping
        Of its files when it was opened, for `artifacts.unchanged`.

    Raises
    ------
    ArtifactError
        Not a sample store, or a damaged one.
    """

    def __init__(self, directory: Path, *, stage: str = "sample") -> None:
        self.states: States = states_of(files_in(directory))
        read_manifest(directory, stage=stage)
        self.directory = directory
        self.header = _read_header(directory / STORE_NAME)
        self.clips = _read_clips(directory / CLIPS_NAME)
        self._frames: dict[str, _Frames] = {}
        self._series: dict[str, _SeriesFile] = {}
        for name, modality in self.header.modalities.items():
            if modality.kind == "video":
                self._frames[name] = _Frames(directory, name, len(self.clips), self.header.parts)
            else:
                self._series[name] = _SeriesFile(directory, name, self.clips, modality, self.header.parts)

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

    @property
    def elsewhere(self) -> bool:
        """Whether it is read over a network."""
        return isinstance(self.directory, RemotePath)

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
    def __init__(self, directory: Path, name: str, clips: int, parts: Mapping[str, Sequence[int]]) -> None:
        path = directory / f"frames-{name}.npy"
        self._table = _load_array(path)
        with _damage_told(path):
            check_frames(self._table, FRAME_RECORD, clips)
        expected = int((self._table["offset"][-1] + self._table["length"][-1]) if len(self._table) else 0)
        self._packed = PackedFile(directory, f"frames-{name}", expected, parts, remedy=_ANEW)
        with _damage_told(path):
            self._packed.check_whole(self._table["offset"])
        self._first = np.searchsorted(self._table["clip"], np.arange(clips + 1))

    def records(self, clip: int) -> NDArray[Any]:
        return self._table[self._first[clip] : self._first[clip + 1]]

    def jpeg(self, record: NDArray[Any]) -> NDArray[np.uint8]:
        return self._packed.read(int(record["offset"]), int(record["length"]))


class _SeriesFile:
    def __init__(
        self,
        directory: Path,
        name: str,
        clips: Sequence[Mapping[str, str]],
        sensor: StoredModality,
        parts: Mapping[str, Sequence[int]],
    ) -> None:
        path, channels = directory / f"series-{name}.npy", len(sensor.channels)
        bounds = _load_array(path)
        self.extremes = _load_array(directory / f"extremes-{name}.npy")
        data = directory / f"series-{name}.bin"
        with _damage_told(path):
            check_bounds(bounds, self.extremes)
        if len(bounds) != len(clips) + 1 or self.extremes.shape != (len(clips), channels, 2):
            expected, found = f"{len(clips)} clips", f"{len(bounds) - 1}"
            raise ArtifactError("damaged", where=str(data), expected=expected, found=found, remedy=_ANEW)
        self._channels, self._bounds = channels, [int(bound) for bound in bounds]
        with _damage_told(path):
            check_lengths(clips, self._bounds, sensor.rate)
        self._packed = PackedFile(directory, f"series-{name}", self._bounds[-1] * channels * 4, parts, remedy=_ANEW)
        with _damage_told(path):
            self._packed.check_whole(bounds.astype(np.int64) * channels * 4)
        self._rows = None if self._packed.only is None else self._packed.only.view("<f4").reshape(-1, channels)

    def rows(self, clip: int) -> NDArray[np.float32]:
        first, after = self._bounds[clip], self._bounds[clip + 1]
        if self._rows is not None:
            return self._rows[first:after]
        width = 4 * self._channels
        return self._packed.read(first * width, (after - first) * width).view("<f4").reshape(-1, self._channels)


_ANEW = "make the store anew with `mmtsa sample`"


def _load_array(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path if isinstance(path, Path) else io.BytesIO(path.read_bytes()), allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("an archive of arrays")
    except MmtsaError:
        raise
    # A damaged header fails in as many ways as its reader has parts.
    except Exception as error:  # noqa: BLE001
        raise ArtifactError("damaged", where=str(path), found=str(error), remedy=_ANEW) from None
    return array


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, AttributeError, csv.Error, RecursionError) as error:
        raise ArtifactError("damaged", where=str(path), found=str(error), remedy=_ANEW) from None


def write_header(path: Path, header: StoreHeader) -> None:
    """Write `store.json`."""
    raw = asdict(header)
    if not header.parts:
        # As stores were before there were parts, and can still be read by what was written then.
        del raw["parts"]
    path.write_text(json.dumps(raw, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_header(path: Path) -> StoreHeader:
    with _damage_told(path):
        raw = json.loads(path.read_text(encoding="utf-8"))
        check_header(raw)
        check_parts(raw.get("parts", {}))
        modalities = {
            name: StoredModality(m["kind"], tuple(m["channels"]), float(m["rate"]), m["unit"])
            for name, m in raw.pop("modalities").items()
        }
        return StoreHeader(modalities=modalities, **raw)


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
    with _damage_told(path), path.open(newline="", encoding="utf-8") as stream:
        clips = tuple(csv.DictReader(stream))
        check_clips(clips)
        return clips
