"""What `check` found so far, kept in the user's cache directory so that nothing is read twice that has not changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmtsa_cli import __version__
from mmtsa_cli.artifacts.cache import cache_directory
from mmtsa_cli.artifacts.directory import replace_file
from mmtsa_cli.recordings.faults import Fault
from mmtsa_cli.recordings.index import Dataset, Recording
from mmtsa_cli.recordings.inspection import Finding, InspectionOptions
from mmtsa_cli.recordings.timing import StampQuality

FileState = tuple[int, int]
"""Bytes and time of change (nanoseconds) of a file."""
_KEPT_JOURNALS = 20


class Journal:
    """A file of one line a recording; lines are added whole, so that a process that dies, or a second one, harms none.

    A cache directory that cannot be written is no fault: nothing is kept then.

    Parameters
    ----------
    index : Path
        The directory of the index: each has one journal.
    """

    def __init__(self, index: Path) -> None:
        name = hashlib.sha256(str(index.resolve()).encode()).hexdigest()[:16]
        self._path = cache_directory() / "check" / f"{name}.jsonl"
        self._stream: int | None = None

    def read(self, keys: Collection[str]) -> dict[str, Finding]:
        """Return what is known of the recordings of these keys; damaged lines are passed over."""
        wanted = set(keys)
        found: dict[str, Finding] = {}
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return found
        for line in lines:
            entry = _entry(line, wanted)
            if entry is not None:
                found[entry[0]] = entry[1]
        return found

    def add(self, findings: Iterable[tuple[str, Finding]]) -> None:
        """Keep findings under their keys, at once."""
        data = b"".join(_line(key, finding) for key, finding in findings)
        try:
            if self._stream is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                # What a process that was killed left unfinished must not swallow the first line.
                data = b"\n" + data
            os.write(self._stream, data)
        except OSError:
            return

    def complete(self, findings: Mapping[str, Finding]) -> None:
        """Put what is known of all recordings in the place of what was gathered, and forget journals long unused."""
        self.close()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, b"".join(_line(key, finding) for key, finding in findings.items()))
            others = sorted(self._path.parent.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
            for path in others[:-_KEPT_JOURNALS]:
                path.unlink(missing_ok=True)
        except OSError:
            return

    def close(self) -> None:
        """Release the file; what was added stays."""
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None


def file_states(paths: Iterable[Path]) -> dict[Path, FileState | None]:
    """Return per file what tells whether it has changed; None where it is not there."""
    states: dict[Path, FileState | None] = {}
    for path in paths:
        if path not in states:
            states[path] = _state(path)
    return states


def key_of(
    dataset: Dataset,
    recording: Recording,
    names: Sequence[str],
    options: InspectionOptions,
    states: Mapping[Path, FileState | None],
) -> str:
    """Return what a finding depends on, as one short text: files, row, description, options, version.

    Where in the index the recording stands, and its label and subject, do not count.
    """
    used = {name: (str(path.absolute()), states[path]) for name, path in recording.paths.items()}
    specs = {name: dataclasses.astuple(dataset.modalities[name]) for name in recording.paths}
    row = (recording.id, recording.start_s, recording.end_s)
    content = json.dumps([__version__, row, list(names), used, specs, dataclasses.astuple(options)])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _state(path: Path) -> FileState | None:
    try:
        status = path.stat()
    except PermissionError:
        # It may be there: reading it will tell.
        return (-1, -1)
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns)


def _line(key: str, finding: Finding) -> bytes:
    content = {
        "faults": [dataclasses.astuple(fault) for fault in finding.faults],
        "duration_s": finding.duration_s,
        "channels": dict(finding.channels),
        "repairs": finding.repairs,
        "stamps": {name: dataclasses.astuple(quality) for name, quality in finding.stamps.items()},
    }
    text = f"{key} {json.dumps(content, separators=(',', ':'))}".encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes, wanted: Collection[str]) -> tuple[str, Finding] | None:
    """Return key and finding of a line; None where it is damaged or not wanted."""
    mark, _, text = line.partition(b" ")
    key = text[:32].decode("ascii", errors="replace")
    if key not in wanted or mark != b"%08x" % zlib.crc32(text):
        return None
    try:
        return key, _finding(json.loads(text[33:]))
    except (ValueError, TypeError, KeyError):
        return None


def _finding(content: dict[str, Any]) -> Finding:
    faults = tuple(
        Fault(severity, row, text, what, where, remedy, tuple(files), recordings)
        for severity, row, text, what, where, remedy, files, recordings in content["faults"]
    )
    stamps = {name: StampQuality(*values) for name, values in content["stamps"].items()}
    return Finding(faults, content["duration_s"], content["channels"], tuple(content["repairs"]), stamps)
