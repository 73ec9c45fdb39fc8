"""`mmtsa sample --shard` and `mmtsa merge`: the store that one machine had made, or a reason why not."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtsa_cli.errors import UsageError
from mmtsa_cli.stages.shards import Shard, read_shard

SMALL = ("--modalities", "rgb,acc_watch", "--frames", "1", "--short-side", "32", "--jobs", "1")


@pytest.fixture(scope="module")
def few(synthetic, tmp_path_factory):
    """An index of seven synthetic recordings; the file of one is damaged."""
    rec = tmp_path_factory.mktemp("few") / "rec"
    rec.mkdir()
    shutil.copy(synthetic / "dataset.yaml", rec)
    lines = (synthetic / "index.csv").read_text().splitlines()
    header = lines[0].split(",")
    rows = [row for row in (line.split(",") for line in lines[1:]) if row[1] == "sitting"][1:]
    for row in rows:
        for column, cell in enumerate(row):
            if (synthetic / cell).is_file():
                row[column] = str(synthetic / cell)
    broken = rec / "broken.csv"
    broken.write_text("time_s,x,y,z\n0,1,2,3\nnonsense\n")
    rows[2][header.index("acc_watch")] = str(broken)
    (rec / "index.csv").write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    return rec


@pytest.fixture(scope="module")
def shards(few, tmp_path_factory):
    from click.testing import CliRunner

    from mmtsa_cli.commands.sample import command

    at = tmp_path_factory.mktemp("shards")
    for number in (1, 2, 3):
        done = CliRunner().invoke(command, [str(few), "-o", str(at / str(number)), *SMALL, "--shard", f"{number}/3"])
        assert done.exit_code == 0, done.output
    return at


def test_merged_it_is_bit_by_bit_what_one_machine_makes(mmtsa, few, shards, tmp_path):
    mmtsa("sample", few, "-o", tmp_path / "whole", *SMALL)
    done = mmtsa("merge", shards / "2", shards / "3", shards / "1", "-o", tmp_path / "merged", "--json")
    whole, merged = tmp_path / "whole", tmp_path / "merged"
    assert sorted(path.name for path in whole.iterdir()) == sorted(path.name for path in merged.iterdir())
    for path in whole.iterdir():
        if path.name != "manifest.json":
            assert path.read_bytes() == (merged / path.name).read_bytes(), path.name
    theirs, ours = (json.loads((at / "manifest.json").read_text()) for at in (whole, merged))
    assert ours == theirs
    assert json.loads(done.stdout)["clips"] == 6
    assert ours["results"]["left_out"] == {"cannot be read": 1}
    again = mmtsa("merge", shards / "1", shards / "2", shards / "3", "-o", merged)
    assert "already" in again.stderr + again.stdout


@pytest.mark.parametrize(
    ("named", "phrase"),
    [
        (("1", "3"), "shards are missing, expected 3 shards, found no 2/3"),
        (("1", "2", "2", "3"), "shard 2/3 is there twice"),
        (("1", "2", "3", "other"), "shards of different"),
        (("1", "2", "3", "nowhere"), "no such directory"),
    ],
)
def test_what_is_not_all_of_one_store_is_refused(mmtsa, few, shards, tmp_path, named, phrase):
    if "2" in named and named.count("2") > 1:
        shutil.copytree(shards / "2", tmp_path / "2")
    if "other" in named:
        mmtsa("sample", few, "-o", tmp_path / "other", *SMALL, "--shard", "1/2")
    seen, places = set(), []
    for name in named:
        places.append(tmp_path / name if name in seen or name in ("other", "nowhere") else shards / name)
        seen.add(name)
    done = mmtsa("merge", *places, "-o", tmp_path / "out", expect=1 if "nowhere" in named else 2)
    assert phrase in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_whole_store_is_no_shard_and_a_shard_is_no_store(mmtsa, samples, shards, tmp_path):
    done = mmtsa("merge", samples, "-o", tmp_path / "out", expect=1)
    assert "no shard" in done.stderr
    done = mmtsa("train", shards / "1", "-o", tmp_path / "run", expect=1)
    assert "the result of sample-shard" in done.stderr


def test_a_damaged_shard_is_refused_and_nothing_stays(mmtsa, shards, tmp_path):
    shutil.copytree(shards, tmp_path / "shards")
    data = tmp_path / "shards" / "2" / "series-acc_watch.bin"
    data.write_bytes(data.read_bytes()[:-40])
    done = mmtsa("merge", *(tmp_path / "shards" / n for n in "123"), "-o", tmp_path / "out", expect=1)
    assert "damaged" in done.stderr
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"])
def test_no_shard(mmtsa, few, tmp_path, text):
    done = mmtsa("sample", few, "-o", tmp_path / "out", f"--shard={text}", expect=2)
    assert "no shard, expected I/N with I from 1 to N" in done.stderr


def test_more_shards_than_recordings(mmtsa, few, tmp_path):
    done = mmtsa("sample", few, "-o", tmp_path / "out", "--shard", "1/9", expect=2)
    assert "more shards than recordings, expected at most 7" in done.stderr


@given(st.integers(1, 60), st.integers(1, 60))
def test_the_parts_are_the_whole_and_about_equal(items, count):
    if count > items:
        with pytest.raises(UsageError):
            Shard(1, count).part(range(items))
        return
    parts = [Shard(number, count).part(list(range(items))) for number in range(1, count + 1)]
    assert [item for part in parts for item in part] == list(range(items))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert read_shard(str(Shard(count, count))) == Shard(count, count)
