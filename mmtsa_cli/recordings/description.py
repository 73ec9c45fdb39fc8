"""`dataset.yaml`: what each modality of a dataset is, its published splits, and what else there is to know."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mmtsa_cli.artifacts.directory import file_name
from mmtsa_cli.artifacts.options import Source, option, read_yaml, to_mapping, to_options
from mmtsa_cli.errors import ManyErrors, MmtsaError, UsageError, did_you_mean, nearest
from mmtsa_cli.modalities import KNOWN_KINDS, Kind

DATASET_NAME = "dataset.yaml"
HIGHEST_RATE = 1e6
"""Samples a second: more than any sensor of a body, and a bound of what a rate can make of a file."""


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
        Variable of a `.mat` file; None: the only one. Of a camera's video: the stream of its telemetry ("ACCL").
    spans : str or None
        A modality without stamps: its frames or samples are spread evenly over the time of this other one (of a video,
        a sensor; of a sensor, a video), where that was recorded; else its rate is used.
    timing : "stamps" or "rate"
        Whether all stamps of a file are believed, or only the first, and the samples after it stand 1 / rate apart.
    depth_range_mm : (near, far) or None
        Of a depth video: what becomes white and what black; 0 (no reading) is black.
    offset_s : float
        Added to the modality's times, after `origin`, to bring them onto the recording's clock.
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
    timing: Literal["stamps", "rate"] = "stamps"
    depth_range_mm: tuple[float, float] | None = None
    offset_s: float = 0.0
    origin: Literal["auto", "first", "stamps"] = "auto"


@dataclass(frozen=True)
class Description:
    """A validated `dataset.yaml`; the fields mean what those of `Dataset` mean."""

    name: str
    modalities: Mapping[str, ModalitySpec]
    protocols: Mapping[str, Mapping[str, Any]]
    default_protocol: str | None
    notes: Mapping[str, Any]


def _near_before_far(value: Any) -> str | None:
    return None if value is None or 0 <= value[0] < value[1] else "two distances [near, far], near below far"


def _some(value: Any) -> str | None:
    return None if value is None or value else "at least one column"


@dataclass(frozen=True)
class _Modality:
    kind: Literal["video", "sensor"] | None = option(None, "What it is.")
    rate: float | None = option(None, "Nominal samples or frames a second.", above=0, high=HIGHEST_RATE)
    unit: str | None = option(None, "Unit of a sensor.")
    # Whole numbers before texts, or the column number 1 would become the name "1".
    columns: tuple[int | str, ...] | None = option(None, "Columns of the axes, by name or number from 1.", check=_some)
    time: int | str | None = option(None, "Column of the timestamps, by name or number from 1.")
    variable: str | None = option(None, "Variable of a .mat file, stream of a camera's telemetry.")
    spans: str | None = option(None, "Modality whose time the frames or samples span.")
    timing: Literal["stamps", "rate"] = option("stamps", "Believe all stamps, or the first and the rate.")
    depth_range_mm: tuple[float, float] | None = option(None, "Depths of white and black.", check=_near_before_far)
    offset_s: float = option(0.0, "Seconds added to its times.", low=-1e10, high=1e10)
    origin: Literal["auto", "first", "stamps"] = option("auto", "What counts as second 0.")


@dataclass(frozen=True)
class _File:
    name: str = option("", "Name of the dataset.")
    modalities: dict[str, _Modality] = field(default_factory=dict)
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)
    default_protocol: str | None = option(None, "The split that is used where none is named.")


def read_description(path: Path) -> Description:
    """Read `dataset.yaml`. Keys of other names are kept as notes, unless they look like a misspelt one.

    Raises
    ------
    UsageError, ManyErrors
        Every unknown key, wrong value and modality without kind, each with its line.
    """
    source, notes = _without_notes(read_yaml(path))
    content = to_options(_File, source)
    errors: list[MmtsaError] = []
    modalities = {name: _spec(name, modality, source, errors) for name, modality in content.modalities.items()}
    for name, spec in modalities.items():
        if name != file_name(name) or not name:
            where = source.place(("modalities", name))
            expected = "letters, digits, - and _"
            errors.append(
                UsageError("a modality names files of results", where=where, expected=expected, found=repr(name))
            )
        errors += _span_faults(name, spec, modalities, source)
        if spec.timing == "rate" and spec.rate is None:
            where = source.place(("modalities", name, "timing"))
            errors.append(UsageError(f"timing: rate needs the rate of {name}", where=where, expected="rate: in Hz"))
    if errors:
        raise ManyErrors(errors)
    return Description(content.name, modalities, content.protocols, content.default_protocol, notes)


def write_description(path: Path, description: Description) -> None:
    """Write `dataset.yaml`; what has its default is left out."""
    path.write_text(description_text(description), encoding="utf-8")


def description_text(description: Description) -> str:
    """Return the content of `dataset.yaml`; what has its default is left out."""
    import yaml

    content: dict[str, Any] = {"name": description.name}
    content["modalities"] = {name: _said(spec) for name, spec in description.modalities.items()}
    for key in ("protocols", "default_protocol"):
        if value := getattr(description, key):
            content[key] = _plain(value)
    content.update(_plain(description.notes))
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


def _span_faults(
    name: str, spec: ModalitySpec, modalities: Mapping[str, ModalitySpec], source: Source
) -> list[UsageError]:
    """Return what is wrong with `spans`: frames span a sensor, samples a video."""
    if spec.spans is None:
        return []
    kind = "sensor" if spec.kind == "video" else "video"
    spanned = modalities.get(spec.spans)
    if spanned is not None and spanned.kind == kind and spanned.spans is None:
        return []
    others = [other for other, its in modalities.items() if its.kind == kind and its.spans is None]
    where = source.place(("modalities", name, "spans"))
    return [UsageError(f"spans names no {kind}", where=where, found=spec.spans, remedy=_choices(others))]


def _without_notes(source: Source) -> tuple[Source, dict[str, Any]]:
    """Take out the keys that are free to stand there."""
    known = {f.name for f in dataclasses.fields(_File)}
    free = {key for key in source.data if key not in known and nearest(str(key), known, likeness=0.8) is None}
    ours = {key: value for key, value in source.data.items() if key not in free}
    return dataclasses.replace(source, data=ours), {str(key): source.data[key] for key in source.data if key in free}


def _spec(name: str, modality: _Modality, source: Source, errors: list[MmtsaError]) -> ModalitySpec:
    kind = modality.kind or KNOWN_KINDS.get(name)
    if kind is None:
        where = source.place(("modalities", name))
        errors.append(
            UsageError(f"modality {name} needs its kind", where=where, expected="kind: video or kind: sensor")
        )
    values = {f.name: getattr(modality, f.name) for f in dataclasses.fields(modality)}
    return ModalitySpec(**{**values, "kind": kind or "sensor"})


def _said(spec: ModalitySpec) -> dict[str, Any]:
    defaults = ModalitySpec(spec.kind)
    values = to_mapping(spec)
    return {
        key: value for key, value in values.items() if key == "kind" or getattr(spec, key) != getattr(defaults, key)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def _choices(sensors: list[str]) -> str | None:
    return did_you_mean("", sensors) if sensors else None
