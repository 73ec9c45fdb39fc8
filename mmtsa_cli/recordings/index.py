"""The index of recordings: `index.csv` (one row a recording) and `dataset.yaml` (what each modality is)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mmtsa_cli.modalities import Kind

INDEX_NAME = "index.csv"
DATASET_NAME = "dataset.yaml"


@dataclass(frozen=True)
class ModalitySpec:
    """What `dataset.yaml` says of a modality.

    Attributes
    ----------
    kind : "video" or "sensor"
    rate : float or None
        Nominal samples or frames a second; None: taken from the file's own stamps.
    unit : str or None
        Of a sensor ("m/s^2").
    columns : tuple of str or int, or None
        Columns of the file that hold the axes, by header name or by number from 1; None: every column but time.
    time : str, int or None
        The column of timestamps, by name or number; None: found by its name or its content, else the rate is used.
    variable : str or None
        Variable of a `.mat` file; None: the only one.
    spans : str or None
        A video without stamps or rate: its frames are spread evenly over the time of this sensor.
    depth_range_mm : (near, far) or None
        Of a depth video: what becomes white and what black; 0 (no reading) is black.
    offset_s : float
        Added to the modality's times to bring them onto the recording's clock.
    origin : "auto", "first" or "stamps"
        What counts as second 0. "first": the first sample. "stamps": the stamps as they are. "auto": stamps from the
        epoch or a date count from the earliest one of the recording's absolute modalities, others as they are.
    """

    kind: Kind
    rate: float | None = None
    unit: str | None = None
    columns: tuple[str | int, ...] | None = None
    time: str | int | None = None
    variable: str | None = None
    spans: str | None = None
    depth_range_mm: tuple[float, float] | None = None
    offset_s: float = 0.0
    origin: Literal["auto", "first", "stamps"] = "auto"


@dataclass(frozen=True)
class Recording:
    """One row of the index.

    Attributes
    ----------
    id : str
    label : str
        The activity.
    columns : mapping of str to str
        Every column that is no modality, `id`, `label`, `subject` among them ("session", "scene", "view", ...): what a
        protocol may split by.
    start_s, end_s : float or None
        The part of the files that is this recording, in seconds; None: from the beginning, to the end.
    paths : mapping of str to Path
        Per modality that was recorded, its file.
    row : int
        Row of index.csv (the header is row 1), for messages.
    """

    id: str
    label: str
    columns: Mapping[str, str]
    paths: Mapping[str, Path]
    start_s: float | None = None
    end_s: float | None = None
    row: int = 0

    @property
    def subject(self) -> str:
        """The person, "" where the index does not say."""
        return self.columns.get("subject", "")


@dataclass(frozen=True)
class Dataset:
    """A validated index.

    Attributes
    ----------
    name : str
    root : Path
        The directory of index.csv; relative paths count from there.
    modalities : mapping of str to ModalitySpec
    recordings : tuple of Recording
    protocols : mapping of str to mapping
        The published splits: name to `{"train": {column: [values]}, "test": {...}}` or `{"leave_one_out": column}`.
    default_protocol : str or None
    notes : mapping
        Further keys of dataset.yaml (citation, ceilings of synthetic recordings).
    """

    name: str
    root: Path
    modalities: Mapping[str, ModalitySpec]
    recordings: tuple[Recording, ...]
    protocols: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_protocol: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def kinds(self) -> dict[str, Kind]:
        """Return the kind of each modality, as `modalities.select` wants it."""
        return {name: spec.kind for name, spec in self.modalities.items()}
