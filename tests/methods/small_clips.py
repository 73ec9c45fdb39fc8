"""A few clips of three activities, and settings under which a network learns them in seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.models.network import ModelOptions
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.optimisation import TrainingOptions

LABELS = ("jumping_jacks", "lifting_crate", "sitting")
MODALITIES = ("rgb", "gyro", "acc_phone")
TRAINING = TrainingOptions(
    epochs=2, batch_size=6, optimizer="adamw", lr=0.004, schedule="constant", threads=1, precision="float32"
)


def clips_of(directory, *, subjects=("1", "2", "3"), modalities=MODALITIES):
    """Return the clips of some subjects: two of each of the three activities."""
    store = Store(directory)
    chosen = [i for i, clip in enumerate(store.clips) if clip["label"] in LABELS and clip["subject"] in subjects]
    return Samples(store, chosen, modalities=modalities, classes=LABELS, options=DrawOptions(frame_size=32))


def small(options_class, *, epochs=2, training=TRAINING, **wanted):
    """Return options of a network small enough for tests."""
    return options_class(
        model=ModelOptions(backbone="resnet10", width=0.25),
        imaging=FieldOptions(scale="dataset", range="unit", image_size=24),
        training=replace(training, epochs=epochs),
        **wanted,
    )


def forbid(monkeypatch: pytest.MonkeyPatch, what: str):
    """Let the store refuse to give "series" or "frames"."""

    def refuse(*arguments):
        raise AssertionError(f"{what} were read")

    monkeypatch.setattr(Store, what, refuse)
