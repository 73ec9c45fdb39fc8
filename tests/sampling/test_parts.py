"""Packed files in parts: whatever the limit, the same pieces; damage is told with the part's name."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.sampling.parts import PackedFile, PartsWriter, check_parts, part_path
from mmtsa_cli.sampling.store import Store

SMALL = (
    "--segments",
    2,
    "--frames",
    2,
    "--window",
    1,
    "--short-side",
    32,
    "--modalities",
    "rgb,acc_watch",
    "--jobs",
    1,
)
LIMIT = 20_000


@given(pieces=st.lists(st.binary(max_size=12), max_size=20), limit=st.integers(1, 30))
@settings(deadline=None, max_examples=60)
def test_every_piece_is_read_back_from_parts_within_the_limit(pieces: list[bytes], limit: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with PartsWriter(directory, "frames-a", limit) as writer:
            begins = [writer.write(piece) for piece in pieces]
        parts = {"frames-a": writer.sizes}
        packed = PackedFile(directory, "frames-a", sum(map(len, pieces)), parts, remedy="")
        assert [packed.read(b, len(p)).tobytes() for b, p in zip(begins, pieces, strict=True)] == pieces
        assert all(size <= max([limit, *map(len, pieces)]) for size in writer.sizes)
        assert [
            part_path(directory, "frames-a", n + 1).stat().st_size for n in range(len(writer.sizes))
        ] == writer.sizes
        packed.check_whole(np.array(begins, np.int64))


@pytest.mark.parametrize("parts", [[], {"a": 3}, {"a": [-1]}, {"a": ["1"]}, "a", 3])
def test_what_is_no_list_of_parts_is_refused(parts: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        check_parts(parts)


@pytest.fixture(scope="module")
def stores(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same recordings in a store of one part and in one of many."""
    from click.testing import CliRunner

    from mmtsa_cli.commands.sample import command

    at = tmp_path_factory.mktemp("parts")
    for name, more in (("one", ()), ("many", ("--part-size", "20kB"))):
        words = [str(word) for word in (synthetic, "-o", at / name, *SMALL, *more)]
        done = CliRunner().invoke(command, words)
        assert done.exit_code == 0, done.output
    return at / "one", at / "many"


def test_a_store_in_parts_holds_the_same(stores: tuple[Path, Path]) -> None:
    one, many = map(Store, stores)
    assert one.clips == many.clips
    for clip in range(len(one)):
        assert one.series("acc_watch", clip).tobytes() == many.series("acc_watch", clip).tobytes()
        assert one.series("acc_watch", clip).shape == many.series("acc_watch", clip).shape
        for record in one.frames("rgb", clip):
            assert one.jpeg("rgb", record).tobytes() == many.jpeg("rgb", record).tobytes()
    files = sorted(stores[1].glob("*.bin*"))
    assert len(files) > 6
    assert all(file.stat().st_size <= LIMIT for file in files)
    assert set(many.header.parts) == {"frames-rgb", "series-acc_watch"}


def test_a_store_of_one_part_is_what_it_was_before_there_were_parts(stores: tuple[Path, Path]) -> None:
    assert "parts" not in json.loads((stores[0] / "store.json").read_text())
    assert "part_bytes" not in json.loads((stores[0] / "manifest.json").read_text())["configuration"]
    assert sorted(path.name for path in stores[0].glob("*.bin*")) == ["frames-rgb.bin", "series-acc_watch.bin"]


def test_shards_in_parts_merge_to_the_store_in_parts(
    mmtsa, synthetic: Path, stores: tuple[Path, Path], tmp_path
) -> None:
    wishes = (*SMALL, "--part-size", "20kB")
    for number in (1, 2):
        mmtsa("sample", synthetic, "-o", tmp_path / str(number), *wishes, "--shard", f"{number}/2")
    mmtsa("merge", tmp_path / "1", tmp_path / "2", "-o", tmp_path / "merged")
    whole, merged = (
        {path.name: path.read_bytes() for path in at.iterdir() if path.name != "manifest.json"}
        for at in (stores[1], tmp_path / "merged")
    )
    assert merged == whole


@pytest.mark.parametrize("part", ["frames-rgb.bin", "frames-rgb.bin.3", "series-acc_watch.bin.2"])
def test_a_part_that_is_short_or_missing_is_named(stores: tuple[Path, Path], tmp_path: Path, part: str) -> None:
    store = tmp_path / "store"
    shutil.copytree(stores[1], store)
    content = (store / part).read_bytes()
    (store / part).write_bytes(content[:-1])
    with pytest.raises(
        ArtifactError, match=f"{part}: damaged, expected {len(content)} bytes, found {len(content) - 1}"
    ):
        Store(store)
    (store / part).unlink()
    with pytest.raises(ArtifactError, match=f"{part}: damaged, expected {len(content)} bytes, found 0 bytes"):
        Store(store)


def test_parts_that_split_a_piece_are_refused(stores: tuple[Path, Path], tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(stores[1], store)
    header = json.loads((store / "store.json").read_text())
    sizes = header["parts"]["frames-rgb"]
    sizes[0], sizes[1] = sizes[0] - 1, sizes[1] + 1
    (store / "store.json").write_text(json.dumps(header))
    first, second = store / "frames-rgb.bin", store / "frames-rgb.bin.2"
    moved = first.read_bytes()[-1:]
    second.write_bytes(moved + second.read_bytes())
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"frames-rgb\.npy: damaged, found pieces that lie in two parts"):
        Store(store)


@pytest.mark.parametrize(("size", "told"), [("0", "too small"), ("much", "not an amount of bytes")])
def test_a_size_that_is_none(mmtsa, synthetic: Path, tmp_path: Path, size: str, told: str) -> None:
    stderr = mmtsa("sample", synthetic, "-o", tmp_path / "s", "--part-size", size, expect=2).stderr
    assert stderr.startswith(f"mmtsa: error: --part-size: {told}")
