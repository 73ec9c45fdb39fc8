"""`mmtsa prepare`: counts, the index that comes out, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mmtsa_cli.recordings.index import read_index
from tests.trees.archives import pack_tar, pack_zip, tar_of
from tests.trees.own import content
from tests.trees.utd_mhad import write_utd_mhad


def test_an_index_over_the_files_where_they_lie(mmtsa, tmp_path: Path) -> None:
    root, out = write_utd_mhad(tmp_path / "utd"), tmp_path / "rec"
    (root / "Depth" / "a2_s2_t1_depth.mat").unlink()
    before = content(root)
    facts = json.loads(mmtsa("prepare", "utd-mhad", root, "-o", out, "--json").stdout)
    assert (facts["recordings"], facts["subjects"], facts["labels"]) == (4, 2, 2)
    assert facts["files"] == {"depth": 3, "acc": 4, "gyro": 4}
    assert facts["not_recorded"] == {"depth": 1}
    assert facts["not_found"] == ["rgb"]
    assert content(root) == before
    assert sorted(path.name for path in out.iterdir()) == ["dataset.yaml", "index.csv", "manifest.json"]
    dataset = read_index(out)
    assert dataset.default_protocol == "cross-subject"
    assert set(dataset.protocols) == {"cross-subject", "leave-one-subject-out"}
    assert "Image Processing, 2015" in dataset.notes["citation"]
    assert (out / "index.csv").read_text().splitlines()[0] == "id,label,subject,trial,depth,acc,gyro"
    assert all(path.is_absolute() and path.exists() for r in dataset.recordings for path in r.paths.values())
    assert f"{out} already holds this result" in mmtsa("prepare", "utd-mhad", root, "-o", out).stderr


def test_new_files_need_overwrite(mmtsa, tmp_path: Path) -> None:
    root, out = write_utd_mhad(tmp_path / "utd"), tmp_path / "rec"
    mmtsa("prepare", "utd-mhad", root, "-o", out)
    write_utd_mhad(root, subjects=(3,))
    before = content(out)
    assert "--overwrite" in mmtsa("prepare", "utd-mhad", root, "-o", out, expect=2).stderr
    assert content(out) == before
    mmtsa("prepare", "utd-mhad", root, "-o", out, "--overwrite")
    assert len(read_index(out).recordings) == 6


def test_another_dataset_is_told_by_what_is_there(mmtsa, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "walk.csv").touch()
    error = mmtsa("prepare", "utd-mhad", tmp_path / "data", "-o", tmp_path / "rec", expect=1).stderr
    assert "no recordings of utd-mhad" in error
    assert "expected aA_sS_tT_inertial.mat" in error
    assert "found walk.csv" in error
    assert "no such directory" in mmtsa("prepare", "utd-mhad", tmp_path / "x", "-o", tmp_path / "rec", expect=1).stderr
    assert "did you mean utd-mhad?" in mmtsa("prepare", "utd_mhad", tmp_path, "-o", tmp_path / "rec", expect=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_something_in_the_way_is_left_as_it_is(mmtsa, tmp_path: Path) -> None:
    root, out = write_utd_mhad(tmp_path / "utd"), tmp_path / "rec"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    error = mmtsa("prepare", "utd-mhad", root, "-o", out, expect=2).stderr
    assert "was not made by mmtsa" in error
    assert content(out) == {"precious.txt": b"mine"}


def test_the_help_says_what_is_looked_for(mmtsa) -> None:
    text = " ".join(mmtsa("prepare", "--help").stdout.split())
    assert "utd-mhad: aA_sS_tT_inertial.mat" in text
    assert "mmtsa prepare utd-mhad UTD-MHAD -o rec" in text


def test_what_was_found_is_counted_and_stands_in_the_manifest(mmtsa, tmp_path: Path) -> None:
    root, out = write_utd_mhad(tmp_path / "utd", actions=(1, 27), subjects=(1, 2, 3), trials=(1, 2)), tmp_path / "rec"
    (root / "Depth" / "a1_s1_t1_depth.mat").unlink()
    (root / "Depth" / "a28_s1_t1_depth.mat").write_bytes(b"x")
    facts = json.loads(mmtsa("prepare", "utd-mhad", root, "-o", out, "--json").stdout)
    assert facts["of_the_whole"] == "12 of 861"
    assert facts["by_label"] == [
        {"label": "swipe_left", "recordings": 6, "subjects": 3, "depth": 5, "acc": 6, "gyro": 6},
        {"label": "squat", "recordings": 6, "subjects": 3, "depth": 6, "acc": 6, "gyro": 6},
    ]
    assert [row["recordings"] for row in facts["by_subject"]] == [4, 4, 4]
    assert facts["skipped"] == {"no action of 1 to 27": 1}
    assert facts["skipped_files"] == [{"file": "Depth/a28_s1_t1_depth.mat", "why": "no action of 1 to 27"}]
    said = {row["protocol"]: row["clips"] for row in facts["protocols"]}
    assert said == {"cross-subject": "8 train, 4 test", "leave-one-subject-out": "3 folds"}
    assert "ICIP 2015" in facts["protocols"][0]["source"]
    assert json.loads((out / "manifest.json").read_text())["results"] == facts
    shown = mmtsa("prepare", "utd-mhad", root, "-o", out).stdout
    assert "swipe_left" in shown
    assert re.search(r"no action of 1 to 27 +│ +1 │ Depth/a28_s1_t1_depth\.mat", shown)
    assert re.search(r"│ 3 +│ +4 │", shown)


def test_a_protocol_that_the_files_cannot_follow_is_not_the_default(mmtsa, tmp_path: Path) -> None:
    root = write_utd_mhad(tmp_path / "utd", subjects=(1, 3))
    facts = json.loads(mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "rec", "--json").stdout)
    assert facts["protocols"][0]["clips"] == "cannot be used: no clip in the test part of fold cross-subject"
    assert facts["default_protocol"] == "leave-one-subject-out"
    assert read_index(tmp_path / "rec").default_protocol == "leave-one-subject-out"


def test_modalities_can_be_chosen(mmtsa, tmp_path: Path) -> None:
    root = write_utd_mhad(tmp_path / "utd", colour=True)
    mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "rec", "--modalities", "rgb,imu")
    dataset = read_index(tmp_path / "rec")
    assert list(dataset.modalities) == ["rgb", "acc", "gyro"]
    assert all(list(r.paths) == ["rgb", "acc", "gyro"] for r in dataset.recordings)
    outcome = mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "c", "--modalities", "depth", "--json")
    # Depth frames have no times of their own: without the sensor that they span nothing could read them.
    assert json.loads(outcome.stdout)["notes"] == ["acc is in the index too, to time depth"]
    assert list(read_index(tmp_path / "c").modalities) == ["depth", "acc"]
    error = mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "b", "--modalities", "sound", expect=2).stderr
    assert "no modality 'sound' in the data, found rgb, depth, acc, gyro" in error
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_archives_are_unpacked_on_request(mmtsa, tmp_path: Path, form: str) -> None:
    tree, root, out = write_utd_mhad(tmp_path / "tree"), tmp_path / "utd", tmp_path / "rec"
    root.mkdir()
    for folder in ("Inertial", "Depth"):
        if form == "zip":
            pack_zip(root / f"{folder}.zip", tree / folder)
        else:
            pack_tar(root / f"{folder}.tar.gz", tree, folder)
    before = content(root)
    error = mmtsa("prepare", "utd-mhad", root, "-o", out, expect=1).stderr
    assert "the files of utd-mhad are packed" in error
    assert "give --unpack" in error
    mmtsa("prepare", "utd-mhad", root, "-o", out, "--unpack")
    assert content(root) == before
    dataset = read_index(out)
    assert len(dataset.recordings) == 4
    assert all(
        path.is_file() and path.is_relative_to(out / "files") for r in dataset.recordings for path in r.paths.values()
    )
    # What lies in the directory itself is named relative to it: it can be moved as a whole.
    out.rename(tmp_path / "moved")
    mmtsa("check", tmp_path / "moved", "--jobs", 1)
    assert "already holds" in mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "moved", "--unpack").stderr


def test_a_single_archive_is_a_dataset_too(mmtsa, tmp_path: Path) -> None:
    path = pack_zip(tmp_path / "UTD-MHAD.zip", write_utd_mhad(tmp_path / "tree"))
    assert "give --unpack" in mmtsa("prepare", "utd-mhad", path, "-o", tmp_path / "rec", expect=1).stderr
    mmtsa("prepare", "utd-mhad", path, "-o", tmp_path / "rec", "--unpack")
    assert len(read_index(tmp_path / "rec").recordings) == 4


def test_a_hostile_archive_and_half_of_one_leave_nothing(mmtsa, tmp_path: Path) -> None:
    root = tmp_path / "utd"
    pack_tar(write_utd_mhad(root) / "more.tar.gz", root, "Depth")
    whole = (root / "more.tar.gz").read_bytes()
    for name, data, phrase in (
        ("cut off", whole[: len(whole) // 2], "more.tar.gz: not a whole archive"),
        ("hostile", None, "more.tar.gz: holds a path that leads out of the archive: '../../evil.csv'"),
    ):
        if data is None:
            tar_of(root / "more.tar.gz", ("Depth/a1_s9_t1_depth.mat", b"x"), ("../../evil.csv", b"1"))
        else:
            (root / "more.tar.gz").write_bytes(data)
        before = content(tmp_path)
        error = mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "rec", "--unpack", expect=1).stderr
        assert phrase in error, name
        assert len(error.strip().splitlines()) == 1
        assert content(tmp_path) == before


def test_half_a_download(mmtsa, tmp_path: Path) -> None:
    root, out = write_utd_mhad(tmp_path / "utd", colour=True), tmp_path / "rec"
    (root / "RGB" / "a1_s1_t1_color.avi").write_bytes(b"")
    (root / "Inertial" / "a2_s2_t1_inertial.mat").write_bytes(b"")
    (root / "Depth.zip.crdownload").write_bytes(b"PK")
    outcome = mmtsa("prepare", "utd-mhad", root, "-o", out, "--json")
    facts = json.loads(outcome.stdout)
    # A sensor's empty file is as good as none; an empty video is told, and told again by `check`.
    assert facts["files"] == {"rgb": 4, "depth": 4, "acc": 3, "gyro": 3}
    assert facts["skipped"] == {"empty (0 bytes)": 1}
    assert facts["skipped_files"][0]["file"] == "Inertial/a2_s2_t1_inertial.mat"
    assert "half a download: 1 empty videos (0 bytes): RGB/a1_s1_t1_color.avi" in outcome.stderr
    assert "half a download: Depth.zip.crdownload; download them to their end" in outcome.stderr
    assert "a1_s1_t1_color.avi: empty (0 bytes)" in mmtsa("check", out, "--jobs", 1, expect=1).stdout
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "UTD.zip.part").write_bytes(b"PK")
    error = mmtsa("prepare", "utd-mhad", tmp_path / "part", "-o", tmp_path / "b", expect=1).stderr
    assert "half a download: UTD.zip.part; download it to its end" in error


def test_two_files_for_one_clip(mmtsa, tmp_path: Path) -> None:
    root = write_utd_mhad(tmp_path / "utd")
    (root / "copy").mkdir()
    (root / "copy" / "A1_S1_T1_depth.mat").write_bytes(b"x")
    error = mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "rec", expect=1).stderr
    assert "two files of depth for one clip, a1_s1_t1" in error
    assert f"{root / 'copy' / 'A1_S1_T1_depth.mat'}: " in error
    assert f"found also {root / 'Depth' / 'a1_s1_t1_depth.mat'}; take one of them away" in error
    assert not (tmp_path / "rec").exists()


@pytest.mark.parametrize(
    ("option", "phrase"),
    [
        (("--clip", 10), "--clip: utd-mhad takes no --clip, expected one of dataego; leave it out"),
        (("--time", "rate"), "--time: utd-mhad takes no --time, expected one of mmact; leave it out"),
        (("--map", "label=activity"), "--map: utd-mhad takes no --map, expected one of folder; leave it out"),
        (("--map", "label"), "'label': expected NAME=COLUMN, as in label=activity,rgb=video_path"),
        (("--unpack",), "--unpack: no archive to unpack, expected .zip or .tar.gz, found Depth/, Inertial/, RGB/"),
    ],
)
def test_an_option_of_another_dataset(mmtsa, tmp_path: Path, option: tuple, phrase: str) -> None:
    root = write_utd_mhad(tmp_path / "utd")
    assert phrase in mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "rec", *option, expect=2).stderr
    assert not (tmp_path / "rec").exists()


def test_an_output_among_the_data_is_not_taken_for_data(mmtsa, tmp_path: Path) -> None:
    root = write_utd_mhad(tmp_path / "utd")
    mmtsa("prepare", "utd-mhad", root, "-o", root / "rec")
    assert "already holds" in mmtsa("prepare", "utd-mhad", root, "-o", root / "rec").stderr


def test_links_to_folders_are_followed_once(mmtsa, tmp_path: Path) -> None:
    tree, root = write_utd_mhad(tmp_path / "tree"), tmp_path / "utd"
    root.mkdir()
    (root / "Inertial").symlink_to(tree / "Inertial")
    (root / "Depth").symlink_to(tree / "Depth")
    (tree / "Depth" / "loop").symlink_to(tree / "Depth")
    facts = json.loads(mmtsa("prepare", "utd-mhad", root, "-o", tmp_path / "rec", "--json").stdout)
    assert facts["files"] == {"depth": 4, "acc": 4, "gyro": 4}
