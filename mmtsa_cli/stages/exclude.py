"""An index without the recordings in which `check` found an error."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmtsa_cli.artifacts.directory import check_output, new_directory
from mmtsa_cli.artifacts.manifest import Manifest, read_manifest
from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.recordings.index import fingerprint_index, read_index, write_index
from mmtsa_cli.stages.check import CheckResult
from mmtsa_cli.stages.result import StageResult

_KEPT_REASONS = 1000


def check_place(output: Path) -> None:
    """Refuse a directory that is not ours to write, before the long work that comes first.

    Raises
    ------
    UsageError
    """
    _state(output, Manifest("check"), overwrite=True)


def run(
    recordings: Path, result: CheckResult, output: Path, *, root: Path | None = None, overwrite: bool = False
) -> StageResult:
    """Write `index.csv` and `dataset.yaml` of the recordings without an error; their files stay where they are.

    Parameters
    ----------
    recordings : Path
        The index that was checked.
    result : CheckResult
        What was found in it.
    output : Path
    root : Path, optional
        As of the check; the new index needs none.

    Returns
    -------
    StageResult
        Facts: recordings, left_out, why (id and error of those left out, the first thousand).

    Raises
    ------
    DataError
        Every recording has an error.
    UsageError, ArtifactError
        The output is not ours, was made of other recordings, or cannot be written.
    """
    dataset = read_index(recordings, root=root)
    sound = [recording for recording in dataset.recordings if recording.id not in result.bad]
    if not sound:
        raise DataError(
            "every recording has an error, so there is no index to write",
            where=f"--exclude-bad {output}",
            remedy="see what to fix first",
        )
    kept = _fingerprint([recording.id for recording in sound])
    configuration = {"recordings": len(sound), "kept": kept, "root": str(root) if root else None}
    manifest = Manifest("check", configuration, None, {str(recordings): fingerprint_index(recordings)})
    if _state(output, manifest, overwrite=overwrite) == "done":
        return StageResult(output, False, dict(read_manifest(output).results))
    facts: dict[str, Any] = {
        "recordings": len(sound),
        "left_out": len(result.bad),
        "why": dict(list(result.bad.items())[:_KEPT_REASONS]),
    }
    with new_directory(output, manifest, results=facts) as partial:
        # Nothing lies below the new directory, so that every path is written in full.
        write_index(replace(dataset, root=partial, recordings=tuple(sound)), partial)
    return StageResult(output, True, facts)


def _state(output: Path, manifest: Manifest, *, overwrite: bool) -> str:
    try:
        return check_output(output, manifest, overwrite=overwrite)
    except UsageError as error:
        raise UsageError(error.what, where=f"--exclude-bad {output}", remedy=error.remedy) from None


def _fingerprint(ids: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]
