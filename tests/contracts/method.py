"""What every system must keep to, checked on a toy that is easy for all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from mmtsa_cli.artifacts.options import Source, to_options
from mmtsa_cli.errors import DataError
from mmtsa_cli.methods.contract import Cost, Method
from mmtsa_cli.methods.registry import Entry, class_of, modalities_of
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.run import Run

LABELS = ("jumping_jacks", "lifting_crate", "sitting")
SMALL: Mapping[str, Any] = {
    "model": {"backbone": "resnet10", "width": 0.25, "hidden": 32, "dropout": 0.1},
    "imaging": {"scale": "dataset", "range": "unit", "image_size": 24},
    "training": {
        "epochs": 10,
        "batch_size": 6,
        "optimizer": "adamw",
        "lr": 0.004,
        "schedule": "cosine",
        "threads": 1,
        "precision": "float32",
    },
    "features": 32,
    "trajectories": {"step": 10, "tracks": 64},
}


@dataclass(frozen=True)
class Fitted:
    """A system fitted to the toy, and what it was fitted to."""

    entry: Entry
    options: Any
    method: Method
    train: Samples
    test: Samples
    directory: Path


Check = Callable[[Fitted], None]


def checks() -> Iterator[Check]:
    """Yield every check of this module."""
    yield from (value for name, value in sorted(globals().items()) if name.startswith("check_"))


def small_options(entry: Entry) -> Any:
    """Return the options of a system for small runs: what it shares with other networks, else its defaults."""
    options = class_of(entry).options_class
    fields = {field.name for field in dataclasses.fields(options)}
    return to_options(options, Source("small", {name: value for name, value in SMALL.items() if name in fields}, {}))


def toy(store: Store, entry: Entry, *, test: bool) -> Samples:
    """Return the clips of three activities that differ in looks and in motion: of subject 4, or of all others."""
    clips = [i for i, clip in enumerate(store.clips) if clip["label"] in LABELS and (clip["subject"] == "4") == test]
    names = modalities_of(entry, {name: m.kind for name, m in store.header.modalities.items()})
    return Samples(store, clips, modalities=names, classes=LABELS, options=DrawOptions(frame_size=32))


def fit(entry: Entry, store: Store, directory: Path, *, seed: int = 0) -> Fitted:
    """Fit a system to the toy."""
    torch.set_num_threads(1)
    options, train = small_options(entry), toy(store, entry, test=False)
    method = class_of(entry).for_samples(options, train, seed=seed)
    directory.mkdir(parents=True, exist_ok=True)
    method.fit(train, None, seed=seed, run=Run(directory, shared=directory.parent / f"shared-{seed}"))
    return Fitted(entry, options, method, train, toy(store, entry, test=True), directory)


def check_probabilities_are_finite_sum_to_one_and_stand_in_class_order(fitted: Fitted) -> None:
    found = fitted.method.predict_proba(fitted.train)
    assert found.shape == (len(fitted.train), len(LABELS))
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert tuple(fitted.method.classes) == LABELS


def check_it_learns_a_separable_toy(fitted: Fitted) -> None:
    right = fitted.method.predict_proba(fitted.train).argmax(axis=1) == fitted.train.labels
    # By chance a third of 18 clips; 12 or more happen so once in 250.
    assert right.mean() >= 0.66, right.mean()


def check_predicting_changes_neither_the_system_nor_its_arguments(fitted: Fitted) -> None:
    before = {name: np.array(value, copy=True) for name, value in _arrays(fitted.method.state()).items()}
    first = fitted.method.predict_proba(fitted.test)
    second = fitted.method.predict_proba(fitted.test)
    np.testing.assert_array_equal(first, second)
    after = _arrays(fitted.method.state())
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)


def check_the_result_does_not_depend_on_how_many_are_asked_at_once(fitted: Fitted) -> None:
    together = fitted.method.predict_proba(fitted.test)
    for position, clip in enumerate(fitted.test.clips[:3]):
        one = Samples(
            fitted.test.store,
            [clip],
            modalities=fitted.test.modalities,
            classes=LABELS,
            options=fitted.test.options,
        )
        np.testing.assert_allclose(fitted.method.predict_proba(one)[0], together[position], atol=1e-4)


def check_saved_and_restored_it_predicts_the_same(fitted: Fitted) -> None:
    state = fitted.method.state()
    kept = load(save({name: np.ascontiguousarray(value) for name, value in _arrays(state).items()}))
    plain = {name: value for name, value in state.items() if name.startswith("_")}
    restored = class_of(fitted.entry).restore(fitted.options, {**kept, **plain})
    np.testing.assert_allclose(restored.predict_proba(fitted.test), fitted.method.predict_proba(fitted.test), atol=1e-6)


def check_its_cost_is_counted(fitted: Fitted) -> None:
    cost = fitted.method.cost()
    assert isinstance(cost, Cost)
    assert cost.parameters > 0
    assert cost.macs is None or cost.macs > 0


def check_a_missing_modality_is_named(fitted: Fitted) -> None:
    kinds = {name: m.kind for name, m in fitted.test.store.header.modalities.items()}
    other = "sensor" if fitted.entry.inputs == "video" else "video"
    everything = fitted.entry.inputs == "every modality"
    left = {name: kind for name, kind in kinds.items() if kind == other and not everything}
    with pytest.raises(DataError, match=f"{fitted.entry.name.replace('+', '.')} needs a"):
        modalities_of(fitted.entry, left)


def check_every_option_says_what_it_does(fitted: Fitted) -> None:
    for field in dataclasses.fields(type(fitted.options)):
        assert field.metadata.get("help") or dataclasses.is_dataclass(getattr(fitted.options, field.name)), field.name


def check_its_docstrings_name_their_source(fitted: Fitted) -> None:
    module = __import__(type(fitted.method).__module__, fromlist=["_"])
    assert any(character.isdigit() for character in module.__doc__ or ""), "the module names no publication"
    assert type(fitted.method).__doc__


def _arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: value for name, value in state.items() if not name.startswith("_")}
