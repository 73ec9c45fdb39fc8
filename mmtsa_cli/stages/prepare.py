"""Make an index over a dataset as its authors ship it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import check_output, new_directory, partial_path
from mmtsa_cli.artifacts.manifest import Manifest, read_manifest
from mmtsa_cli.artifacts.unchanged import states_of, unchanged
from mmtsa_cli.errors import DataError, MmtsaError, UsageError
from mmtsa_cli.modalities import select
from mmtsa_cli.recordings.datasets.adapter import Adapter, Scan, ScanOptions, Skipped
from mmtsa_cli.recordings.datasets.registry import ADAPTERS, adapter_of
from mmtsa_cli.recordings.datasets.tree import FileTree, list_files
from mmtsa_cli.recordings.index import Dataset, Recording, write_index
from mmtsa_cli.stages.result import StageResult

Progress = Callable[[int, int], None]
UNPACKED = "files"
"""The folder of the output that archives are unpacked into."""
_KEPT_SKIPPED = 1000
_SHOWN = 3


def run(
    dataset: str,
    directory: Path,
    output: Path,
    *,
    options: ScanOptions | None = None,
    modalities: Sequence[str] | None = None,
    unpack: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> StageResult:
    """Write `index.csv` and `dataset.yaml` for the files of a dataset, where they lie; copy nothing.

    Parameters
    ----------
    dataset : str
        A name in `recordings.datasets.registry`.
    directory : Path
        Where the dataset was downloaded to: its folders, its archives, or a single archive.
    output : Path
    options : ScanOptions, optional
    modalities : sequence of str, optional
        Names or groups to index; None: all that are there.
    unpack : bool
        Unpack the archives below `directory` into the output; nothing is written beside the archives.
    progress : callable
        Takes the bytes of archives read so far, and all.

    Returns
    -------
    StageResult
        Facts: recordings, subjects, labels, sessions, files of each modality, not_recorded, not_found, of_the_whole
        (part of the published recordings), skipped (count by reason), skipped_files, protocols (folds, or why it cannot
        be used), default_protocol, notes, warnings, by_label, by_subject, by_session.

    Raises
    ------
    UsageError
        No such dataset, an option that it does not take, or something that is not ours in the way.
    DataError
        `directory` does not hold the dataset, or an archive is damaged or not to be trusted.
    ArtifactError
        The output cannot be written; nothing of it stays.
    """
    adapter = adapter_of(dataset)
    options = options or ScanOptions()
    _check_options(adapter, options)
    tree = _listed(directory, output)
    _check_packed(adapter, directory, tree, unpack)
    configuration = {
        "dataset": dataset,
        "directory": str(directory.resolve()),
        "files": tree.fingerprint(),
        "options": asdict(options),
        "modalities": list(modalities) if modalities else None,
        "unpack": unpack,
    }
    manifest = Manifest("prepare", configuration)
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return StageResult(output, False, dict(read_manifest(output).results))
    facts: dict[str, Any] = {}
    with new_directory(output, manifest, results=facts) as partial:
        if unpack:
            tree = tree.joined(_unpacked(tree, partial / UNPACKED, progress))
        scan = _without_empty(adapter.scan(tree, options), tree, adapter.modalities)
        if not scan.recordings:
            raise _nothing_found(adapter, directory, tree, scan)
        found = _dataset(adapter, partial, scan, modalities)
        found, protocols = _with_usable_protocol(found)
        write_index(found, partial)
        scan = replace(scan, notes=(*scan.notes, *_kept_for_timing(found, modalities)))
        facts.update(_facts(adapter, found, scan, tree, protocols))
    return StageResult(output, True, facts)


def layouts() -> dict[str, str]:
    """Return per known dataset the files that are looked for."""
    return {name: adapter.expected_layout for name, adapter in ADAPTERS.items()}


def _check_options(adapter: Adapter, options: ScanOptions) -> None:
    """Refuse an option that this dataset would silently pass over."""
    for name, value in asdict(options).items():
        if value != getattr(ScanOptions(), name) and name not in adapter.options:
            takers = [other.name for other in ADAPTERS.values() if name in other.options]
            option = {"mapping": "--map", "clip_s": "--clip", "overlap_s": "--overlap"}.get(name, f"--{name}")
            raise UsageError(
                f"{adapter.name} takes no {option.replace('_', '-')}",
                where=option.replace("_", "-"),
                expected=f"one of {', '.join(takers)}" if takers else None,
                remedy="leave it out",
            )


def _listed(directory: Path, output: Path) -> FileTree:
    if not directory.exists():
        raise DataError("no such directory", where=str(directory), expected="the dataset as it was downloaded")
    return list_files(directory, leave_out=(output, partial_path(output)))


def _check_packed(adapter: Adapter, directory: Path, tree: FileTree, unpack: bool) -> None:
    if unpack and not tree.archives:
        found = _content(directory)
        raise UsageError("no archive to unpack", where="--unpack", expected=".zip or .tar.gz", found=found)
    if not unpack and tree.archives and len(tree.archives) == len(tree.files):
        raise DataError(
            f"the files of {adapter.name} are packed",
            where=str(directory),
            found=_some(tree.archives),
            remedy="give --unpack to unpack them into the output, or unpack them yourself",
        )


def _unpacked(tree: FileTree, destination: Path, progress: Progress) -> FileTree:
    """Unpack each archive below the folder that it lies in, and list what came out."""
    from mmtsa_cli.recordings.datasets.archives import unpack

    total = sum(tree.sizes[name] for name in tree.archives)
    done = 0
    for name in tree.archives:
        before = done
        # Archives of one folder fill one folder, as they would if they were unpacked by hand.
        with unchanged(states_of([tree.files[name]])):
            unpack(
                tree.files[name],
                destination / Path(name).parent,
                progress=lambda read, _, before=before: progress(before + read, total),  # type: ignore[misc]
            )
        done += tree.sizes[name]
    return list_files(destination)


def _without_empty(scan: Scan, tree: FileTree, modalities: Mapping[str, Any]) -> Scan:
    """Take files of no bytes for what they are: of a sensor not recorded, of a video half a download, which is told."""
    specs = scan.modalities or modalities
    names = {path: name for name, path in tree.files.items()}
    empty = {path for name, path in tree.files.items() if not tree.sizes[name]}
    if not empty:
        return scan
    dropped: dict[Path, None] = {}
    kept: dict[Path, None] = {}
    recordings = []
    for recording in scan.recordings:
        gone = [name for name, path in recording.paths.items() if path in empty]
        sensors = [name for name in gone if specs[name].kind == "sensor"]
        dropped.update(dict.fromkeys(recording.paths[name] for name in sensors))
        kept.update(dict.fromkeys(recording.paths[name] for name in gone if name not in sensors))
        paths = {name: path for name, path in recording.paths.items() if name not in sensors}
        if paths:
            recordings.append(replace(recording, paths=paths) if sensors else recording)
    skipped = (*scan.skipped, *(Skipped(names.get(path, str(path)), "empty (0 bytes)") for path in dropped))
    warnings = scan.warnings
    if kept:
        some = _some([names.get(path, str(path)) for path in kept])
        warnings = (*warnings, f"half a download: {len(kept)} empty videos (0 bytes): {some}; download them again")
    return replace(scan, recordings=tuple(recordings), skipped=skipped, warnings=warnings)


def _nothing_found(adapter: Adapter, directory: Path, tree: FileTree, scan: Scan) -> DataError:
    why = Counter(skipped.why for skipped in scan.skipped)
    found = ", ".join(f"{count} x {reason}" for reason, count in why.most_common(3)) or _content(directory)
    remedy = None
    if tree.archives:
        remedy = f"give --unpack if they are in {_some(tree.archives)}"
    elif tree.unfinished:
        remedy = f"half a download: {_some(tree.unfinished)}; download it to its end"
    return DataError(
        f"no recordings of {adapter.name}",
        where=str(directory),
        expected=adapter.expected_layout,
        found=found,
        remedy=remedy,
    )


def _dataset(adapter: Adapter, root: Path, scan: Scan, modalities: Sequence[str] | None) -> Dataset:
    # A modality of which nothing was found (the colour videos are a download of their own) is none of this copy's.
    specs = scan.modalities or adapter.modalities
    present = {name: spec for name, spec in specs.items() if any(name in r.paths for r in scan.recordings)}
    recordings: Iterable[Recording] = scan.recordings
    if modalities:
        chosen = select(modalities, {name: spec.kind for name, spec in present.items()})
        timing = {present[name].spans for name in chosen}
        present = {name: spec for name, spec in present.items() if name in chosen or name in timing}
        recordings = (
            replace(recording, paths={name: path for name, path in recording.paths.items() if name in present})
            for recording in recordings
        )
        recordings = [recording for recording in recordings if recording.paths]
    present = {
        # What is spanned may be no part of this copy.
        name: replace(spec, spans=None) if spec.spans and spec.spans not in present and spec.rate else spec
        for name, spec in present.items()
    }
    return Dataset(
        name=adapter.name,
        root=root,
        modalities=present,
        recordings=tuple(recordings),
        protocols=adapter.protocols if scan.protocols is None else scan.protocols,
        default_protocol=adapter.default_protocol,
        notes={"citation": adapter.citation},
    )


def _kept_for_timing(dataset: Dataset, modalities: Sequence[str] | None) -> list[str]:
    """Return a note for each modality that nobody asked for, but that one asked for takes its times from."""
    asked = set(select(modalities, dataset.kinds())) if modalities else set(dataset.modalities)
    notes = []
    for name in dataset.modalities:
        timed = [other for other, spec in dataset.modalities.items() if spec.spans == name and other in asked]
        if name not in asked and timed:
            notes.append(f"{name} is in the index too, to time {' and '.join(timed)}")
    return notes


def _with_usable_protocol(dataset: Dataset) -> tuple[Dataset, list[dict[str, str]]]:
    """Return the data with a default protocol that these recordings can follow, and what there is to say of each."""
    from mmtsa_cli.sampling.protocols import resolve

    columns = [{**r.columns, "id": r.id, "label": r.label} for r in dataset.recordings]
    said = []
    usable = []
    for name, definition in dataset.protocols.items():
        try:
            folds = resolve(name, columns, published=dataset.protocols).folds
        except MmtsaError as error:
            clips = f"cannot be used: {error.what}"
        else:
            sizes = f"{len(folds[0].train)} train, {len(folds[0].test)} test"
            clips = f"{len(folds)} folds" if len(folds) > 1 else sizes
            usable.append(name)
        said.append({"protocol": name, "clips": clips, "source": str(definition.get("source", ""))})
    default = dataset.default_protocol if dataset.default_protocol in usable else next(iter(usable), None)
    return replace(dataset, default_protocol=default), said


def _facts(
    adapter: Adapter, dataset: Dataset, scan: Scan, tree: FileTree, protocols: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    from mmtsa_cli.recordings.checks import index_faults

    recordings = dataset.recordings
    files = Counter(name for recording in recordings for name in recording.paths)
    known = adapter.modalities or dataset.modalities
    return {
        "recordings": len(recordings),
        "of_the_whole": f"{len(recordings)} of {adapter.clips}" if adapter.clips else None,
        "subjects": len({recording.subject for recording in recordings if recording.subject}) or None,
        "labels": len({recording.label for recording in recordings}),
        "sessions": len({recording.columns.get("session", "") for recording in recordings} - {""}) or None,
        "files": {name: files[name] for name in dataset.modalities if files[name]},
        "not_recorded": {name: len(recordings) - files[name] for name in files if files[name] < len(recordings)},
        "not_found": [name for name in known if not files[name]],
        "skipped": dict(Counter(skipped.why for skipped in scan.skipped).most_common()),
        "protocols": [dict(protocol) for protocol in protocols],
        "default_protocol": dataset.default_protocol,
        "notes": list(scan.notes),
        "warnings": [*scan.warnings, *_unfinished(tree), *(fault.text for fault in index_faults(dataset))],
        "by_label": _by(dataset, "label"),
        "by_subject": _by(dataset, "subject"),
        "by_session": _by(dataset, "session"),
        "skipped_files": [asdict(skipped) for skipped in scan.skipped[:_KEPT_SKIPPED]],
    }


def _by(dataset: Dataset, column: str) -> list[dict[str, Any]]:
    """Return per value of a column its recordings, and how many there are of each modality."""
    groups: dict[str, list[Recording]] = defaultdict(list)
    named = [other for other in ("label", "subject", "session") if any(_value(r, other) for r in dataset.recordings)]
    for recording in dataset.recordings:
        if value := _value(recording, column):
            groups[value].append(recording)
    rows = []
    for value, its in groups.items():
        row: dict[str, Any] = {column: value, "recordings": len(its)}
        for other in named:
            if other != column:
                row[f"{other}s"] = len({_value(r, other) for r in its} - {""})
        rows.append({**row, **{name: sum(name in r.paths for r in its) for name in dataset.modalities}})
    return rows


def _value(recording: Recording, column: str) -> str:
    return recording.label if column == "label" else recording.columns.get(column, "")


def _unfinished(tree: FileTree) -> list[str]:
    if not tree.unfinished:
        return []
    return [f"half a download: {_some(tree.unfinished)}; download them to their end"]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _content(directory: Path) -> str:
    if not directory.is_dir():
        return "a file"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in directory.iterdir())
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "an empty directory"
