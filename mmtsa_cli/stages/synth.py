"""Synthetic recordings with known answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from mmtsa_cli.artifacts.directory import check_output, new_directory
from mmtsa_cli.artifacts.manifest import Manifest, read_manifest
from mmtsa_cli.stages.parallel import in_parallel
from mmtsa_cli.stages.result import StageResult

Progress = Callable[[int, int], None]


def run(
    output: Path,
    *,
    subjects: int = 8,
    repeats: int = 3,
    size: int = 128,
    seconds: float = 6.0,
    gestures: int = 0,
    wear: Literal["usual", "anywhere"] = "usual",
    video: bool = True,
    seed: int = 0,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> StageResult:
    """Make synthetic recordings: MP4 and CSV files, an index, and what can be known of them at best.

    Parameters
    ----------
    output : Path
    subjects, repeats, size, seconds, gestures, wear, video
        See `SynthesisOptions`.
    seed : int
        The same seed gives the same bytes, whatever `jobs` is.
    jobs : int, optional
        Processes; None: one a core.

    Returns
    -------
    StageResult
        Facts: clips, activities, subjects, sessions, seconds and frames of a clip, megabytes, and the ceilings, the
        best possible accuracy of video alone, of sensors alone and of both; None where they are not known.

    Raises
    ------
    UsageError
        A value out of range, or something that is not ours in the way.
    ArtifactError
        The directory cannot be written; nothing of it stays.
    """
    from mmtsa_cli.recordings.index import write_index
    from mmtsa_cli.recordings.synthesis import generator

    options = generator.SynthesisOptions(subjects, repeats, size, seconds, gestures, wear, video)
    generator.check(options)
    manifest = Manifest("synth", asdict(options), seed)
    if check_output(output, manifest, overwrite=overwrite) == "done":
        return StageResult(output, False, dict(read_manifest(output).results))
    facts: dict[str, Any] = {}
    with new_directory(output, manifest, results=facts) as directory:
        clips = generator.plan(options, seed=seed)
        tasks = [(clip, directory, options) for clip in clips]
        with in_parallel(generator.write_clip, tasks, jobs=jobs) as written:
            for done, _ in enumerate(written, start=1):
                progress(done, len(clips))
        write_index(generator.describe(options, directory, seed=seed), directory)
        facts.update(generator.facts(options), megabytes=_megabytes(directory))
    return StageResult(output, True, facts)


def _megabytes(directory: Path) -> float:
    return round(sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 1e6, 1)
