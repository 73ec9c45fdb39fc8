"""Protocols: which clips train and which test, as data.

A protocol is a mapping: `{"train": {column: [values]}, "test": {column: [values]}}` for one split (a clip belongs
to a side if it matches every column named there), `{"folds": {name: split, ...}}` for several,
`{"leave_one_out": column}`, or `{"k_fold": {"column": column, "folds": k, "seed": s}}`, which deals the values of a
column out to k folds. Each may say its `source`, a text, and `less`, which leaves clips out of every fold's training
part, as a learning curve does: `{"subject": 2, "share": 0.1, "seed": s}` keeps the clips of two subjects, drawn by the
seed, and of those a tenth of each label's.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmtsa_cli.artifacts.directory import file_names
from mmtsa_cli.artifacts.options import Source, read_yaml
from mmtsa_cli.errors import DataError, MmtsaError, UsageError, did_you_mean
from mmtsa_cli.recordings.index import INDEX_NAME
from mmtsa_cli.recordings.spelling import two_spellings

Columns = Sequence[Mapping[str, str]]
_SIDES = ("train", "test")
_K_FOLD = re.compile(r"(?P<folds>\d+)-fold-(?P<column>.+)")
_PEOPLE_AND_PLACES = ("subject", "session", "view", "scene")


@dataclass(frozen=True)
class Fold:
    """One split of the clips.

    Attributes
    ----------
    name : str
        Usable as a file name ("cross-subject", "subject-3").
    train, test : tuple of int
        Positions of clips; no clip is on both sides.
    apart : tuple of str
        The columns of which no value is on both sides: what the test part is new in.
    """

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]
    apart: tuple[str, ...]


@dataclass(frozen=True)
class Protocol:
    """A name and its folds."""

    name: str
    folds: tuple[Fold, ...]


def resolve(
    name: str | None, clips: Columns, *, published: Mapping[str, Mapping[str, Any]], default: str | None = None
) -> Protocol:
    """Return the protocol called `name` over `clips`.

    Parameters
    ----------
    name : str or None
        A published protocol of the data, `cross-COLUMN`, `leave-one-COLUMN-out`, `K-fold-COLUMN`, or a YAML file; None:
        the data's own default, else cross-subject.
    clips : sequence of mapping
        Per clip its columns (`id`, `label`, `subject`, ...) as text.
    published : mapping
        The data's own protocols by name.
    default : str or None
        The data's own default protocol.

    Raises
    ------
    UsageError
        No such protocol or column, or a file that is no protocol.
    DataError
        A side without clips, a person (session, view) or clip on both sides, even under two spellings, a label in the
        test part that training never saw.
    """
    name = name or default or "cross-subject"
    definition, where = _definition(name, clips, published)
    title = Path(name).stem if name.endswith((".yaml", ".yml")) else name
    folds = _folds(title, definition, clips, where)
    names = file_names([fold.name for fold in folds])
    return Protocol(title, tuple(replace(fold, name=name) for fold, name in zip(folds, names, strict=True)))


def hold_out(
    fold: Fold, clips: Columns, *, column: str, values: Sequence[str], count: int, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split the training part of a fold into training and validation by whole values of `column`.

    Parameters
    ----------
    values : sequence of str
        The values that validate; those of them that this fold does not train on are passed over.
    count : int
        How many values validate where `values` is empty, drawn by `seed`; 0: no validation part.

    Returns
    -------
    (train, validation) : tuples of int

    Raises
    ------
    UsageError
        Nothing would be left to train on, or to validate by.
    """
    present = sorted({clips[i].get(column, "") for i in fold.train})
    if values:
        chosen = {value for value in values if value in present}
        if not chosen:
            raise UsageError(
                f"no training clip of {column} {', '.join(values)}",
                where="validation.values",
                found=", ".join(present),
                remedy="name one of those",
            )
    else:
        chosen = set(np.random.default_rng([seed, 7]).permutation(present)[:count].tolist())
    if chosen and len(chosen) >= len(present):
        raise UsageError(
            f"validation takes every {column} of the training part",
            where="validation.count",
            expected=f"fewer than {len(present)}",
            found=str(len(chosen)),
            remedy="set validation.count=0 to train a fixed number of epochs without validation",
        )
    train = tuple(i for i in fold.train if clips[i].get(column, "") not in chosen)
    validation = tuple(i for i in fold.train if clips[i].get(column, "") in chosen)
    return train, validation


