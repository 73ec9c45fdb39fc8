"""Sensor series to images of their Gramian angular fields: of one file, or of all clips of recordings."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.artifacts.directory import check_output, file_name, new_directory
from mmtsa_cli.artifacts.manifest import Manifest, read_manifest
from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.imaging.field import Kind, Range, is_flat, parse_bounds, piecewise_mean, rescale
from mmtsa_cli.imaging.files import FORMATS, write_npy, write_png
from mmtsa_cli.modalities import select
from mmtsa_cli.recordings.index import INDEX_NAME, Dataset, ModalitySpec, Recording, fingerprint_index, read_index
from mmtsa_cli.recordings.reading import read_series
from mmtsa_cli.recordings.relocation import refuse_elsewhere
from mmtsa_cli.recordings.series import Series, crop
from mmtsa_cli.stages.parallel import in_parallel

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImagifyOptions:
    """How series become images.

    Attributes
    ----------
    columns : tuple of str
        Of one file, per sensor `1,2,3`, `x,y,z` or `acc=1,2,3` (columns by number from 1, or by name). Empty: every
        column but time.
    start_s, duration_s : float
        The part shown, in seconds from the first sample; None: to the end.
    size : int, optional
        Samples shown at most: a longer part is averaged to so many.
    field, range, scale : str
        As `FieldOptions`; scale "clip": the extremes of the whole series, "window": of the part shown.
    rate : float, optional
        Samples a second of a file without timestamps; None: 1.
    max_gap_s : float
        Longest gap that is filled by interpolation.
    channels : bool
        One image an axis instead of one a sensor.
    max_memory : int
        Bytes that the fields of one image may take.
    format : "png", "npy" or None
        None: as the output's name says; PNG in a directory.
    """

    columns: tuple[str, ...] = ()
    start_s: float = 0.0
    duration_s: float | None = None
    size: int | None = None
    field: Kind = "sum"
    range: Range = "signed"
    scale: str = "clip"
    rate: float | None = None
    max_gap_s: float = 0.5
    channels: bool = False
    max_memory: int = 2**30
    format: str | None = None


@dataclass(frozen=True)
class Image:
    """One image that was written: its file, the axes in it, samples shown, height and width in pixels."""

    path: str
    axes: tuple[str, ...]
    samples: int
    pixels: int


@dataclass(frozen=True)
class ImagifyResult:
    """What `imagify` made.

    Attributes
    ----------
    images : tuple of Image
        Of one file; those of recordings are only counted.
    notes : tuple of str
        Gaps that were filled, files beside the one asked for.
    warnings : tuple of str
        Constant axes, one line a sensor.
    fresh : bool
        False where the directory already held this result.
    facts : dict
        Counts.
    """

    images: tuple[Image, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    fresh: bool = True
    facts: dict[str, Any] = field(default_factory=dict)


def run(
    source: Path,
    output: Path,
    *,
    options: ImagifyOptions | None = None,
    modalities: Sequence[str] | None = None,
    root: Path | None = None,
    jobs: int | None = None,
    cluster: str | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> ImagifyResult:
    """Write the images of one file of series, or of every sensor and clip of recordings.

    Parameters
    ----------
    source : Path
        A file of series, `-` for text on standard input, or a directory with an index.
    output : Path
        A `.png` or `.npy` file (several images are numbered or named after it), or, for recordings, a directory.
    options : ImagifyOptions, optional
    modalities : sequence of str, optional
        Of recordings: which sensors; None: all.
    root : Path, optional
        Of recordings: where they lie now, if the index was made on another machine.
    jobs : int, optional
        Of recordings: processes at the same time.
    cluster : str, optional
        Of recordings: address of a Dask scheduler, whose workers make the images; the files must lie there under the
        same paths.

    Raises
    ------
    DataError, UsageError, ArtifactError, ManyErrors
    """
    options = options or ImagifyOptions()
    _check(options)
    if source.is_dir():
        return _run_recordings(source, output, options, modalities, root, jobs, cluster, overwrite, progress)
    if cluster:
        raise UsageError("of recordings only", where="--cluster", remedy="leave it out for a single file")
    return _run_file(source, output, options)


def _check(options: ImagifyOptions) -> None:
    try:
        parse_bounds(options.scale)
    except ValueError as error:
        raise UsageError("not a scale", where="--scale", expected=str(error), found=options.scale) from None
    if options.scale == "dataset":
        raise UsageError(
            "scale dataset belongs to training",
            where="--scale",
            expected="window, clip, or LOW,HIGH",
            remedy="give the bounds as LOW,HIGH",
        )


# One file


def _run_file(source: Path, output: Path, options: ImagifyOptions) -> ImagifyResult:
    form = options.format or output.suffix.lower().lstrip(".")
    if form not in FORMATS:
        raise UsageError("not an image that can be written", where=f"--output {output}", expected=".png or .npy")
    if output.is_dir():
        raise UsageError("is a directory", where=f"--output {output}", expected="a .png or .npy file")
    sensors = _sensors(source, output, options)
    # All are planned before the first is written.
    plans = [_plan(series, target, form, options, str(source)) for series, target in sensors]
    _check_distinct([path for plan in plans for path, _ in plan])
    images: list[Image] = []
    warnings: list[str] = []
    for (series, _), plan in zip(sensors, plans, strict=True):
        written, flat = _write(series, plan, form, options, str(source))
        images += written
        warnings += flat
    notes = list(dict.fromkeys(note for series, _ in sensors for note in series.notes))
    if len(images) > 1:
        notes.append(f"{len(images)} images: {', '.join(image.path for image in images)}")
    return ImagifyResult(tuple(images), tuple(notes), tuple(warnings), facts={"images": list(map(asdict, images))})


def _sensors(source: Path, output: Path, options: ImagifyOptions) -> list[tuple[Series, Path]]:
    """Read the sensors of a file, each with the image that is named after it."""
    if str(source) == "-" and len(options.columns) > 1:
        raise UsageError("standard input can be read once", where="--columns", remedy="name one sensor, or a file")
    sensors = []
    for number, wanted in enumerate(options.columns or (None,), start=1):
        name, columns = _parse_columns(wanted) if wanted else (None, None)
        spec = ModalitySpec("sensor", rate=options.rate, columns=columns)
        series = read_series(source, spec, max_gap_s=options.max_gap_s, default_rate=1.0)
        sensors.append((series, _beside(output, name or (str(number) if number > 1 else ""))))
    return sensors


def _check_distinct(paths: Sequence[Path]) -> None:
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice:
        remedy = "give each sensor another name, as in --columns acc=1,2,3"
        raise UsageError("two images of one name", where=str(twice), remedy=remedy)


def _parse_columns(text: str) -> tuple[str | None, tuple[str | int, ...]]:
    """Return the name and the columns of `acc=1,2,3`."""
    name, equals, listed = text.rpartition("=")
    columns = tuple(part.strip() for part in listed.split(",") if part.strip())
    if not columns or (equals and not name.strip()):
        raise UsageError("names no columns", where=f"--columns {text}", expected="1,2,3 or x,y,z or acc=1,2,3")
    return name.strip() or None, tuple(int(c) if c.isdecimal() else c for c in columns)


def _beside(output: Path, tag: str) -> Path:
    safe = file_name(tag)
    return output.with_name(f"{output.stem}-{safe}{output.suffix}") if safe else output


# One series: what is written where, then the writing

Plan = list[tuple[Path, list[int]]]
"""Per image its file and its axes."""


def _plan(series: Series, target: Path, form: str, options: ImagifyOptions, where: str) -> Plan:
    names = series.channels
    if options.channels:
        return [(_beside(target, name), [axis]) for axis, name in enumerate(names)]
    count = len(names)
    if form == "npy" or count in (1, 3):
        return [(target, list(range(count)))]
    if count % 3 == 0:
        starts = range(0, count, 3)
        return [(_beside(target, str(s // 3 + 1) if s else ""), [s, s + 1, s + 2]) for s in starts]
    raise UsageError(
        "a colour image needs 1 axis, or 3 a sensor",
        where=where,
        found=f"{count}: {', '.join(names)}",
        remedy="choose with --columns, give --channels for one grey image an axis, or write .npy",
    )


def _write(series: Series, plan: Plan, form: str, options: ImagifyOptions, where: str) -> tuple[list[Image], list[str]]:
    """Write the images of one series; return them, and what there is to warn of."""
    shown = _shown(series, options, where)
    samples = len(shown.times)
    pixels = min(options.size or samples, samples)
    _check_memory(pixels, max(len(axes) for _, axes in plan), options, where)
    values = piecewise_mean(shown.values.T, pixels)
    low, high = _bounds(series, values, samples, options)
    scaled = rescale(values, low, high, range=options.range)
    write = write_npy if form == "npy" else write_png
    for path, axes in plan:
        write(path, scaled[axes], options.field)
    flat = [series.channels[axis] for axis in np.flatnonzero(is_flat(low, high))]
    warnings = [f"{where}: {', '.join(flat)} constant, mid-grey"] if flat else []
    return [Image(str(p), tuple(series.channels[a] for a in axes), samples, pixels) for p, axes in plan], warnings


def _shown(series: Series, options: ImagifyOptions, where: str) -> Series:
    if not options.start_s and options.duration_s is None:
        return series
    first = series.start_s + options.start_s
    end = math.inf if options.duration_s is None else first + options.duration_s
    # Half a step early, so that rounding of stamps does not decide whether a sample is in.
    half = 0.5 / series.rate
    shown = crop(series, first - half, end - half)
    if len(shown.times) < 2:
        raise DataError(
            "fewer than two samples in the part asked for",
            where=where,
            expected=f"--start and --duration within {series.end_s - series.start_s:.6g} s",
            found=f"--start {options.start_s:g}"
            + (f" --duration {options.duration_s:g}" if options.duration_s is not None else ""),
        )
    return shown


def _check_memory(pixels: int, axes: int, options: ImagifyOptions, where: str) -> None:
    # float64; the work on one axis needs room for three.
    arrays = 8 * max(axes, 3)
    needed = arrays * pixels**2
    if needed <= options.max_memory:
        return
    fits = math.isqrt(options.max_memory // arrays)
    remedy = f"give --size {fits} or less, --duration, or more --max-memory" if fits >= 2 else "give more --max-memory"
    raise UsageError(
        f"the field of {pixels} x {pixels} would take {needed / 2**30:.3g} GiB",
        where=where,
        expected=f"at most {options.max_memory / 2**30:.3g} GiB",
        remedy=remedy,
    )


def _bounds(
    series: Series, values: NDArray[np.float64], samples: int, options: ImagifyOptions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what each axis is rescaled by."""
    fixed = parse_bounds(options.scale)
    if fixed:
        axes = len(values)
        return np.full(axes, fixed[0]), np.full(axes, fixed[1])
    if options.scale == "clip" and samples < len(series.times):
        # The whole series, averaged as much as the part shown is.
        whole = len(series.times)
        values = piecewise_mean(series.values.T, max(1, round(whole * values.shape[1] / samples)))
    return values.min(axis=1), values.max(axis=1)


