"""`manifest.json`: what made a directory, so that any figure can be traced to its data."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmtsa_cli import __version__
from mmtsa_cli.errors import ArtifactError

SCHEMA = 1
FILE_NAME = "manifest.json"
_TRACED_PACKAGES = ("numpy", "torch", "torchvision", "scipy", "opencv-python-headless", "av")


@dataclass(frozen=True)
class Manifest:
    """What made a directory.

    Attributes
    ----------
    stage : str
        The command that wrote it ("sample").
    configuration : mapping
        Every setting that the result depends on, as JSON values.
    seed : int or None
    inputs : mapping of str to str
        Per input directory its path as given and the SHA-256 of its own manifest, as `{"rec": "sha256:..."}`.
    versions : mapping of str to str
    results : mapping
        What the stage found worth counting (clips, left out, warnings).
    """

    stage: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def same_work(self, other: Manifest) -> bool:
        """Whether both stand for the same result: one stage, configuration, seed and inputs."""
        return self._work() == other._work()

    def differences(self, other: Manifest) -> list[str]:
        """Return the settings in which `other` differs, as "key: mine -> its"."""
        mine, its = _flat(self._work()), _flat(other._work())
        return [
            f"{key}: {mine.get(key)} -> {its.get(key)}"
            for key in sorted({*mine, *its})
            if mine.get(key) != its.get(key)
        ]

    def _work(self) -> dict[str, Any]:
        # Through JSON, so that a tuple set now equals the list that was read back.
        work = {
            "stage": self.stage,
            "configuration": dict(self.configuration),
            "seed": self.seed,
            "inputs": sorted(self.inputs.values()),
        }
        return json.loads(json.dumps(work))


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of the packages that results depend on.

    Reads package metadata only; imports none of them.
    """
    # Takes longer to import than all else here, and most commands that fail early never need it.
    from importlib import metadata

    found = {"mmtsa": __version__, "python": platform.python_version(), "platform": sys.platform}
    for package in _TRACED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `manifest` into `directory`, with the versions of now; an older one stays until the new one is whole."""
    complete = dataclasses.replace(manifest, versions=versions())
    text = json.dumps(dataclasses.asdict(complete), indent=2, ensure_ascii=False) + "\n"
    temporary = directory / f".{FILE_NAME}.partial"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(directory / FILE_NAME)


def read_manifest(directory: Path, *, stage: str | None = None) -> Manifest:
    """Read the manifest of `directory`.

    Raises
    ------
    ArtifactError
        The directory or its manifest is missing, damaged, of a newer schema, or of another stage than `stage`.
    """
    path = directory / FILE_NAME
    made_by = f"a directory made by `mmtsa {stage}`" if stage else "a directory made by mmtsa"
    if not directory.is_dir():
        found = "a file" if directory.exists() else "nothing there"
        partial = directory.with_name(directory.name + ".partial")
        remedy = f"`mmtsa {stage}` has not finished it: run it again" if stage and partial.is_dir() else None
        raise ArtifactError("no such directory", where=str(directory), expected=made_by, found=found, remedy=remedy)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(**raw)
        _check_types(manifest)
    except FileNotFoundError:
        raise ArtifactError(f"no {FILE_NAME}", where=str(directory), expected=made_by) from None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ArtifactError("damaged", where=str(path), found=str(error), remedy="make the directory anew") from None
    if manifest.schema > SCHEMA:
        raise ArtifactError(
            "made by a newer mmtsa",
            where=str(path),
            expected=f"schema {SCHEMA} or older",
            found=f"schema {manifest.schema}",
            remedy="update mmtsa",
        )
    if stage and manifest.stage != stage:
        raise ArtifactError(
            "not what this command reads",
            where=str(directory),
            expected=made_by,
            found=f"the result of {manifest.stage}",
        )
    return manifest


def _check_types(manifest: Manifest) -> None:
    mappings = ("configuration", "inputs", "versions", "results")
    texts = [manifest.stage, *manifest.inputs.values()] if isinstance(manifest.inputs, dict) else [manifest.stage]
    wrong = [name for name in mappings if not isinstance(getattr(manifest, name), dict)]
    wrong += ["stage or inputs"] * (not all(isinstance(text, str) for text in texts))
    wrong += ["seed"] * (not isinstance(manifest.seed, int | None))
    wrong += ["schema"] * (not isinstance(manifest.schema, int))
    if wrong:
        raise ValueError(f"{wrong[0]} is not what it should be")


def fingerprint(directory: Path) -> str:
    """Return `sha256:...` of a directory's manifest: the name under which later stages cite it.

    Raises
    ------
    ArtifactError
        There is no manifest.
    """
    read_manifest(directory)
    return "sha256:" + hashlib.sha256((directory / FILE_NAME).read_bytes()).hexdigest()


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat.update(_flat(inner, f"{prefix}.{key}" if prefix else str(key)))
    return flat
