"""An evaluation under other conditions: fewer modalities, fewer segments, faults of sensors and cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmtsa_cli.errors import DataError, UsageError, did_you_mean
from mmtsa_cli.modalities import select
from mmtsa_cli.sampling.corruption import CORRUPTIONS, CorruptedSamples
from mmtsa_cli.sampling.draw import Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages.trainings.trained import TrainedRun

if TYPE_CHECKING:
    from mmtsa_cli.methods.mmtsa import Mmtsa

Progress = Callable[[int, int], None]
SUBSETS, ROBUSTNESS, SEGMENTS = "subsets", "robustness", "segments"
_LEARN_TOKENS = "train it with --modality-dropout 0.3, so that it learns to do without"


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes
    ----------
    part : str
        `SUBSETS`, `ROBUSTNESS` or `SEGMENTS`.
    name : str
        Modalities with "+" between them, a fault, or a number of segments.
    strength : float
        Of a fault.
    gmac : float
        10^9 multiply-accumulates of one draw of a clip, of a number of segments.
    """

    part: str
    name: str
    strength: float = 0.0
    gmac: float = 0.0

    @property
    def facts(self) -> dict[str, Any]:
        """What its row says besides the scores."""
        if self.part == SUBSETS:
            return {"modalities": self.name.split("+")}
        if self.part == SEGMENTS:
            return {"segments": int(self.name), "gmac": self.gmac}
        return {"fault": self.name, "strength": self.strength, "about": CORRUPTIONS[self.name].about}


