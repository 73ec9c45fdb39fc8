"""Shards: parts of a stage's work that machines do apart, and their directories, which `merge` makes one of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from mmtsa_cli.artifacts.manifest import Manifest, read_manifest
from mmtsa_cli.errors import ArtifactError, UsageError

T = TypeVar("T")
STAGE = "sample-shard"
"""Of their manifests: no other stage takes a shard for a whole store."""
_KEY = "shard"


@dataclass(frozen=True, order=True)
class Shard:
    """One of `count` parts that are as good as equally long: number 1 to `count`."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """Return its part, in order: the parts one after the other are the whole.

        Raises
        ------
        UsageError
            There are fewer items than shards.
        """
        if len(items) < self.count:
            raise UsageError("more shards than recordings", where=f"--shard {self}", expected=f"at most {len(items)}")
        first, after = (len(items) * number // self.count for number in (self.number - 1, self.number))
        return items[first:after]


def read_shard(text: str) -> Shard:
    """Return what `I/N` says.

    Raises
    ------
    UsageError
        It is no such text, or I is not from 1 to N.
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    shard = Shard(int(found[1]), int(found[2])) if found else None
    if shard is None or not 1 <= shard.number <= shard.count:
        raise UsageError("no shard", where=f"--shard {text}", expected="I/N with I from 1 to N, as in 2/8")
    return shard


def shard_manifest(whole: Manifest, shard: Shard) -> Manifest:
    """Return the manifest of a shard of the directory that `whole` is of."""
    return replace(whole, stage=STAGE, configuration={**whole.configuration, _KEY: str(shard)})


def whole_manifest(directories: Sequence[Path], stage: str) -> tuple[list[Path], Manifest]:
    """Return shards in their order, and the manifest of the directory that they make.

    Raises
    ------
    UsageError
        Shards are missing, twice there, or of different work.
    ArtifactError
        A directory is no shard.
    """
    found = {directory: read_manifest(directory) for directory in directories}
    for directory, manifest in found.items():
        if manifest.stage != STAGE:
            raise ArtifactError(
                "no shard", where=str(directory), expected="made with --shard", found=f"the result of {manifest.stage}"
            )
    wholes = {directory: _without_shard(manifest, stage) for directory, manifest in found.items()}
    first = directories[0]
    for directory in directories[1:]:
        if not wholes[first].same_work(wholes[directory]):
            changed = "; ".join(wholes[first].differences(wholes[directory])[:3])
            raise UsageError(f"shards of different work ({changed})", where=f"{first}, {directory}")
    return _in_order({directory: read_shard(manifest.configuration[_KEY]) for directory, manifest in found.items()}), (
        wholes[first]
    )


def _without_shard(manifest: Manifest, stage: str) -> Manifest:
    configuration = {key: value for key, value in manifest.configuration.items() if key != _KEY}
    return replace(manifest, stage=stage, configuration=configuration, results={})


def _in_order(shards: Mapping[Path, Shard]) -> list[Path]:
    counts = sorted({shard.count for shard in shards.values()})
    if len(counts) > 1:
        raise UsageError(
            "shards of different cuts",
            where=", ".join(str(directory) for directory in shards),
            expected="the same N in every I/N",
            found=", ".join(f"N = {count}" for count in counts),
        )
    by_number: dict[int, list[Path]] = {}
    for directory, shard in shards.items():
        by_number.setdefault(shard.number, []).append(directory)
    twice = [paths for paths in by_number.values() if len(paths) > 1]
    if twice:
        number = shards[twice[0][0]]
        where = ", ".join(map(str, twice[0]))
        raise UsageError(f"shard {number} is there twice", where=where, remedy="name one of them")
    missing = [str(Shard(n, counts[0])) for n in range(1, counts[0] + 1) if n not in by_number]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise UsageError(
            "shards are missing",
            where=", ".join(str(directory) for directory in list(shards)[:3]),
            expected=f"{counts[0]} shards",
            found=f"no {', '.join(missing[:5])}{more}",
            remedy="make them with the same command and --shard",
        )
    return [by_number[number][0] for number in sorted(by_number)]
