"""What every dataset adapter must keep to, checked on a tiny tree of its native layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from mmtsa_cli.modalities import KNOWN_KINDS
from mmtsa_cli.recordings.clip import open_clip
from mmtsa_cli.recordings.datasets.adapter import Adapter
from mmtsa_cli.recordings.index import Dataset, Recording
from tests.trees.own import content

Check = Callable[[Adapter, Path], None]


def checks() -> Iterator[Check]:
    """Yield every check of this module."""
    yield from (value for name, value in sorted(globals().items()) if name.startswith("check_"))


def scanned(adapter: Adapter, root: Path) -> list[Recording]:
    return list(adapter.scan(root))


def check_it_finds_recordings_and_only_in_its_own_layout(adapter: Adapter, root: Path) -> None:
    assert len(scanned(adapter, root)) >= 2
    empty = root.parent / "empty"
    empty.mkdir()
    (empty / "walk.csv").touch()
    assert scanned(adapter, empty) == []


def check_recordings_are_whole(adapter: Adapter, root: Path) -> None:
    found = scanned(adapter, root)
    assert len({recording.id for recording in found}) == len(found)
    for recording in found:
        assert recording.label
        assert recording.subject
        assert (recording.columns["id"], recording.columns["label"]) == (recording.id, recording.label)
        assert list(recording.paths) == [name for name in adapter.modalities if name in recording.paths]
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
        assert spec.spans is None or adapter.modalities[spec.spans].kind == "sensor"


def check_protocols_split_by_columns_that_are_there(adapter: Adapter, root: Path) -> None:
    columns = set(scanned(adapter, root)[0].columns)
    assert adapter.default_protocol in adapter.protocols
    for protocol in adapter.protocols.values():
        named = {protocol["leave_one_out"]} if "leave_one_out" in protocol else {*protocol["train"], *protocol["test"]}
        assert named <= columns


def check_every_recording_opens_as_one_clip(adapter: Adapter, root: Path) -> None:
    recordings = scanned(adapter, root)
    dataset = Dataset(adapter.name, root, adapter.modalities, tuple(recordings))
    for recording in recordings:
        with open_clip(dataset, recording, tuple(recording.paths)) as clip:
            assert clip.end_s > 0
            for name, series in clip.series.items():
                wanted = adapter.modalities[name].columns
                assert wanted is None or series.values.shape[1] == len(wanted)


def check_it_says_what_it_looks_for_and_whom_to_cite(adapter: Adapter, root: Path) -> None:
    assert len(adapter.expected_layout) > 20
    assert any(character.isdigit() for character in adapter.citation)
