"""`mmtsa synth`: what is on disk, the same bytes from the same seed, and wrong wishes."""

from __future__ import annotations

import errno
import itertools
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from mmtsa_cli.recordings.index import read_index
from mmtsa_cli.recordings.synthesis import generator

TINY = ("--subjects", 2, "--repeats", 1, "--size", 32, "--seconds", 2)


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    from mmtsa_cli.stages import synth

    output = tmp_path_factory.mktemp("synth") / "rec"
    synth.run(output, subjects=2, repeats=2, size=64, seconds=3.0, seed=5, jobs=1)
    return output


def test_the_index_names_every_file_and_says_the_ceilings(recordings):
    dataset = read_index(recordings)
    assert len(dataset.recordings) == 2 * 2 * 14
    assert {recording.columns["session"] for recording in dataset.recordings} == {"1", "2"}
    assert set(dataset.modalities) == {"rgb", "acc_phone", "acc_watch", "gyro", "orientation"}
    assert all(path.is_file() for recording in dataset.recordings for path in recording.paths.values())
    assert dataset.default_protocol == "cross-subject"
    assert dataset.notes["ceilings"] == {"video": 0.642857, "sensors": 0.642857, "both": 1.0}
    named = {path.relative_to(recordings).as_posix() for each in dataset.recordings for path in each.paths.values()}
    assert named | {"index.csv", "dataset.yaml", "manifest.json"} == set(contents(recordings))


def test_videos_are_h264_of_the_wanted_size_and_length(recordings):
    for path in sorted(recordings.glob("rgb/subject1/session1/*.mp4"))[:3]:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.width, stream.height, stream.average_rate) == (64, 64, 15)
            times = [frame.time for frame in container.decode(video=0)]
        assert len(times) == 43
        np.testing.assert_allclose(times, np.arange(43) / 15, atol=1e-4)


@pytest.mark.parametrize(
    ("sensor", "header", "rate"),
    [
        ("acc_phone", "time,x,y,z", 100),
        ("acc_watch", "time,x,y,z", 100),
        ("gyro", "time,x,y,z", 50),
        ("orientation", "time,azimuth,pitch,roll", 50),
    ],
)
def test_series_have_the_rates_of_mmact_and_last_as_long_as_the_video(recordings, sensor, header, rate):
    path = recordings / sensor / "subject2" / "session1" / "hurrying.csv"
    assert path.read_text().splitlines()[0] == header
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    assert table.shape[1] == 4
    assert np.all(np.diff(table[:, 0]) > 0)
    assert len(table) == pytest.approx(43 / 15 * rate, abs=1)
    assert 43 / 15 - 2.5 / rate < table[-1, 0] < 43 / 15 + 1.5 / rate


@pytest.mark.usefixtures("eager_processes")
def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(mmtsa, tmp_path):
    mmtsa("synth", "-o", tmp_path / "one", *TINY, "--seed", 7, "--jobs", 1)
    mmtsa("synth", "-o", tmp_path / "two", *TINY, "--seed", 7, "--jobs", 2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    options = generator.SynthesisOptions(subjects=2, repeats=1, size=32, seconds=2.0)
    generator.write_clip(generator.plan(options, seed=8)[0], tmp_path / "other", options)
    other = contents(tmp_path / "other")
    assert len(other) == 5
    assert all(one[name] != other[name] for name in other)


def test_json_tells_what_was_made_and_a_second_run_makes_nothing(mmtsa, tmp_path):
    first = mmtsa("synth", "-o", tmp_path / "rec", *TINY, "--jobs", 1, "--json")
    facts = json.loads(first.stdout)
    assert (facts["clips"], facts["activities"], facts["frames_per_clip"]) == (28, 14, 29)
    assert facts["ceilings"] == {"video": 0.642857, "sensors": 0.642857, "both": 1.0}
    before = (tmp_path / "rec" / "manifest.json").stat().st_mtime_ns
    second = mmtsa("synth", "-o", tmp_path / "rec", *TINY, "--json")
    assert json.loads(second.stdout) == facts
    assert "already holds this result" in second.stderr
    assert (tmp_path / "rec" / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--subjects", 1), "--subjects: out of range, expected 2 to 999, found 1"),
        (("--repeats", 0), "--repeats: out of range, expected 1 to 99, found 0"),
        (("--size", 16), "--size: out of range, expected 32 to 1080, found 16"),
        (("--size", 127), "--size 127: H.264 needs an even size; give 126 or 128"),
        (("--seconds", 1.5), "--seconds: out of range, expected 2 to 120, found 1.5"),
        (("--seconds", "nan"), "--seconds: out of range, expected 2 to 120, found nan"),
        (("--jobs", 0), "--jobs"),
    ],
)
def test_values_out_of_range_are_refused_before_anything_is_written(mmtsa, tmp_path, arguments, message):
    outcome = mmtsa("synth", "-o", tmp_path / "rec", *arguments, expect=2)
    assert message in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_ours_is_left_as_it_is(mmtsa, tmp_path):
    (tmp_path / "rec").mkdir()
    (tmp_path / "rec" / "thesis.txt").write_text("mine")
    outcome = mmtsa("synth", "-o", tmp_path / "rec", *TINY, "--overwrite", expect=2)
    assert "was not made by mmtsa" in outcome.stderr
    assert contents(tmp_path) == {"rec/thesis.txt": b"mine"}


