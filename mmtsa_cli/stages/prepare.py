"""Make an index over a dataset as its authors ship it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import check_output, new_directory
from mmtsa_cli.artifacts.manifest import Manifest, read_manifest
from mmtsa_cli.errors import DataError
from mmtsa_cli.recordings.datasets.adapter import Adapter
from mmtsa_cli.recordings.datasets.registry import ADAPTERS, adapter_of
from mmtsa_cli.recordings.index import Dataset, Recording, write_index
from mmtsa_cli.stages.result import StageResult


def run(dataset: str, directory: Path, output: Path, *, overwrite: bool = False) -> StageResult:
    """Write `index.csv` and `dataset.yaml` for the files of a published dataset, where they lie; copy nothing.

    Parameters
    ----------
    dataset : str
        A name in `recordings.datasets.registry`.
    directory : Path
        Where the dataset was unpacked.
    output : Path

    Returns
    -------
    StageResult
        Facts: recordings, subjects, labels, files of each modality, and how many recordings lack one that others have.

    Raises
    ------
    UsageError
        No such dataset, or something that is not ours in the way.
    DataError
        `directory` does not hold the dataset.
    ArtifactError
        The output cannot be written; nothing of it stays.
    """
    adapter = adapter_of(dataset)
    recordings = tuple(adapter.scan(directory)) if directory.is_dir() else ()
    if not recordings:
        raise DataError(
            f"no recordings of {dataset}",
            where=str(directory),
            expected=adapter.expected_layout,
            found=_content(directory),
        )
    configuration = {"dataset": dataset, "directory": str(directory.resolve()), "files": _fingerprint(recordings)}
    manifest = Manifest("prepare", configuration)
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return StageResult(output, False, dict(read_manifest(output).results))
    facts: dict[str, Any] = {}
    with new_directory(output, manifest, results=facts) as partial:
        write_index(_dataset(adapter, partial, recordings), partial)
        facts.update(_facts(adapter, recordings))
    return StageResult(output, True, facts)


def layouts() -> dict[str, str]:
    """Return per known dataset the files that are looked for."""
    return {name: adapter.expected_layout for name, adapter in ADAPTERS.items()}


def _dataset(adapter: Adapter, root: Path, recordings: Sequence[Recording]) -> Dataset:
    # A modality of which nothing was found (the colour videos are a download of their own) is none of this copy's.
    present = {name: spec for name, spec in adapter.modalities.items() if any(name in r.paths for r in recordings)}
    return Dataset(
        name=adapter.name,
        root=root,
        modalities=present,
        recordings=tuple(recordings),
        protocols=adapter.protocols,
        default_protocol=adapter.default_protocol,
        notes={"citation": adapter.citation},
    )


def _facts(adapter: Adapter, recordings: Sequence[Recording]) -> dict[str, Any]:
    files = Counter(name for recording in recordings for name in recording.paths)
    return {
        "recordings": len(recordings),
        "subjects": len({recording.subject for recording in recordings}),
        "labels": len({recording.label for recording in recordings}),
        "files": {name: files[name] for name in adapter.modalities if files[name]},
        "not_recorded": {name: len(recordings) - files[name] for name in files if files[name] < len(recordings)},
        "not_found": [name for name in adapter.modalities if not files[name]],
        "default_protocol": adapter.default_protocol,
    }


def _fingerprint(recordings: Sequence[Recording]) -> str:
    digest = hashlib.sha256()
    for recording in recordings:
        digest.update(
            f"{recording.id} {sorted((name, str(path)) for name, path in recording.paths.items())}\n".encode()
        )
    return "sha256:" + digest.hexdigest()


def _content(directory: Path) -> str:
    if not directory.is_dir():
        return "a file" if directory.exists() else "no such directory"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in directory.iterdir())
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "an empty directory"
