"""`mmtsa predict --stream`: what `predict` says of the same seconds, hop by hop, and streams that go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from mmtsa_cli.models.integers import computes_integers
from tests.commands.test_predict import QUICK, G, lines, sensor, write
from tests.trees.videos import write_video


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write(tmp_path_factory.mktemp("stream") / "rec")


@pytest.fixture(scope="module")
def made(rec):
    """Runs of two segments of clips of 2 s, so that a hop is one second: of video and acc, and of two sensors."""
    from mmtsa_cli.stages import sample, train

    at = rec.parent
    cutting = sample.CuttingOptions(segments=2, frames=3, window_s=0.6, short_side=32)
    for name, modalities, more in (
        ("seen", ("rgb", "acc_watch"), ("model.level=true", "sampling.snippet=1")),
        ("worn", ("acc_watch", "gyro"), ("imaging.scale=clip",)),
        ("some", ("acc_watch", "gyro"), ("model.modality_dropout=0.3",)),
    ):
        store = sample.run(rec, at / f"samples-{name}", modalities=modalities, options=cutting, jobs=1).output
        settings = ("training.epochs=2", *QUICK[1:], "training.precision=float32", "sampling.window=0.6", *more)
        train.run(store, at / name, settings=settings, protocol="cross-subject")
    return at


@pytest.fixture
def stream(mmtsa, monkeypatch, tmp_path):
    """Run `mmtsa predict RUN --stream ...` with a text on standard input."""

    def call(text, *arguments, expect=0):
        (tmp_path / "rows").write_text(text)
        with (tmp_path / "rows").open("rb") as rows:
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=rows))
            return mmtsa("predict", *arguments[:1], "--stream", *arguments[1:], expect=expect)

    return call


def rows_of(label="walk", *, seconds=6.0, names=("acc_watch", "gyro"), start=0.0, **options):
    """JSON lines of sensors, in the order of time."""
    found = []
    for name in names:
        for row in sensor(name, label, seconds=seconds, **options).splitlines()[1:]:
            t, *values = map(float, row.split(","))
            found.append({"t": round(t + start, 4), "modality": name, "values": values})
    return sorted(found, key=lambda row: row["t"])


def text_of(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def classified(done):
    return [row for row in lines(done) if row["class"] is not None]


def close(row, known):
    assert row["class"] == known["class"]
    assert row["probabilities"] == pytest.approx(known["probabilities"], abs=2e-5)
    assert row["attention"] == pytest.approx(known["attention"], abs=2e-5)


# The same as predict


def test_it_says_what_predict_says_of_the_same_seconds(mmtsa, rec, made, stream):
    """Frames and windows; the camera is a file."""
    acc, video = rec / "walk4-acc_watch.csv", rec / "walk4.mp4"
    (known,) = lines(mmtsa("predict", made / "seen", "--rgb", video, "--acc-watch", acc, "--format", "jsonl"))
    done = stream(acc.read_text(), made / "seen", "--camera", video)
    first, second = lines(done)
    assert (first["class"], first["reason"], first["end_s"]) == (None, "1 of 2 segments", 1.0)
    assert (second["start_s"], second["end_s"], second["reason"], second["gaps"]) == (0.0, 2.0, None, [])
    close(second, known)
    assert second["latency_ms"] > 0
    assert "a hop of 1 s, a window of 2 hops, 2 s" in done.stderr
    assert "2 hops, 1 of them without a class; rows dropped: 0" in done.stderr


@pytest.mark.skipif(not computes_integers(), reason="this processor does not multiply bytes")
def test_in_integers_it_says_nearly_the_same(mmtsa, stream, made, tmp_path):
    mmtsa("eval", made / "some", made / "samples-some", "-o", tmp_path / "eval", "--int8")
    text = text_of(rows_of())
    exact, near = (classified(stream(text, made / "some", *more)) for more in ((), ("--int8", tmp_path / "eval")))
    assert len(exact) == len(near) > 2
    said = [[row["probabilities"]["walk"] for row in its] for its in (exact, near)]
    assert said[1] == pytest.approx(said[0], abs=0.05)
    assert said[1] != said[0]


def test_every_hop_is_predicted_as_a_clip_of_its_window(mmtsa, made, stream, tmp_path):
    """With images scaled by the window, whose extremes change from hop to hop."""
    parts = [rows_of("walk", seconds=3), rows_of("sit", seconds=3, start=3.0, seed=1)]
    done = stream(text_of(parts[0] + parts[1]), made / "worn")
    assert "scale clip: all 2 segments of acc_watch, gyro are encoded at each hop" in done.stderr
    found = classified(done)
    assert [row["end_s"] for row in found] == [2, 3, 4, 5, 6]
    for row in found:
        for name in ("acc_watch", "gyro"):
            own = [r for r in parts[0] + parts[1] if r["modality"] == name and row["start_s"] - 0.1 <= r["t"]]
            own = [r for r in own if r["t"] < row["end_s"] + 0.1]
            written = [f"{r['t']},{','.join(map(str, r['values']))}" for r in own]
            (tmp_path / f"{name}.csv").write_text("time,x,y,z\n" + "\n".join(written) + "\n")
        index = f"id,start,end,acc_watch,gyro\na,{row['start_s']},{row['end_s']},acc_watch.csv,gyro.csv\n"
        (tmp_path / "index.csv").write_text(index)
        (tmp_path / "dataset.yaml").write_text("modalities:\n  acc_watch: {kind: sensor}\n  gyro: {kind: sensor}\n")
        (known,) = lines(mmtsa("predict", made / "worn", tmp_path, "--format", "jsonl"))
        close(row, known)


def test_forms_units_top_threshold_and_hop(made, stream):
    rows = rows_of(seconds=4)
    known = lines(stream(text_of(rows), made / "worn"))
    header = "time,acc_watch_x,acc_watch_y,acc_watch_z,gyro_x,gyro_y,gyro_z"
    both = zip(rows[::2], rows[1::2], strict=True)
    table = "\n".join([header, *(",".join(map(str, [a["t"], *a["values"], *b["values"]])) for a, b in both)])
    found = lines(stream(table + "\n", made / "worn", "--top", 1))
    assert [row["class"] for row in found] == [row["class"] for row in known]
    assert all(len(row["probabilities"]) == 1 for row in found[1:])
    in_g = [{**r, "values": [v / G for v in r["values"]]} if r["modality"] == "acc_watch" else r for r in rows]
    done = stream(text_of(in_g), made / "worn", "--unit", "acc_watch=g", "--threshold", 1)
    assert "acc_watch: g converted to m/s^2, as in training" in done.stderr
    for row, other in zip(lines(done)[1:], known[1:], strict=True):
        assert row["class"] == "unknown"
        assert row["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
    assert [row["end_s"] for row in lines(stream(text_of(rows), made / "worn", "--hop", 1.5))] == [1.5, 3.0]
    # A window that is longer than the hop looks back: the first hop begins when there is something behind it.
    assert lines(stream(text_of(rows), made / "worn", "--hop", 0.2))[0]["end_s"] == 0.6


def test_a_video_alone_is_its_own_clock(mmtsa, rec, made, stream, monkeypatch):
    from mmtsa_cli.stages import stream as stage
    from mmtsa_cli.stages import train

    settings = ("training.epochs=1", *QUICK[1:], "training.precision=float32")
    run = train.run(made / "samples-seen", made / "filmed", settings=settings, modalities=("rgb",)).output
    monkeypatch.setattr(stage, "_OVER_S", 0.3)
    found = lines(stream("", run, "--camera", rec / "walk4.mp4", "--camera-start", 100))
    assert [row["end_s"] for row in found] == [101, 102]
    (known,) = lines(mmtsa("predict", run, "--rgb", rec / "walk4.mp4", "--format", "jsonl"))
    close(found[1], known)


def test_rows_without_stamps_are_stamped_when_they_come(made, stream):
    rows = [row for row in rows_of(seconds=2) if row["modality"] == "acc_watch"]
    text = "".join(json.dumps({"acc_watch": row["values"], "gyro": row["values"]}) + "\n" for row in rows)
    done = stream(text, made / "worn", "--clock", "arrival")
    # All at once: no second has passed.
    assert lines(done) == []
    assert "rows dropped: 0" in done.stderr


# Streams that go wrong


def test_a_gap_is_told_and_gone_when_it_has_left_the_window(made, stream):
    rows = [row for row in rows_of(seconds=8) if not (row["modality"] == "gyro" and 2.9 < row["t"] < 4.1)]
    found = lines(stream(text_of(rows), made / "worn"))
    assert [row["class"] is None for row in found] == [True, False, False, True, True, True, False, False]
    assert found[3]["gaps"] == ["gyro: gap of 1.20 s from 2.90 s on"]
    assert found[3]["reason"] == "gyro: gap of 1.20 s from 2.90 s on"
    # Images scaled by the window need what was missing at the beginning of this second too.
    assert found[4]["gaps"] == ["gyro: gap of 1.20 s from 2.90 s on"]
    assert found[5]["reason"] == "1 of 2 segments"


def test_a_run_that_does_without_some_goes_on(mmtsa, made, stream):
    rows = [row for row in rows_of(seconds=8) if not (row["modality"] == "gyro" and row["t"] > 2.9)]
    found = lines(stream(text_of(rows), made / "some"))
    assert [row["class"] is None for row in found] == [True] + [False] * 7
    assert found[5]["gaps"] == ["gyro: no sample yet"] or "gyro: no samples since" in found[5]["gaps"][0]
    # Without it in the whole window: what the same network says without it.
    alone = lines(stream(text_of([r for r in rows if r["modality"] == "acc_watch"]), made / "some"))
    assert found[-1]["probabilities"] == pytest.approx(alone[-1]["probabilities"], abs=1e-6)
    header = "time,acc_watch_x,acc_watch_y,acc_watch_z\n"
    table = header + "".join(
        f"{r['t']},{','.join(map(str, r['values']))}\n" for r in rows if r["modality"] == "acc_watch"
    )
    done = stream(table, made / "some")
    assert "no gyro: predicted without, as the run has learned to" in done.stderr
    assert lines(done)[-1]["probabilities"] == pytest.approx(alone[-1]["probabilities"], abs=1e-6)
    refused = stream(table, made / "worn", expect=1)
    assert "no columns of gyro, expected those of each modality that the run was trained on" in refused.stderr


def test_a_clock_that_jumps_begins_anew(made, stream):
    first, second = rows_of(seconds=4, start=100.0), rows_of(seconds=4, start=20.0)
    found = lines(stream(text_of(first + second), made / "worn"))
    back = [row for row in found if any("time jumps back by" in gap for gap in row["gaps"])]
    assert len(back) == 1
    assert (back[0]["end_s"], back[0]["class"]) == (21.0, None)
    assert [row["end_s"] for row in found if row["class"]] == [102, 103, 104, 22, 23, 24]
    ahead = lines(stream(text_of(second + rows_of(seconds=4, start=1e6)), made / "worn"))
    assert len(ahead) == 4 + 4
    assert "time jumps ahead by 9999" in ahead[4]["gaps"][0]


def test_stutter_and_disorder_are_put_right(made, stream):
    rows = rows_of(seconds=4)
    known = lines(stream(text_of(rows), made / "some"))
    # The first row says where seconds begin.
    shuffled = rows[:8] + [row for first in range(8, len(rows), 8) for row in rows[first : first + 8][::-1]]
    found = lines(stream(text_of([r for row in shuffled for r in (row, row)]), made / "some"))
    for row, other in zip(found[1:-1], known[1:-1], strict=True):
        assert row["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
    assert sum(row["dropped"].get("repeated row", 0) for row in found) > 300


def test_faulty_rows_are_dropped_and_counted(made, stream):
    rows = text_of(rows_of(seconds=3)).splitlines()
    for number, bad in ((20, "garbage"), (40, '{"t": 1, "acc_watch": [1'), (60, '{"t": 0.5, "modality": "light"}')):
        rows.insert(number, bad)
    done = stream("\n".join(rows), made / "worn")
    assert lines(done)[0]["dropped"] == {"malformed row": 2, "unknown modality": 1}
    assert "line 21: malformed row dropped" in done.stderr
    assert "rows of 'light', which the run does not have, are passed over" in done.stderr
    assert "rows dropped: 2 x malformed row, 1 x unknown modality" in done.stderr


def test_another_unit_and_rate_are_warned_of_once(made, stream):
    done = stream(text_of(rows_of(seconds=14, factor=1 / G, rate=20.0)), made / "worn")
    assert done.stderr.count("m/s^2: probably in g; add --unit acc_watch=g to have it converted") == 1
    assert done.stderr.count("acc_watch: recorded at 20 Hz, trained on 50 Hz; resampled") == 1


def test_a_camera_that_has_no_frames_left_is_a_gap(made, rec, stream):
    found = lines(stream(text_of(rows_of(seconds=5, names=("acc_watch",))), made / "seen", "--camera",
                         rec / "walk4.mp4", "--late", 0.2))  # fmt: skip
    assert [row["class"] is None for row in found] == [True, False, True, True, True]
    assert found[3]["gaps"] == ["rgb: no frame for 1.60 s"]
    late = lines(stream(text_of(rows_of(seconds=5, names=("acc_watch",))), made / "seen", "--camera",
                        f"rgb={rec / 'walk4.mp4'}", "--camera-start", 2.2, "--late", 0.2))  # fmt: skip
    assert [row["class"] is None for row in late] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "options", "code", "phrase"),
    [
        ("", ("--window", "3"), 2, "--window has no meaning with --stream"),
        ("", ("--acc-watch", "a.csv"), 2, "--acc-watch a.csv: with --stream rows come from standard input"),
        ("", ("--format", "srt"), 2, "--format srt: a stream is written as JSON lines"),
        ("", ("--camera", "0"), 2, "--camera 0: the run takes no video, expected rows of acc_watch, gyro"),
        ("", ("--camera-start", "0"), 2, "--camera-start: a start without a video"),
        ("", ("--fold", "x"), 2, "--fold: no fold 'x'"),
        ("x,y\n", ("--unit", "gyro=g"), 1, "gyro is in g, expected rad/s, as in training"),
        ("time,acc_watch_x,acc_watch_y\n", (), 1, "header: other axes of acc_watch than the run was trained on"),
        ('{"t": 1, "gyro": [1]}\n', (), 1, "line 1: other axes of gyro than the run was trained on"),
        ("nonsense here\n" * 60, (), 1, "none of the first 50 lines is a row of the run's sensors"),
        ("nonsense here\n", (), 1, "none of the first 1 lines is a row of the run's sensors"),
    ],
)
def test_a_wrong_wish_is_answered(made, stream, text, options, code, phrase):
    done = stream(text, made / "worn", *options, expect=code)
    assert phrase in done.stderr
    assert done.stdout == ""


def test_other_wrong_wishes(mmtsa, made, rec, stream, tmp_path):
    assert "--camera has no meaning without --stream" in mmtsa("predict", made / "seen", "--camera", 0, expect=2).stderr
    assert "seen: no camera for rgb" in stream("", made / "seen", expect=2).stderr
    nothing = stream("", made / "seen", "--camera", "no.mp4", expect=1)
    assert "--camera no.mp4: no such file" in nothing.stderr
    text = stream(text_of(rows_of(names=("acc_watch",))), made / "seen", "--camera", rec / "index.csv", expect=1)
    assert "index.csv: cannot be read" in text.stderr
    grey = write_video(tmp_path / "grey.mkv", codec="ffv1", grey=True)
    done = stream(text_of(rows_of(names=("acc_watch",))), made / "seen", "--camera", grey, expect=1)
    assert "rgb is a grey video, expected a colour video, as the run was trained on" in done.stderr
    manifest = json.loads((made / "worn" / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "stage": "benchmark"}))
    other = stream("", tmp_path, expect=2)
    assert "made by `mmtsa benchmark`, which keeps predictions and no networks" in other.stderr
    assert "mmtsa alone can stream" in other.stderr


# A real pipe


class Pipe:
    """A stream in a process of its own."""

    def __init__(self, run, *options):
        command = [sys.executable, "-m", "mmtsa_cli", "predict", run, "--stream", *options]
        pipe = subprocess.PIPE
        # A suite that a script runs in the background is told to ignore SIGINT, and its children with it.
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=pipe, stdout=pipe, stderr=pipe, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def send(self, rows):
        self.process.stdin.write(text_of(rows))
        self.process.stdin.flush()

    def line(self):
        return json.loads(self.process.stdout.readline())


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (None, 0), ("pipe", 1)])
def test_it_ends_cleanly(made, sent, code):
    pipe = Pipe(made / "worn")
    pipe.send(rows_of(seconds=2.5))
    # While the pipe stays open: nobody waits for its end.
    assert [pipe.line()["end_s"], pipe.line()["end_s"]] == [1.0, 2.0]
    if sent is None:
        pipe.process.stdin.close()
    elif sent == "pipe":
        pipe.process.stdout.close()
        pipe.send(rows_of(seconds=3, start=2.5))
    else:
        pipe.process.send_signal(sent)
    said = pipe.process.stderr.read()
    assert pipe.process.wait(timeout=20) == code, said
    assert "Traceback" not in said
    if sent != "pipe":
        assert pipe.process.stdout.read() == ""
        assert "2 hops, 1 of them without a class" in said


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_stream_that_stops_is_told_and_goes_on(made):
    pipe = Pipe(made / "worn", "--late", 0.3, "--hop", 0.6)
    pipe.send(rows_of(seconds=1.21))
    assert [pipe.line()["end_s"], pipe.line()["class"] is None] == [0.6, False]
    begun = time.monotonic()
    silent = [pipe.line(), pipe.line()]
    assert 0.5 < time.monotonic() - begun < 10
    for row in silent:
        assert (row["class"], row["reason"][:11]) == (None, "acc_watch: ")
        assert row["gaps"][1].startswith("gyro: no samples since 1.18 s")
        assert row["lateness_s"] > 0.25
    # The device stood still meanwhile, and so did its clock.
    pipe.send(rows_of(seconds=2.0, start=1.22))
    pipe.process.stdin.close()
    rest = [json.loads(line) for line in pipe.process.stdout]
    again = next(row for row in rest if row["gaps"] == ["stamps go on from before the silence"])
    assert again["end_s"] < 2.5
    assert rest[-1]["class"] is not None
    assert pipe.process.wait(timeout=20) == 0


def test_an_hour_of_rows_fills_no_memory(made):
    """An hour of them, in buffers that stay as they are; tests/benchmarks/stream_hop.py does a day."""
    from mmtsa_cli.stages import stream as stage

    options = stage.StreamOptions(hop_s=30.0)
    opened = stage._Stream(made / "worn", options, stage.FileOptions(), SimpleNamespace(answer=lambda: False),
                           note=lambda text: None, warn=lambda text: None)  # fmt: skip
    held, hops = [], 0
    values = ["0.1,9.8,0.3", "0.5,0.1,-0.5"]
    header = b"time,acc_watch_x,acc_watch_y,acc_watch_z,gyro_x,gyro_y,gyro_z\n"
    list(opened._taken(header, 0.0))
    for first in range(0, 3600 * 10, 3000):
        content = "".join(f"{n / 10},{values[n % 2]},{values[n % 2]}\n" for n in range(first, first + 3000)).encode()
        hops += len(list(opened._taken(content, first / 10)))
        held.append(opened._hops.held)
    opened.close()
    assert hops == 120
    assert max(held) < 2 * 10 * 2 * (30 + 30 + 4) * 2
    assert np.mean(held[-4:]) <= np.mean(held[2:6]) * 1.2