def test_other_settings_need_overwrite(mmtsa, tmp_path):
    mmtsa("synth", "-o", tmp_path / "rec", *TINY, "--jobs", 1)
    before = contents(tmp_path)
    outcome = mmtsa("synth", "-o", tmp_path / "rec", *TINY, "--seed", 1, expect=2)
    assert "seed: 0 -> 1" in outcome.stderr
    assert "--overwrite" in outcome.stderr
    assert contents(tmp_path) == before
    mmtsa("synth", "-o", tmp_path / "rec", *TINY, "--seed", 1, "--jobs", 1, "--overwrite")
    assert json.loads((tmp_path / "rec" / "manifest.json").read_text())["seed"] == 1


def test_a_disk_that_fills_up_leaves_nothing(mmtsa, tmp_path, monkeypatch):
    written = []
    write_bytes = Path.write_bytes

    def until_full(path, data):
        if len(written) == 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", until_full)
    outcome = mmtsa("synth", "-o", tmp_path / "rec", *TINY, "--jobs", 1, expect=1)
    assert len(written) == 12
    assert f"{tmp_path / 'rec'}: cannot be written: No space left on device" in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_result_survives_a_replacement_that_fails(mmtsa, tmp_path, monkeypatch):
    mmtsa("synth", "-o", tmp_path / "rec", *TINY, "--jobs", 1)
    before = contents(tmp_path)

    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(generator, "encode", full)
    mmtsa("synth", "-o", tmp_path / "rec", *TINY, "--seed", 1, "--jobs", 1, "--overwrite", expect=1)
    assert contents(tmp_path) == before


def test_the_help_tells_the_ceilings_of_the_definition(mmtsa):
    text = " ".join(mmtsa("synth", "--help").stdout.split())
    notes = generator.notes(generator.SynthesisOptions(), seed=0)
    told = notes["ceilings_exact"]
    assert f"video alone and of sensors alone is {told['video']} each" in text
    assert told["video"] == told["sensors"]
    assert f"in {len(notes['definition'])} activities" in text
    assert "mmtsa synth -o rec --subjects 12" in text


def test_invented_gestures_on_devices_worn_anywhere(mmtsa, tmp_path):
    options = ("--subjects", 2, "--repeats", 2, "--seconds", 2, "--gestures", 12, "--wear", "anywhere", "--no-video")
    facts = json.loads(mmtsa("synth", "-o", tmp_path / "rec", *options, "--jobs", 1, "--json").stdout)
    assert (facts["clips"], facts["activities"], facts["ceilings"]) == (2 * 2 * 26, 26, None)
    assert {path.name for path in (tmp_path / "rec").iterdir()} == {
        "acc_phone", "acc_watch", "gyro", "orientation", "index.csv", "dataset.yaml", "manifest.json"
    }  # fmt: skip
    described = yaml.safe_load((tmp_path / "rec" / "dataset.yaml").read_text())
    assert "rgb" not in described["modalities"]
    assert "ceilings" not in described
    # Sitting still, an accelerometer reads gravity along an axis that says how it is worn: another in each session.
    at_rest = [
        np.loadtxt(path, delimiter=",", skiprows=1)[:, 1:].mean(axis=0)
        for path in sorted((tmp_path / "rec" / "acc_watch").rglob("sitting.csv"))
    ]
    assert len(at_rest) == 4
    for first, second in itertools.combinations(at_rest, 2):
        np.testing.assert_allclose([np.linalg.norm(first), np.linalg.norm(second)], 9.8, rtol=0.05)
        assert first @ second / 9.8**2 < 0.98
    mmtsa("sample", tmp_path / "rec", "-o", tmp_path / "samples", "--window", "1", "--modalities", "acc,gyro")


def test_neither_help_nor_work_imports_torch(tmp_path):
    arguments = ["synth", "-o", str(tmp_path / "rec"), *(str(each) for each in TINY), "--jobs", "1"]
    program = (
        "import sys; from mmtsa_cli import cli\n"
        "cli.run(['synth', '--help'])\n"
        "assert not {'torch', 'numpy', 'cv2', 'av', 'scipy'} & set(sys.modules), 'help imports'\n"
        f"assert cli.run({arguments!r}) == 0\n"
        "assert 'torch' not in sys.modules, 'work imports'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
