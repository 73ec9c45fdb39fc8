"""Directories of other stages to one HTML page: what came out, how far it can be trusted, how to make it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.artifacts.manifest import FILE_NAME, Manifest, fingerprint, read_manifest
from mmtsa_cli.errors import ArtifactError, MmtsaError, UsageError
from mmtsa_cli.reporting.page import GENERATOR, Section, render
from mmtsa_cli.stages.pages import evaluation, training
from mmtsa_cli.stages.pages.files import read_json, sound
from mmtsa_cli.stages.pages.origins import origin_of
from mmtsa_cli.stages.pages.pictures import sheets_of
from mmtsa_cli.stages.result import StageResult

Progress = Callable[[int, int], None]
_ENDINGS = (".html", ".htm")
_TITLE = "Human activity recognition: report"


def run(
    directories: Sequence[Path],
    output: Path,
    *,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> StageResult:
    """Write a report.

    Parameters
    ----------
    directories : sequence of Path
        Of `STAGES`; evaluations come first on the page, then trainings, benchmarks and ablations, each in the order
        given. One that is given twice is shown once.
    output : Path
        An `.html` file. One that is there already and holds just this page is left as it is.
    overwrite : bool
        Replace an older report; a file that is no report never is.

    Returns
    -------
    StageResult
        Facts: `directories` (path and stage), `bytes`, `pictures`, `notes`.

    Raises
    ------
    UsageError, ArtifactError
    """
    _check_output(output)
    sources = _opened(directories)
    sections: list[Section] = []
    notes: list[str] = []
    for name, (directory, manifest) in zip(_names(sources), sources, strict=True):
        with sound(directory / FILE_NAME, manifest.stage):
            section = _READERS[manifest.stage](directory, manifest, notes)
        sections.append(replace(section, title=f"{section.title} {name}"))
        progress(len(sections), len(sources))
    page = render(_TITLE, sections)
    facts = {
        "directories": [{"path": str(directory), "stage": manifest.stage} for directory, manifest in sources],
        "bytes": len(page),
        "pictures": sum(one.sheet is not None for section in sections for one in section.mistakes),
        "notes": notes,
    }
    return StageResult(output, _write(output, page, overwrite), facts)


# What is read


def _opened(directories: Sequence[Path]) -> list[tuple[Path, Manifest]]:
    """Return directories and their manifests, in the order of the page, each once."""
    known = {path.resolve(): path for path in reversed(directories)}
    found = [(path, _manifest(path)) for path in sorted(known.values(), key=list(directories).index)]
    return sorted(found, key=lambda source: STAGES.index(source[1].stage))


def _manifest(directory: Path) -> Manifest:
    expected = f"a directory made by mmtsa {', '.join(STAGES[:-1])} or {STAGES[-1]}"
    partial = directory.with_name(directory.name + ".partial")
    if directory.name.endswith(".partial") or (not directory.exists() and partial.is_dir()):
        where = directory if directory.name.endswith(".partial") else partial
        remedy = "give the command that was writing it again, and report on what it makes"
        raise ArtifactError("not finished", where=str(where), expected=expected, remedy=remedy)
    if directory.is_file():
        raise UsageError("a file", where=str(directory), expected=expected)
    if directory.is_dir() and not (directory / FILE_NAME).is_file():
        raise UsageError(f"no {FILE_NAME}", where=str(directory), expected=expected)
    manifest = read_manifest(directory)
    if manifest.stage not in STAGES:
        raise UsageError(
            "nothing that a report shows", where=str(directory), expected=expected, found=f"one of {manifest.stage}"
        )
    return manifest


def _names(sources: Sequence[tuple[Path, Manifest]]) -> list[str]:
    """Return what each directory is called on the page: its name, or its path where another has the same name."""
    names = [directory.absolute().name for directory, _ in sources]
    times = Counter(names)
    return [name if times[name] == 1 else str(path) for name, (path, _) in zip(names, sources, strict=True)]


def _evaluated(directory: Path, manifest: Manifest, notes: list[str]) -> Section:
    path = directory / "metrics.json"
    metrics = read_json(path, evaluation.STAGE)
    with sound(path, evaluation.STAGE):
        classes = [str(name) for name in metrics["classes"]]
        section = Section(
            manifest.stage,
            str(directory),
            "Evaluation",
            origin_of(directory, manifest, trained=_run_of(manifest)),
            evaluation.lead(metrics),
            evaluation.figures(metrics),
            evaluation.remarks(metrics),
            evaluation.fold_table(metrics),
            classes=evaluation.class_scores(metrics),
        )
        charts, tables = evaluation.conditions(metrics)
        count = int(metrics["n"])
    said = evaluation.read_predictions(directory / "predictions.csv", classes, count=count)
    diagrams, below, calibration = evaluation.reliability(directory, said, metrics)
    section = replace(
        section,
        confusion=evaluation.confusion(said),
        robustness=charts,
        condition_tables=tables,
        reliability=diagrams,
        reliability_below=below,
        calibration=calibration,
    )
    return _with_mistakes(section, said, metrics, manifest, notes)


def _with_mistakes(
    section: Section,
    said: evaluation.Predictions,
    metrics: Mapping[str, Any],
    manifest: Manifest,
    notes: list[str],
) -> Section:
    mistakes = evaluation.worst(said)
    ids = [one.clip for one in mistakes]
    pictures, why_none = sheets_of(ids, manifest, _run_of(manifest), modalities=metrics.get("modalities"))
    if why_none:
        notes.append(f"{section.path}: no pictures of mistakes: {why_none}")
    return replace(
        section,
        mistakes=[replace(one, sheet=pictures.get(one.clip)) for one in mistakes],
        mistakes_below=evaluation.mistakes_sentence(said, len(mistakes), pictures, why_none),
    )


def _run_of(manifest: Manifest) -> Manifest | None:
    """Return the manifest of the run that an evaluation is of, if it is still where and what it was."""
    path, mark = next(iter(manifest.inputs.items()))
    try:
        return read_manifest(Path(path), stage="train") if fingerprint(Path(path)) == mark else None
    except MmtsaError:
        return None


def _trained(directory: Path, manifest: Manifest, notes: list[str]) -> Section:
    return Section(
        manifest.stage,
        str(directory),
        "Training",
        origin_of(directory, manifest),
        training.lead_of(manifest),
        tables=[training.fold_facts(manifest)],
        curves=training.curves_of(directory, manifest),
    )


def _tabled(directory: Path, manifest: Manifest, notes: list[str]) -> Section:
    # The manifest of a benchmark that is not finished has nothing to tell.
    tables = training.tables_of(directory, manifest)
    return Section(
        manifest.stage,
        str(directory),
        "Benchmark" if manifest.stage == "benchmark" else "Ablation",
        origin_of(directory, manifest),
        training.lead_of(manifest),
        tables=tables,
        picture=training.accuracy_picture(directory),
        picture_says="Accuracy and time of one clip, by system, with 95 % intervals",
    )


_READERS: Mapping[str, Callable[[Path, Manifest, list[str]], Section]] = {
    "eval": _evaluated,
    "train": _trained,
    "benchmark": _tabled,
    "ablate": _tabled,
}
STAGES = tuple(_READERS)
"""Stages whose directories a report shows, in their order on the page."""


# What is written


def _check_output(output: Path) -> None:
    where = f"--output {output}"
    if output.suffix.lower() not in _ENDINGS:
        raise UsageError("not the name of a page", where=where, expected="one that ends in .html")
    if output.is_dir():
        raise UsageError("a directory", where=where, expected="the name of a file", remedy="name another one")
    if output.exists() and not _is_report(output):
        remedy = "name a file that does not exist"
        raise UsageError("exists and is no report of mmtsa, left as it is", where=where, remedy=remedy)


def _is_report(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return f'name="generator" content="{GENERATOR} '.encode() in stream.read(1000)
    except OSError:
        return False


def _write(output: Path, page: bytes, overwrite: bool) -> bool:
    """Write the page; return whether it was not there yet."""
    try:
        if output.exists() and output.read_bytes() == page:
            return False
        if output.exists() and not overwrite:
            raise UsageError(
                "holds a report of other results",
                where=f"--output {output}",
                remedy="give --overwrite to replace it, or name another file",
            )
        output.parent.mkdir(parents=True, exist_ok=True)
        replace_file(output, page)
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise ArtifactError(what, where=f"--output {output}", remedy="name another place") from None
    return True
