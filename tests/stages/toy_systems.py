"""Systems of an installed package, for tests of what runs systems: each does one thing, at once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.methods.contract import Cost
from mmtsa_cli.methods.registry import Entry
from mmtsa_cli.sampling.feature_cache import clip_features
from mmtsa_cli.training.run import TrainingStoppedError

STEPS = 40


@dataclass(frozen=True)
class ToyOptions:
    """What the systems of this file take."""

    class_number: int = option(0, "the class that is predicted", low=0)


class Toy:
    """Predicts one class for all, after reading the gyroscope's series."""

    options_class: ClassVar[type] = ToyOptions

    def __init__(self, options: Any, classes: tuple[str, ...]) -> None:
        self.options, self.classes = options, classes

    @classmethod
    def for_samples(cls, options: Any, samples: Any, *, seed: int = 0) -> Toy:
        return cls(options, samples.classes)

    def fit(self, samples: Any, validation: Any, *, seed: int, run: Any) -> None:
        (run.directory / "was-here").touch()

    def predict_proba(self, samples: Any, *, seed: int = 0, progress: Any = None) -> Any:
        for clip in samples.clips:
            samples.store.series("gyro", clip)
        probabilities = np.zeros((len(samples), len(self.classes)))
        probabilities[:, self.options.class_number] = 1
        return probabilities

    def cost(self) -> Cost:
        return Cost(7, 1000)

    def state(self) -> Mapping[str, Any]:
        return {}


class Killed(Toy):
    """Is ended from outside, as where memory is short."""

    def fit(self, samples: Any, validation: Any, *, seed: int, run: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Broken(Toy):
    """Has a bug."""

    def fit(self, samples: Any, validation: Any, *, seed: int, run: Any) -> None:
        raise ValueError("a bug of its own")


class Stepping(Toy):
    """Trains by steps, keeps the last in `count`, and goes on from there."""

    def fit(self, samples: Any, validation: Any, *, seed: int, run: Any) -> None:
        count = run.directory / "count"
        done = json.loads(count.read_text()) if count.is_file() else []
        begun = len(done)
        for step in range(begun, STEPS):
            time.sleep(0.05)
            done.append(begun)
            run.report(None, step + 1, STEPS)
            if step == 5:
                (run.directory / "began").touch()
            if run.should_stop():
                count.write_text(json.dumps(done))
                raise TrainingStoppedError("stopped")
        (Path(run.directory).parents[1] / "steps.json").write_text(json.dumps(done))


class Computing(Toy):
    """Computes features of every clip, which takes a while."""

    def fit(self, samples: Any, validation: Any, *, seed: int, run: Any) -> None:
        clip_features(samples.store, "slow", slow_rows, {"began": str(run.directory / "began")})


def slow_rows(store: Any, clip: int, parameters: Mapping[str, Any]) -> Any:
    """Say at the sixth clip that it began."""
    time.sleep(0.05)
    if clip == 5:
        Path(parameters["began"]).touch()
    return np.full((1, 1), clip, np.float32)


class Deaf(Toy):
    """Works on without steps, and hears of nothing."""

    def fit(self, samples: Any, validation: Any, *, seed: int, run: Any) -> None:
        (run.directory / "began").touch()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        time.sleep(60)


TOY, KILLED, BROKEN, STEPPING, COMPUTING, DEAF = (
    Entry(cls.__name__.lower(), f"tests.stages.toy_systems:{cls.__name__}", "sensors", "a test", cls.__doc__ or "")
    for cls in (Toy, Killed, Broken, Stepping, Computing, Deaf)
)
ENTRY_POINTS = """\
[mmtsa.methods]
toy = tests.stages.toy_systems:TOY
killed = tests.stages.toy_systems:KILLED
broken = tests.stages.toy_systems:BROKEN
stepping = tests.stages.toy_systems:STEPPING
computing = tests.stages.toy_systems:COMPUTING
deaf = tests.stages.toy_systems:DEAF
"""


def install(directory: Path) -> None:
    """Make `directory`, where it is on the path, hold an installed package that adds the systems."""
    about = directory / "toy_systems-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-systems\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
