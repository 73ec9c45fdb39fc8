"""What every dataset adapter must keep to, checked on a tiny tree of its native layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmtsa_cli.modalities import KNOWN_KINDS
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.datasets.adapter import Adapter, Scan, ScanOptions
from mmtsa_cli.recordings.datasets.tree import list_files
from mmtsa_cli.recordings.index import Dataset, Recording, read_index, write_index
from tests.trees.own import content

Check = Callable[[Adapter, Path], None]


def checks() -> Iterator[Check]:
    """Yield every check of this module."""
    yield from (value for name, value in sorted(globals().items()) if name.startswith("check_"))


def scan(adapter: Adapter, root: Path) -> Scan:
    return adapter.scan(list_files(root), ScanOptions())


def scanned(adapter: Adapter, root: Path) -> list[Recording]:
    return list(scan(adapter, root).recordings)


def check_it_finds_recordings_and_only_in_its_own_layout(adapter: Adapter, root: Path) -> None:
    assert len(scanned(adapter, root)) >= 2
    other = root.parent / "other"
    (other / "papers").mkdir(parents=True)
    (other / "papers" / "thesis.pdf").touch()
    (other / "notes.txt").write_text("to do\n")
    assert scanned(adapter, other) == []


def check_recordings_are_whole(adapter: Adapter, root: Path) -> None:
    found = scanned(adapter, root)
    assert len({recording.id for recording in found}) == len(found)
    for recording in found:
        assert recording.label
        assert "subject" in recording.columns
        assert (recording.columns["id"], recording.columns["label"]) == (recording.id, recording.label)
        specs = scan(adapter, root).modalities or adapter.modalities
        assert list(recording.paths) == [name for name in specs if name in recording.paths]
        assert all(path.is_absolute() and path.is_file() for path in recording.paths.values())


def check_the_order_is_fixed(adapter: Adapter, root: Path) -> None:
    assert scanned(adapter, root) == scanned(adapter, root)


def check_scanning_changes_nothing(adapter: Adapter, root: Path) -> None:
    before = content(root)
    scanned(adapter, root)
    assert content(root) == before


def check_usual_names_have_their_usual_kind(adapter: Adapter, root: Path) -> None:
    for name, spec in adapter.modalities.items():
        assert spec.kind == KNOWN_KINDS.get(name, spec.kind)
        assert spec.spans is None or adapter.modalities[spec.spans].kind != spec.kind


def check_protocols_split_by_columns_that_are_there(adapter: Adapter, root: Path) -> None:
    found = scan(adapter, root)
    columns = set(found.recordings[0].columns)
    protocols = adapter.protocols if found.protocols is None else found.protocols
    assert adapter.default_protocol is None or adapter.default_protocol in protocols
    for protocol in protocols.values():
        assert named_columns(protocol) <= columns
        assert len(protocol["source"]) > 10


def named_columns(protocol: Mapping[str, Any]) -> set[str]:
    if "leave_one_out" in protocol:
        return {protocol["leave_one_out"]}
    if "k_fold" in protocol:
        return {protocol["k_fold"]["column"]}
    if "folds" in protocol:
        return set().union(*(named_columns(fold) for fold in protocol["folds"].values()))
    return {*protocol["train"], *protocol["test"]}


def check_every_recording_opens_as_one_clip(adapter: Adapter, root: Path) -> None:
    found = scan(adapter, root)
    recordings, specs = found.recordings, found.modalities or adapter.modalities
    dataset = Dataset(adapter.name, root, specs, recordings)
    for recording in recordings:
        with open_clip(dataset, recording, tuple(recording.paths)) as clip:
            assert clip.end_s > 0
            for name, series in clip.series.items():
                wanted = specs[name].columns
                assert wanted is None or series.values.shape[1] == len(wanted)


def check_it_says_what_it_looks_for_and_whom_to_cite(adapter: Adapter, root: Path) -> None:
    assert len(adapter.expected_layout) > 20
    # What somebody recorded for themselves has nothing to cite, and says so.
    own = adapter.citation.startswith("no publication")
    assert own or any(character.isdigit() for character in adapter.citation)


def check_skipped_files_are_named_as_they_lie(adapter: Adapter, root: Path) -> None:
    for skipped in scan(adapter, root).skipped:
        assert (root / skipped.file.split(", ")[0]).exists(), skipped
        assert skipped.why


def check_it_survives_a_user_s_own_index(adapter: Adapter, root: Path) -> None:
    found = scan(adapter, root)
    specs = found.modalities or adapter.modalities
    protocols = adapter.protocols if found.protocols is None else found.protocols
    present = {name: spec for name, spec in specs.items() if any(name in r.paths for r in found.recordings)}
    out = root.parent / "index"
    out.mkdir()
    write_index(Dataset(adapter.name, out, present, found.recordings, protocols=protocols), out)
    read = read_index(out)
    assert read.modalities == present
    assert [(r.id, r.label, dict(r.paths), r.start_s, r.end_s) for r in read.recordings] == [
        (r.id, r.label, dict(r.paths), r.start_s, r.end_s) for r in found.recordings
    ]