# Recordings


def _run_recordings(
    source: Path,
    output: Path,
    options: ImagifyOptions,
    modalities: Sequence[str] | None,
    root: Path | None,
    jobs: int | None,
    cluster: str | None,
    overwrite: bool,
    progress: Progress,
) -> ImagifyResult:
    # The workers of a cluster have a working directory of their own.
    dataset = read_index(source.absolute() if cluster else source, root=root)
    kinds = dataset.kinds()
    names = select(modalities, kinds) if modalities else tuple(kinds)
    sensors = [name for name in names if kinds[name] == "sensor"]
    if not sensors:
        raise UsageError("no sensor to make images of", where="--modalities", found=", ".join(names))
    if options.columns:
        remedy = "dataset.yaml says which columns a sensor has"
        raise UsageError("recordings have no --columns", where="--columns", remedy=remedy)
    paths = [recording.paths[name] for recording in dataset.recordings for name in sensors if name in recording.paths]
    refuse_elsewhere(paths, where=str(source / INDEX_NAME), root=root)
    configuration = {**asdict(options), "modalities": sensors}
    manifest = Manifest("imagify", configuration, None, {str(source): fingerprint_index(source)})
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return ImagifyResult((), fresh=False, facts=dict(read_manifest(output).results))
    facts: dict[str, Any] = {}
    with new_directory(output, manifest, results=facts) as directory:
        chosen = [recording for recording in dataset.recordings if any(name in recording.paths for name in sensors)]
        # Each task carries the description of the dataset, but not its thousands of rows.
        described = replace(dataset, recordings=())
        # Other machines may not see this directory: they send what they would write there.
        place = None if cluster else directory
        tasks = [(described, recording, sensors, place, options) for recording in chosen]
        count, warnings = 0, []
        with in_parallel(_imagify_clip, tasks, jobs=jobs, cluster=cluster) as results:
            for done, (written, flat, files) in enumerate(results, start=1):
                for name, content in files.items():
                    (directory / Path(name).name).write_bytes(content)
                count += written
                warnings += flat
                progress(done, len(tasks))
        facts.update(clips=len(chosen), images=count, sensors=sensors, warnings=_shortened(warnings))
    return ImagifyResult((), (), tuple(facts["warnings"]), facts=facts)


