"""What is given to `predict`, held against what the run was trained on: modalities, axes, units, rates."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError, UsageError, did_you_mean
from mmtsa_cli.recordings.clip import Clip
from mmtsa_cli.recordings.description import read_description
from mmtsa_cli.recordings.index import DATASET_NAME, INDEX_NAME, Dataset, ModalitySpec, Recording
from mmtsa_cli.recordings.reading import read_stamps
from mmtsa_cli.recordings.series import Series
from mmtsa_cli.recordings.units import conversion, known_units, mistaken_for, quantity_of
from mmtsa_cli.stages.trainings.data import SensorFacts, TrainingData

_OTHER_RATE = 1.1
"""How many times faster or slower than in training a sensor may be without a warning."""
_LOOKED_AT = 200_000
"""Samples by which the range of a series is judged."""


@dataclass(frozen=True)
class Wanted:
    """What a run takes.

    Attributes
    ----------
    where : str
        The run, for messages.
    inputs : mapping of str to mapping
        Per modality `kind` and `channels`, as `model.json` has them.
    data : TrainingData
    window_s : float
        The run's sensor window.
    takes_subsets : bool
        Whether the run learned to do without some of its modalities.
    """

    where: str
    inputs: Mapping[str, Mapping[str, Any]]
    data: TrainingData
    window_s: float
    takes_subsets: bool = False

    @property
    def sensors(self) -> list[str]:
        """The sensors among the modalities."""
        return [name for name, wanted in self.inputs.items() if wanted["kind"] == "sensor"]

    def rates(self) -> dict[str, float]:
        """Return the rate at which each sensor is handed to the network."""
        return {name: self.data.sensors[name].rate for name in self.sensors}


def narrowed(wanted: Wanted, there: Collection[str], told: Told) -> Wanted:
    """Return what a run takes of the modalities that are there, where it does without the others; else all of it."""
    missing = [name for name in wanted.inputs if name not in there]
    if not missing or not wanted.takes_subsets or len(missing) == len(wanted.inputs):
        return wanted
    told.notes.append(f"no {', '.join(missing)}: predicted without, as the run has learned to")
    return dataclasses.replace(wanted, inputs={name: its for name, its in wanted.inputs.items() if name in there})


@dataclass(frozen=True)
class FileOptions:
    """What the user says of files that come without an index; each as `NAME=VALUE`.

    Attributes
    ----------
    columns : tuple of str
        `acc=2,3,4` or `acc=x,y,z`: columns of the axes, by number from 1 or by name.
    units : tuple of str
        `acc=g`.
    rates : tuple of str
        `acc=50`: samples a second, of a file without timestamps.
    description : Path, optional
        A `dataset.yaml` that says what else there is to know (offsets, time columns), or the directory that has one.
    """

    columns: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    rates: tuple[str, ...] = ()
    description: Path | None = None


@dataclass(frozen=True)
class Told:
    """What there is to say of a recording besides its class."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


# Which modalities there are