def _definition(
    name: str, clips: Columns, published: Mapping[str, Mapping[str, Any]]
) -> tuple[Mapping[str, Any], Source | str]:
    if name in published:
        return published[name], f"protocol {name}"
    if name.endswith((".yaml", ".yml")):
        source = read_yaml(Path(name))
        return source.data, source
    if name.startswith("leave-one-") and name.endswith("-out"):
        column = name[len("leave-one-") : -len("-out")]
        _check_column(column, clips, f"--protocol {name}")
        return {"leave_one_out": column}, f"--protocol {name}"
    match = _K_FOLD.fullmatch(name)
    if match:
        return {"k_fold": {"column": match["column"], "folds": int(match["folds"])}}, f"--protocol {name}"
    if name.startswith("cross-"):
        column = name[len("cross-") :]
        _check_column(column, clips, f"--protocol {name}")
        return _every_third(column, clips), f"--protocol {name}"
    known = [
        *published,
        *(f"cross-{c}" for c in _PEOPLE_AND_PLACES),
        *(f"leave-one-{c}-out" for c in _PEOPLE_AND_PLACES),
        *(f"5-fold-{c}" for c in _PEOPLE_AND_PLACES),
    ]
    raise UsageError(
        f"no protocol {name!r}",
        where="--protocol",
        expected="a name, or a file that ends in .yaml",
        remedy=did_you_mean(name, known),
    )


def _every_third(column: str, clips: Columns) -> Mapping[str, Any]:
    """Where nothing is published: every third value in sorted order tests (with two values, the second)."""
    values = sorted({clip.get(column, "") for clip in clips}, key=_natural)
    test = values[2::3] or values[-1:]
    return {"train": {column: [v for v in values if v not in test]}, "test": {column: test}}


def _natural(value: str) -> tuple[int, int, str]:
    return (0, int(value), "") if value.isdigit() else (1, 0, value)


def _check_column(column: str, clips: Columns, where: str) -> None:
    if not any(clip.get(column) for clip in clips):
        columns = {key for clip in clips for key, value in clip.items() if value}
        remedy = did_you_mean(column, columns - {"id", "label"})
        raise UsageError(
            f"the index has no column {column!r}", where=where, found=", ".join(sorted(columns)), remedy=remedy
        )


def _folds(title: str, definition: Mapping[str, Any], clips: Columns, where: Source | str) -> list[Fold]:
    definition = {key: value for key, value in definition.items() if key != "source"}
    if "less" in definition:
        less = definition.pop("less")
        place = _place(where, ("less",))
        return [_with_less(fold, less, clips, place) for fold in _folds(title, definition, clips, where)]
    keys = set(definition)
    if keys == {"k_fold"}:
        return _k_fold(definition["k_fold"], clips, where)
    if keys == {"leave_one_out"}:
        return _leave_one_out(str(definition["leave_one_out"]), clips, where)
    if keys == {"folds"} and isinstance(definition["folds"], Mapping):
        folds = definition["folds"].items()
        return [_fold(str(name), split, clips, where, ("folds", str(name))) for name, split in folds]
    return [_fold(title, definition, clips, where, ())]


def _leave_one_out(column: str, clips: Columns, where: Source | str) -> list[Fold]:
    _check_column(column, clips, _place(where, ("leave_one_out",)))
    values = sorted({clip.get(column, "") for clip in clips}, key=_natural)
    if len(values) < 2:
        raise DataError(
            f"only one {column}",
            where=_place(where, ("leave_one_out",)),
            expected=f"clips of at least two values of {column}",
            found=values[0] or "empty cells",
        )
    folds = []
    for value in values:
        split = {"train": {column: [v for v in values if v != value]}, "test": {column: [value]}}
        folds.append(_fold(f"{column}-{value}", split, clips, where, ("leave_one_out",)))
    return folds