def _imagify_clip(
    dataset: Dataset, recording: Recording, sensors: Sequence[str], directory: Path | None, options: ImagifyOptions
) -> tuple[int, list[str], dict[str, bytes]]:
    """Write the images of one clip; return how many, what there is to warn of, and the files if they have no place."""
    if directory is not None:
        return *_write_clip(dataset, recording, sensors, directory, options), {}
    with tempfile.TemporaryDirectory(prefix="mmtsa-") as name:
        count, warnings = _write_clip(dataset, recording, sensors, Path(name), options)
        return count, warnings, {path.name: path.read_bytes() for path in sorted(Path(name).iterdir())}


def _write_clip(
    dataset: Dataset, recording: Recording, sensors: Sequence[str], directory: Path, options: ImagifyOptions
) -> tuple[int, list[str]]:
    from mmtsa_cli.recordings.clip import open_clip

    recorded = [name for name in sensors if name in recording.paths]
    form = options.format or "png"
    count, warnings = 0, []
    with open_clip(dataset, recording, recorded, max_gap_s=options.max_gap_s) as clip:
        for name in recorded:
            series = crop(clip.series[name], clip.start_s, clip.end_s)
            where = f"{recording.id} {name}"
            plan = _plan(series, directory / f"{recording.id}-{name}.{form}", form, options, where)
            _check_distinct([path for path, _ in plan])
            written, flat = _write(series, plan, form, options, where)
            count += len(written)
            warnings += flat
    return count, warnings


def _shortened(lines: list[str], most: int = 10) -> list[str]:
    return lines if len(lines) <= most else [*lines[:most], f"and {len(lines) - most} more"]