def modality_named(text: str, wanted: Wanted, *, option: str, others: Sequence[str] = ()) -> str:
    """Return the run's modality that `text` means: `acc-watch` is `acc_watch`.

    Parameters
    ----------
    option : str
        Where it stood, for messages.
    others : sequence of str
        What else may have been meant: the command's own options.

    Raises
    ------
    UsageError
        None of them; names the nearest.
    """
    plain = {_plain(name): name for name in wanted.inputs}
    if _plain(text) in plain:
        return plain[_plain(text)]
    raise UsageError(
        f"the run has no modality {text!r}",
        where=option,
        expected=f"one of {', '.join(wanted.inputs)}",
        remedy=did_you_mean(text, [*(name.replace("_", "-") for name in wanted.inputs), *others]),
    )


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def dataset_of_files(
    files: Sequence[tuple[str, Path]], wanted: Wanted, options: FileOptions, *, others: Sequence[str] = ()
) -> Dataset:
    """Return files, one a modality, as a dataset of one recording.

    Parameters
    ----------
    files : sequence of (name, path)
        As the user gave them.

    Raises
    ------
    UsageError
        A name that is none of the run's modalities, or stands twice; a modality without file.
    DataError
        A file that is not there, or has neither timestamps nor a rate.
    """
    said = said_of_files(options, wanted)
    paths: dict[str, Path] = {}
    for given, path in files:
        name = modality_named(given, wanted, option=f"--{given} {path}", others=others)
        if name in paths:
            raise UsageError(f"two files of {name}", where=f"--{given} {path}", found=str(paths[name]))
        if not path.is_file():
            raise DataError("is a directory" if path.is_dir() else "no such file", where=f"--{given} {path}")
        paths[name] = path
    missing = [name for name in wanted.inputs if name not in paths]
    if missing:
        raise _missing(missing, paths, wanted)
    specs = _specs(paths, wanted, said, options.description)
    for name in wanted.sensors:
        _check_timed(paths[name], name, specs[name], wanted)
    first = next(iter(paths.values()))
    columns = {"id": first.stem, "label": ""}
    return Dataset("files", first.parent, specs, (Recording(first.stem, "", columns, paths),))


def _missing(missing: Sequence[str], given: Mapping[str, Path], wanted: Wanted) -> UsageError:
    give = " ".join(f"--{name.replace('_', '-')} PATH" for name in missing)
    without = (
        f", or train a run without it (mmtsa train SAMPLES --modalities {','.join(given)}), or one that does without "
        "some (--modality-dropout 0.3)"
        if given
        else ""
    )
    return UsageError(
        f"no file of {', '.join(missing)}",
        where=wanted.where,
        expected=f"one of each modality that the run was trained on: {', '.join(wanted.inputs)}",
        found=", ".join(given) or "none",
        remedy=f"add {give}{without}",
    )


def said_of_files(options: FileOptions, wanted: Wanted) -> dict[str, dict[str, Any]]:
    """Return what the options say of each modality, as fields of `ModalitySpec`."""
    said: dict[str, dict[str, Any]] = {name: {} for name in wanted.inputs}
    for name, text in _named("--columns", options.columns, wanted).items():
        said[name]["columns"] = _columns(text)
    for name, text in _named("--unit", options.units, wanted).items():
        said[name]["unit"] = _unit(name, text)
    for name, text in _named("--rate", options.rates, wanted).items():
        said[name]["rate"] = _rate(name, text)
    return said


def _specs(
    paths: Mapping[str, Path], wanted: Wanted, said: Mapping[str, dict[str, Any]], description: Path | None
) -> dict[str, ModalitySpec]:
    described = _described(description)
    specs = {}
    for name in paths:
        spec = described.get(name, ModalitySpec(wanted.inputs[name]["kind"]))
        if spec.kind != wanted.inputs[name]["kind"]:
            raise _other_kind(name, spec, wanted, where=str(description))
        specs[name] = dataclasses.replace(spec, **said[name])
    return specs


def _described(path: Path | None) -> Mapping[str, ModalitySpec]:
    if path is None:
        return {}
    file = path / DATASET_NAME if path.is_dir() else path
    return read_description(file).modalities


def _named(option: str, texts: Sequence[str], wanted: Wanted) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value.strip():
            raise UsageError("names no modality", where=f"{option} {text}", expected="NAME=VALUE, as in acc=...")
        found[modality_named(name.strip(), wanted, option=f"{option} {text}")] = value.strip()
    return found


def _columns(text: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.strip().isdecimal() else part.strip() for part in text.split(","))


def _unit(name: str, text: str) -> str:
    if quantity_of(text) is None:
        raise UsageError(
            "not a unit", where=f"--unit {name}={text}", expected=f"one of {', '.join(known_units())}", found=text
        )
    return text