def _k_fold(wanted: Any, clips: Columns, where: Source | str) -> list[Fold]:
    """Deal the values of a column out to k folds, by a seed, so that the folds have about as many clips each."""
    place = _place(where, ("k_fold",))
    known = {"column": "subject", "folds": 5, "seed": 0}
    if not isinstance(wanted, Mapping) or "column" not in wanted or not set(wanted) <= set(known):
        raise UsageError("not a protocol", where=place, expected="k_fold: {column: subject, folds: 5, seed: 0}")
    column, numbers = str(wanted["column"]), [wanted.get(key, known[key]) for key in ("folds", "seed")]
    if not all(isinstance(number, int) and number >= low for number, low in zip(numbers, (2, 0), strict=True)):
        raise UsageError("not a protocol", where=place, expected="folds of 2 or more, a seed of 0 or more")
    _check_column(column, clips, place)
    count, seed = numbers
    sizes = Counter(clip.get(column, "") for clip in clips)
    values = sorted(sizes, key=_natural)
    if len(values) < count:
        what = f"{count} folds by {column}"
        raise DataError(what, where=place, expected=f"at least {count} values of {column}", found=str(len(values)))
    parts: list[list[str]] = [[] for _ in range(count)]
    shuffled = [values[i] for i in np.random.default_rng([seed, 11]).permutation(len(values))]
    # The largest first, each to the fold that has the fewest clips: folds of nearly one size, whatever the column.
    for value in sorted(shuffled, key=lambda value: -sizes[value]):
        min(parts, key=lambda part: (sum(sizes[v] for v in part), len(part))).append(value)
    folds = []
    for number, part in enumerate(parts, 1):
        split = {"train": {column: [v for v in values if v not in part]}, "test": {column: part}}
        folds.append(_fold(f"fold-{number}", split, clips, where, ("k_fold",)))
    return folds


def _with_less(fold: Fold, less: Any, clips: Columns, place: str) -> Fold:
    """Leave clips out of a fold's training part: all but some values of columns, then all but a share of each label."""
    if not isinstance(less, Mapping) or not set(less) - {"seed"}:
        raise UsageError("not a protocol", where=place, expected="less: {subject: 2, share: 0.5, seed: 0}")
    seed, share = less.get("seed", 0), less.get("share", 1.0)
    if not isinstance(share, int | float) or not 0 < share <= 1 or not isinstance(seed, int) or seed < 0:
        raise UsageError("not a protocol", where=place, expected="a share above 0, at most 1, and a seed of 0 or more")
    kept = fold.train
    for column in (key for key in less if key not in ("share", "seed")):
        _check_column(column, clips, place)
        present = sorted({clips[i].get(column, "") for i in kept}, key=_natural)
        count = less[column]
        if not isinstance(count, int) or not 1 <= count <= len(present):
            expected = f"a number of values of {column} from 1 to {len(present)}, as fold {fold.name} trains on so many"
            raise UsageError("not a protocol", where=place, expected=expected, found=str(count))
        drawn = {present[i] for i in np.random.default_rng([seed, 13]).permutation(len(present))[:count]}
        kept = tuple(i for i in kept if clips[i].get(column, "") in drawn)
    by_label: dict[str, list[int]] = {}
    for i in np.random.default_rng([seed, 17]).permutation(kept).tolist():
        by_label.setdefault(clips[i]["label"], []).append(i)
    shares = [own[: max(1, math.floor(share * len(own) + 0.5))] for own in by_label.values()]
    fewer = replace(fold, train=tuple(sorted(i for own in shares for i in own)))
    _prove(fewer, clips, place)
    return fewer