@dataclass(frozen=True)
class Conditions:
    """Under what a run is evaluated.

    Attributes
    ----------
    modalities : tuple of str
        Those that the networks get, in the run's order.
    subsets : tuple of tuple of str
        Further ones, none or all.
    faults : tuple of str
        Keys of `CORRUPTIONS`.
    segments : tuple of int
        Other numbers of segments.
    notes : tuple of str
        What a person should know.
    """

    modalities: tuple[str, ...]
    subsets: tuple[tuple[str, ...], ...] = ()
    faults: tuple[str, ...] = ()
    segments: tuple[int, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    @classmethod
    def of(
        cls,
        run: TrainedRun,
        store: Store,
        modalities: Sequence[str],
        faults: Sequence[str],
        *,
        subsets: bool,
        segments: Sequence[int] = (),
    ) -> Conditions:
        """Return the conditions that are asked for and can be.

        Raises
        ------
        UsageError
            Fewer modalities than the run needs, or other ones; no such fault, or one of what is not there; another
            number of segments than the run can do with.
        DataError
            The samples lack a modality that the run needs, or have another of this name.
        """
        names = tuple(run.models[0]["inputs"])
        notes: list[str] = []
        kept = _there(run, store, names, notes)
        if modalities:
            kept = _chosen(run, store, kept, modalities)
        if subsets and not run.takes_subsets:
            raise UsageError("the run needs all its modalities", where="--all-subsets", remedy=_LEARN_TOKENS)
        parts = tuple(_subsets(kept)) if subsets else ()
        possible = _faults(faults, {store.header.modalities[name].kind for name in kept})
        return cls(kept, parts, possible, _segments(run, segments), tuple(notes))

    @property
    def passes(self) -> int:
        """How many times the clips go through the network."""
        of_faults = sum(len(CORRUPTIONS[fault].strengths) for fault in self.faults)
        return bool(self.subsets) + of_faults + len(self.segments)

    def predict(
        self, method: Mmtsa, test: Samples, *, seed: int, progress: Iterator[Progress]
    ) -> dict[Condition, NDArray[np.float64]]:
        """Return the probabilities of the test clips under each condition; each pass takes a `progress` of its own."""
        found: dict[Condition, NDArray[np.float64]] = {}
        if self.subsets:
            said = method.predict_subsets(test, self.subsets, seed=seed, progress=next(progress))
            for subset, prediction in zip(self.subsets, said, strict=True):
                found[Condition(SUBSETS, "+".join(subset))] = prediction.probabilities
        for fault in self.faults:
            for strength in CORRUPTIONS[fault].strengths:
                faulty = CorruptedSamples(test, fault, strength, seed=seed)
                prediction = method.predict(faulty, seed=seed, progress=next(progress))
                found[Condition(ROBUSTNESS, fault, strength)] = prediction.probabilities
        for count in self.segments:
            pruned = method.with_segments(count)
            prediction = pruned.predict(_cut(test, count), seed=seed, progress=next(progress))
            condition = Condition(SEGMENTS, str(count), gmac=(pruned.cost().macs or 0) / 1e9)
            found[condition] = prediction.probabilities
        return found


def in_passes(progress: Progress, passes: int) -> Iterator[Progress]:
    """Yield what each of several passes of the same length reports to, so that together they are one progress."""
    for number in range(passes):
        yield lambda done, total, before=number: progress(before * total + done, passes * total)  # type: ignore[misc]


def write_conditions(directory: Path, metrics: Mapping[str, Any]) -> None:
    """Write subsets.csv, segments.csv, robustness.csv and robustness.png, as far as the metrics hold them."""
    from mmtsa_cli.reporting.plots import plot_robustness
    from mmtsa_cli.reporting.tables import write_rows

    if SUBSETS in metrics:
        rows = [{**row, "modalities": "+".join(row["modalities"])} for row in metrics[SUBSETS]]
        write_rows(directory / f"{SUBSETS}.csv", [_flat(row) for row in rows])
    if SEGMENTS in metrics:
        write_rows(directory / f"{SEGMENTS}.csv", [_flat(row) for row in metrics[SEGMENTS]])
    if ROBUSTNESS in metrics:
        write_rows(directory / f"{ROBUSTNESS}.csv", [_flat(row) for row in metrics[ROBUSTNESS]])
        plot_robustness(directory / f"{ROBUSTNESS}.png", metrics[ROBUSTNESS], sound=metrics)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its intervals in two columns each."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key.endswith("interval_95"):
            flat |= {f"{key}_low": value[0], f"{key}_high": value[1]}
        else:
            flat[key] = value
    return flat


def _there(run: TrainedRun, store: Store, names: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    kept = []
    for name in names:
        wanted, stored = run.models[0]["inputs"][name], store.header.modalities.get(name)
        if stored is None and run.takes_subsets:
            notes.append(f"the samples have no {name}: evaluated without it")
        elif stored is None or (stored.kind, len(stored.channels)) != (wanted["kind"], wanted["channels"]):
            there = ", ".join(store.header.modalities)
            instead = "" if stored else f", or {_LEARN_TOKENS}"
            raise DataError(
                f"the samples do not have the run's {name}",
                where=str(store.directory),
                expected=f"{wanted['kind']} with {wanted['channels']} channels",
                found=f"{stored.kind} with {len(stored.channels)} channels" if stored else there,
                remedy=f"sample the same modalities as for training{instead}",
            )
        else:
            kept.append(name)
    if not kept:
        raise DataError(
            "the samples have none of the run's modalities",
            where=str(store.directory),
            expected=", ".join(names),
            found=", ".join(store.header.modalities),
        )
    return tuple(kept)


def _chosen(run: TrainedRun, store: Store, there: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    chosen = set(select(wanted, {name: store.header.modalities[name].kind for name in there}))
    kept = tuple(name for name in there if name in chosen)
    if len(kept) < len(there) and not run.takes_subsets:
        raise UsageError(
            "the run needs all its modalities",
            where=f"--modalities {','.join(wanted)}",
            expected=", ".join(there),
            remedy=_LEARN_TOKENS,
        )
    return kept


def _cut(test: Samples, count: int) -> Samples:
    options = replace(test.options, segments=count)
    return Samples(test.store, test.clips, modalities=test.modalities, classes=test.classes, options=options)


def _segments(run: TrainedRun, wanted: Sequence[int]) -> tuple[int, ...]:
    if wanted and run.recipe.model.position_embedding:
        raise UsageError(
            "the run knows its segments by their position",
            where=f"--segments {','.join(map(str, wanted))}",
            expected=str(run.models[0]["segments"]),
            remedy="train it with --set model.position_embedding=false",
        )
    return tuple(dict.fromkeys(wanted))


def _subsets(names: Sequence[str]) -> Iterable[tuple[str, ...]]:
    for count in range(1, len(names) + 1):
        yield from combinations(names, count)


def _faults(wanted: Sequence[str], kinds: set[str]) -> tuple[str, ...]:
    possible = tuple(name for name, fault in CORRUPTIONS.items() if fault.kind in kinds)
    if list(wanted) == ["all"]:
        return possible
    for name in wanted:
        if name not in CORRUPTIONS:
            raise UsageError(
                f"no fault {name!r}",
                where="--corrupt",
                expected=f"all, or some of {', '.join(CORRUPTIONS)}",
                remedy=did_you_mean(name, CORRUPTIONS),
            )
        if name not in possible:
            what = f"{name} is a fault of a {CORRUPTIONS[name].kind}, and there is none"
            raise UsageError(what, where="--corrupt", expected=f"some of {', '.join(possible)}")
    return tuple(dict.fromkeys(wanted))