def _rate(name: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise UsageError("not a rate", where=f"--rate {name}={text}", expected="samples a second", found=text)
    return rate


def _check_timed(path: Path, name: str, spec: ModalitySpec, wanted: Wanted) -> None:
    """Refuse a file with neither timestamps nor a rate: to take the run's would hide that it has another."""
    if spec.rate is None and spec.spans is None and read_stamps(path, spec) is None:
        option = f"--rate {name.replace('_', '-')}"
        raise DataError(
            "no timestamps and no rate",
            where=str(path),
            expected="a column of time, or the rate in Hz",
            remedy=f"add {option}=HZ ({option}={wanted.data.sensors[name].rate:g} if it is as in training)",
        )


def check_directory(directory: Path, dataset: Dataset, wanted: Wanted) -> None:
    """Refuse recordings of which the index does not have a modality that the run takes, or one of another kind.

    Raises
    ------
    DataError
    """
    for name, its in wanted.inputs.items():
        spec = dataset.modalities.get(name)
        if spec is None:
            raise DataError(
                f"no modality {name}",
                where=str(directory / INDEX_NAME),
                expected=f"a column of each modality that the run was trained on: {', '.join(wanted.inputs)}",
                found=", ".join(dataset.modalities),
                remedy=f"call the column of its files {name}, or train a run that does without it (mmtsa train "
                "--modalities, --modality-dropout)",
            )
        if spec.kind != its["kind"]:
            raise _other_kind(name, spec, wanted, where=str(directory / DATASET_NAME))


def _other_kind(name: str, spec: ModalitySpec, wanted: Wanted, *, where: str) -> DataError:
    kind = wanted.inputs[name]["kind"]
    expected = f"kind: {kind}, as in {wanted.where}"
    return DataError(f"{name} is no {kind}", where=where, expected=expected, found=spec.kind)


# What an opened recording holds


def as_trained(clip: Clip, dataset: Dataset, recording: Recording, wanted: Wanted, told: Told) -> Clip:
    """Return a clip in the units of training; say what else differs from it.

    Parameters
    ----------
    told : Told
        Is added to.

    Raises
    ------
    DataError
        Another number or order of axes, a unit that cannot be converted, a grey video for a coloured one.
    """
    for name, video in clip.videos.items():
        _check_colour(name, video.info.grey, recording, wanted)
    series = dict(clip.series)
    for name in wanted.sensors:
        facts = wanted.data.sensors[name]
        spec = dataset.modalities[name]
        _check_axes(name, series[name], recording, wanted, indexed=bool(recording.row))
        where = f"recording {recording.id}, {recording.paths[name]}"
        factor = unit_factor(name, spec.unit, facts, told, where=where)
        if factor != 1.0:
            series[name] = dataclasses.replace(series[name], values=series[name].values * factor)
        how = f"set unit: {{}} of {name} in {DATASET_NAME}" if recording.row else None
        values = series[name].values
        values = values[:: 1 + len(values) // _LOOKED_AT]
        found = [other_rate(name, series[name].rate, facts), other_range(name, values, facts, how=how)]
        told.warnings.extend(f"{recording.id}, {text}" for text in found if text)
    told.notes.extend(f"{recording.id}: {note}" for note in clip.notes)
    return dataclasses.replace(clip, series=series)


def _check_colour(name: str, grey: bool, recording: Recording, wanted: Wanted) -> None:
    channels = wanted.inputs[name]["channels"]
    if (1 if grey else 3) != channels:
        looks = {True: "a grey video", False: "a colour video"}
        raise DataError(
            f"{name} is {looks[grey]}",
            where=f"recording {recording.id}, {recording.paths[name]}",
            expected=f"{looks[channels == 1]}, as the run was trained on",
            remedy=f"give the file that belongs to {name}, or train on such videos",
        )


def _check_axes(name: str, series: Series, recording: Recording, wanted: Wanted, *, indexed: bool) -> None:
    count, known = wanted.inputs[name]["channels"], wanted.data.sensors[name].channels
    axes = series.channels
    # Other names of as many axes are another spelling; the same names in another order are other columns.
    if len(axes) == count and (axes == known or sorted(axes) != sorted(known)):
        return
    numbered = ",".join(known) if known and set(known) <= set(axes) else ",".join(map(str, range(2, 2 + count)))
    remedy = f"name its columns in {DATASET_NAME}" if indexed else f"name its columns: --columns {name}={numbered}"
    if len(axes) < count:
        remedy = "the run needs all of them: give another file, or train on such files"
    raise DataError(
        f"other axes of {name} than the run was trained on",
        where=f"recording {recording.id}, {recording.paths[name]}",
        expected=f"{count}" + (f": {', '.join(known)}" if known else " axes"),
        found=f"{len(axes)}: {', '.join(axes)}",
        remedy=remedy,
    )


def unit_factor(name: str, unit: str | None, facts: SensorFacts, told: Told, *, where: str) -> float:
    """Return what a sensor's values are multiplied by to be in the unit of training.

    Parameters
    ----------
    unit : str or None
        What is said of the values; None: nothing, they are taken as they are.
    told : Told
        Is added to.
    where : str
        For messages.

    Raises
    ------
    DataError
        A unit of something else.
    """
    if not unit:
        return 1.0
    if not facts.unit:
        told.warnings.append(f"{name}: the run does not say its unit, so {unit} is not converted")
        return 1.0
    factor = conversion(unit, facts.unit)
    if factor is None:
        raise DataError(
            f"{name} is in {unit}",
            where=where,
            expected=f"{facts.unit}, as in training",
            remedy="correct the unit that is said, or convert the file",
        )
    if factor != 1.0:
        told.notes.append(f"{name}: {unit} converted to {facts.unit}, as in training")
    return factor


def other_rate(name: str, rate: float, facts: SensorFacts) -> str | None:
    """Return a warning of a sensor whose rate is not that of training, None where it is about the same."""
    ratio = rate / facts.rate
    if 1 / _OTHER_RATE <= ratio <= _OTHER_RATE:
        return None
    lost = f"what moves faster than {rate / 2:.3g} Hz is missing" if ratio < 1 else "averaged down"
    return f"{name}: recorded at {rate:.4g} Hz, trained on {facts.rate:.4g} Hz; resampled, {lost}"


def other_range(name: str, values: NDArray[np.float64], facts: SensorFacts, *, how: str | None = None) -> str | None:
    """Return a warning where values are so much larger or smaller than in training that another unit explains it.

    Parameters
    ----------
    values : (n, C) float array
    how : str, optional
        How the unit is said, with {} where it stands; None: by the option --unit.
    """
    unit = facts.unit if quantity_of(facts.unit) else _usual_unit(name)
    quantity = quantity_of(unit)
    if quantity is None or not facts.median or not facts.peak:
        return None
    lengths = np.linalg.norm(values, axis=1)
    # Gravity makes the median of an accelerometer; a gyroscope may rest most of the time.
    is_acceleration = quantity == "acceleration"
    found = float(np.median(lengths)) if is_acceleration else float(np.quantile(lengths, 0.99))
    usual = facts.median if is_acceleration else facts.peak
    rival = mistaken_for(unit, found / usual)
    if rival is None and facts.unit is None:
        # Whichever of the two the run is in.
        unit = {"m/s^2": "g", "rad/s": "deg/s", "rad": "deg"}[str(unit)]
        rival = mistaken_for(unit, found / usual)
    if rival is None:
        return None
    which = "typical" if is_acceleration else "largest"
    still = "" if is_acceleration or found > usual else ", or nobody moves"
    remedy = f"{(how or f'add --unit {name}={{}}').format(rival)} to have it converted"
    if facts.unit is None:
        remedy = f"the run does not say its unit: multiply the values by {conversion(rival, unit):.4g}"
    return (
        f"{name}: {which} values of {found:.3g} where training had {usual:.3g}"
        f"{f' {facts.unit}' if facts.unit else ''}: probably in {rival}{still}; {remedy}"
    )


def _usual_unit(name: str) -> str | None:
    """Return a unit of what a sensor of this name measures, where the run does not say."""
    for start, unit in (("acc", "m/s^2"), ("gyro", "rad/s"), ("orientation", "rad")):
        if name.startswith(start):
            return unit
    return None
