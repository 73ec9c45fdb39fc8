"""What a run notes of the data it was trained on, so that other recordings can be made into the same inputs.

A sample store stays behind when its run is carried to another machine; what `predict` needs of it stands in the run's
own `model.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtsa_cli.artifacts.manifest import read_manifest
from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.sampling.packing import CuttingOptions

if TYPE_CHECKING:
    from mmtsa_cli.sampling.draw import Samples

MODEL_NAME = "model.json"
"""The file of a fold that makes weights a model again."""
KEY = "data"
"""Where it stands in there."""
_PEAK = 0.99


@dataclass(frozen=True)
class SensorFacts:
    """What the training clips say of a sensor.

    Attributes
    ----------
    channels : tuple of str
        Names of the axes; empty where a run of an older version did not note them.
    rate : float
        Samples a second of the stored series.
    unit : str or None
    median, peak : float or None
        Median and 99 % quantile of the length of the vector of all axes, in that unit. The median of an accelerometer
        is about gravity whatever people do, which tells g from m/s^2; that of a gyroscope depends on how long they
        rest, so its peak is what tells deg/s from rad/s.
    """

    channels: tuple[str, ...]
    rate: float
    unit: str | None = None
    median: float | None = None
    peak: float | None = None


@dataclass(frozen=True)
class TrainingData:
    """How the training clips were cut, and what their sensors are.

    Attributes
    ----------
    cutting : CuttingOptions
        As the store was made.
    sensors : mapping of str to SensorFacts
    noted : bool
        False of a run of an older version: what it did not note is taken from its weights and from the defaults.
    clip_s : float or None
        Median length of the training clips; None where a run of an older version did not note it.
    """

    cutting: CuttingOptions
    sensors: Mapping[str, SensorFacts] = field(default_factory=dict)
    noted: bool = True
    clip_s: float | None = None


def note_training_data(samples: Samples) -> dict[str, Any]:
    """Return what is to be noted of the training clips, as JSON values."""
    store = samples.store
    made = read_manifest(store.directory).configuration
    default = CuttingOptions()
    cutting = {
        "segments": store.header.segments,
        "frames": store.header.frames,
        "window_s": samples.window_s,
        **{key: made.get(key, getattr(default, key)) for key in ("short_side", "quality", "max_gap_s")},
    }
    sensors = {name: asdict(_facts(samples, name)) for name in samples.modalities if samples.kind(name) == "sensor"}
    clip_s = float(np.median([store.duration_s(clip) for clip in samples.clips]))
    return {"cutting": cutting, "sensors": sensors, "clip_s": clip_s}


def _facts(samples: Samples, name: str) -> SensorFacts:
    stored = samples.store.header.modalities[name]
    lengths = np.concatenate([np.linalg.norm(samples.store.series(name, clip), axis=1) for clip in samples.clips])
    median, peak = np.quantile(lengths, [0.5, _PEAK])
    return SensorFacts(stored.channels, stored.rate, stored.unit, float(median), float(peak))


def read_training_data(model: Mapping[str, Any], *, where: str) -> TrainingData:
    """Return what `model.json` says of the training data.

    Raises
    ------
    ArtifactError
        It is damaged.
    """
    try:
        if KEY not in model:
            return _guessed(model)
        noted = model[KEY]
        sensors = {
            name: SensorFacts(**{**facts, "channels": tuple(facts["channels"])})
            for name, facts in noted["sensors"].items()
        }
        return TrainingData(CuttingOptions(**noted["cutting"]), sensors, clip_s=noted.get("clip_s"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError("damaged", where=where, found=repr(error), remedy="train anew") from None


def _guessed(model: Mapping[str, Any]) -> TrainingData:
    window_s = float(model["window_s"])
    sensors = {
        name: SensorFacts((), round(wanted["size"] / window_s, 3))
        for name, wanted in model["inputs"].items()
        if wanted["kind"] == "sensor"
    }
    return TrainingData(CuttingOptions(segments=model["segments"], window_s=window_s), sensors, noted=False)