def _fold(name: str, split: Any, clips: Columns, where: Source | str, prefix: tuple[str, ...]) -> Fold:
    if not isinstance(split, Mapping) or set(split) != set(_SIDES):
        found = ", ".join(map(str, split)) if isinstance(split, Mapping) else repr(split)
        raise UsageError(
            "not a protocol",
            where=_place(where, prefix),
            expected='train: {subject: ["1", "2"]} and test: {subject: ["7"]}, by columns of the index',
            found=found or "nothing",
        )
    sides = {side: _matching(split[side], clips, _place(where, (*prefix, side))) for side in _SIDES}
    fold = Fold(name, sides["train"], sides["test"], _apart(split, _place(where, prefix)))
    _prove(fold, clips, _place(where, prefix))
    return fold


def _matching(wanted: Any, clips: Columns, place: str) -> tuple[int, ...]:
    if not isinstance(wanted, Mapping) or not wanted:
        raise UsageError(
            "names no column", where=place, expected='a column and its values, as in {subject: ["1", "2"]}'
        )
    for column in wanted:
        _check_column(str(column), clips, place)
    values = _values(wanted)
    return tuple(i for i, clip in enumerate(clips) if all(clip.get(c, "") in vs for c, vs in values.items()))


def _values(wanted: Mapping[Any, Any]) -> dict[str, set[str]]:
    return {str(c): {str(v) for v in (vs if isinstance(vs, list) else [vs])} for c, vs in wanted.items()}


def _apart(split: Mapping[str, Any], place: str) -> tuple[str, ...]:
    """Return the columns in which the two sides share no value; there must be one."""
    train, test = _values(split["train"]), _values(split["test"])
    apart = tuple(column for column in test if column in train and not train[column] & test[column])
    if apart:
        return apart
    shared = {column: train[column] & test[column] for column in test if column in train}
    both = "; ".join(f"{column} {', '.join(sorted(values)[:3])}" for column, values in shared.items())
    raise DataError(
        f"{both} is both in the train and the test part" if both else "nothing keeps train and test part apart",
        where=place,
        expected="a column whose train and test values differ, as in subject",
        remedy="a test on what was trained on says nothing: take it out of one side",
    )


def _prove(fold: Fold, clips: Columns, place: str) -> None:
    """Refuse a fold that cannot be right."""
    errors: list[MmtsaError] = []
    for side, positions in (("train", fold.train), ("test", fold.test)):
        if not positions:
            errors.append(DataError(f"no clip in the {side} part of fold {fold.name}", where=place))
    for column in dict.fromkeys(("id", *fold.apart)):
        shared = {clips[i].get(column, "") for i in fold.train} & {clips[i].get(column, "") for i in fold.test}
        if shared:
            some = ", ".join(sorted(shared)[:3])
            errors.append(
                DataError(
                    f"{column} {some} is both in the train and the test part of fold {fold.name}",
                    where=place,
                    remedy="a test on what was trained on says nothing: take it out of one side",
                )
            )
    if "subject" in fold.apart:
        errors += _person_twice(fold, clips, place)
    unseen = {clips[i]["label"] for i in fold.test} - {clips[i]["label"] for i in fold.train}
    if unseen and fold.train:
        errors.append(
            DataError(
                f"label {', '.join(sorted(unseen)[:3])} in the test part of fold {fold.name} that training never saw",
                where=place,
                remedy=f"leave it out with `mmtsa sample --exclude-labels {','.join(sorted(unseen))}`, "
                "or use another protocol",
            )
        )
    if errors:
        raise errors[0]


def _person_twice(fold: Fold, clips: Columns, place: str) -> list[MmtsaError]:
    """Return an error for each person who is on both sides under two spellings: `S1` trains, `s01` tests."""
    train = {clips[i].get("subject", "") for i in fold.train}
    test = {clips[i].get("subject", "") for i in fold.test}
    return [
        DataError(
            f"subjects {' and '.join(same)} look like one person in two spellings, in the train and the test part of "
            f"fold {fold.name}",
            where=place,
            remedy=f"write them alike in {INDEX_NAME}, or more differently",
        )
        for same in two_spellings(sorted(train | test))
        if train & set(same) and test & set(same)
    ]


def _place(where: Source | str, key: tuple[str, ...]) -> str:
    return where.place(key) if isinstance(where, Source) else where
