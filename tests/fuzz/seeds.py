"""Sound contents of every format, made up here and small: where a search for hostile ones begins."""

from __future__ import annotations

import functools
import io
import json
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.trees.own import sensor_text, write_recordings
from tests.trees.videos import write_video

CLIPS = [
    {"id": f"{label}_{subject}", "label": label, "subject": subject, "session": str(1 + int(subject) % 2)}
    for label in ("walk", "sit")
    for subject in "123456"
]


def tables() -> list[bytes]:
    comma = sensor_text(0.4)
    return [
        comma.encode(),
        comma.replace(",", ";").replace(".", ",").encode(),
        comma.replace(",", "\t").encode("utf-16"),
        comma.replace(",", " ").encode(),
        b"\xef\xbb\xbfsep=;\ntimestamp;x [m/s2];y;z\n2024-01-01 10:00:00.00;1;2;\n2024-01-01 10:00:00.02;1;2;3\n" * 1,
        b"# a comment\n" + b"\n".join(b"%d,%d,nan" % (1700000000000 + 20 * i, i) for i in range(12)),
        b'time_ms,"x",y\n0,"1,5",2\n20,1e3,-inf\n40,,3\n',
        b"1 2 3\n4 5 6\n7 8 9\n",
        b"time,x\n" + b"".join(b"0.%03d,1\n" % (i // 2) for i in range(20)),
    ]


def mats() -> list[bytes]:
    from scipy.io import savemat
    from scipy.sparse import csc_matrix

    series = np.arange(60.0).reshape(20, 3)
    contents = [
        ({"d_iner": series}, {}),
        ({"d_iner": series}, {"do_compression": True}),
        ({"d_iner": series.astype(np.float32)}, {"format": "4"}),
        ({"d_depth": np.arange(60, dtype=np.uint16).reshape(4, 3, 5)}, {"do_compression": True}),
        ({"s": csc_matrix(series)}, {}),
        ({"a": {"b": series, "c": "text"}, "cells": np.array([1, "x"], dtype=object)}, {}),
        ({"x": series > 3, "y": series.astype(np.int8)}, {}),
        ({"z": series + 1j}, {}),
    ]
    return [_saved(lambda stream, c=c, o=o: savemat(stream, c, **o)) for c, o in contents]  # type: ignore[misc]


def arrays() -> list[bytes]:
    series = np.arange(60.0).reshape(20, 3)
    kinds = (series, series.astype("<f4"), np.asfortranarray(series), series.astype(">i2"), series[:, 0], series > 1)
    records = np.zeros(4, [("a", "<f8"), ("b", "<i4")])
    return [_saved(lambda stream, a=a: np.save(stream, a)) for a in (*kinds, records)]  # type: ignore[misc]


def indices() -> list[bytes]:
    return [
        b"id,label,subject,acc\nwalk_1,walk,1,acc.csv\nsit_1,sit,1,acc.csv\n",
        b"id;label;subject;start;end;acc;session\nwalk_1;walk;1;0;0,5;acc.csv;2\nsit;sit;2;;;acc.csv;1\n",
        b'\xef\xbb\xbfid,label,subject,rgb,acc\n"walk, fast",walk,1,,acc.csv\n\nsit_1,sit,2,a/../b.mp4,acc.csv\n',
        "id\tlabel\tsubject\tacc\nw\twalk\t1\tacc.csv\n".encode("utf-16"),
    ]


def descriptions() -> list[bytes]:
    return [
        b"name: mine\nmodalities:\n  acc: {kind: sensor, rate: 50, unit: m/s^2, columns: [x, 2], time: time}\n",
        b"modalities:\n  acc:\n    offset_s: 1.5\n    origin: first\n    timing: rate\n    rate: 1e2\n"
        b"protocols:\n  p: {train: {subject: ['1']}, test: {subject: ['2']}}\n  l: {leave_one_out: subject}\n"
        b"  k: {k_fold: {column: subject, folds: 2, seed: 1}}\ndefault_protocol: p\ncitation: x\n",
        b"modalities:\n  rgb: {kind: video, spans: acc, depth_range_mm: [500, 4500]}\n  acc: {spans: null}\n",
        b"&a [*a, 1]\n",
        b"a: &a {x: 1}\nmodalities: {acc: {<<: *a}}\n",
    ]


def recipes() -> list[bytes]:
    from mmtsa_cli.stages.recipe import packaged

    few = b"seed: 3\nmodalities: [rgb, acc]\ntraining: {lr: 1e-3, epochs: 2}\nmodel: {width: 0.5}\nsampling: {}\n"
    return [few, *(path.read_bytes() for path in packaged().values())]


def bench_recipes() -> list[bytes]:
    own = (
        b"training: {lr: 1e-3}\nsampling: {segments: 3}\nvalidation: {count: 1}\nmethods:\n"
        b"  wide: {method: svm, modalities: [acc], sampling: {segments: 2}}\n  mmtsa: {model: {width: 0.5}}\n"
    )
    return [own, *recipes()]


def protocols() -> list[bytes]:
    return [
        b"train: {subject: ['1', '2', 3, 4]}\ntest: {subject: ['5', '6']}\n",
        b"folds:\n  a: {train: {subject: [1]}, test: {subject: 2}}\n"
        b"  b: {train: {subject: [2]}, test: {subject: [1]}}\n",
        b"leave_one_out: subject\nsource: a paper\n",
        b"k_fold: {column: subject, folds: 3, seed: 0}\nless: {subject: 2, share: 0.5, seed: 1}\n",
    ]


def manifests() -> list[bytes]:
    from mmtsa_cli.artifacts.manifest import Manifest, write_manifest

    with tempfile.TemporaryDirectory() as folder:
        write_manifest(Path(folder), Manifest("sample", {"a": [1, {"b": None}]}, 5, {"rec": "sha256:1"}))
        return [(Path(folder) / "manifest.json").read_bytes(), b'{"stage": "train"}']


def safetensors() -> list[bytes]:
    import torch
    from safetensors.torch import save

    tensors = {"network.a": torch.zeros(2, 3), "optimizer.0.step": torch.tensor(1.0), "b": torch.zeros(0).bfloat16()}
    return [save(tensors, {"mmtsa": json.dumps({"epoch": 1})}), save({"x": torch.ones(4, dtype=torch.int8)})]


def pickles() -> list[bytes]:
    import torch

    state = {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2)}
    new = _saved(lambda stream: torch.save(state, stream))
    old = _saved(lambda stream: torch.save(state, stream, _use_new_zipfile_serialization=False))
    return [new, old]


def videos() -> list[bytes]:
    kinds = (("mp4", "libx264", False), ("avi", "mpeg4", False), ("mov", "mjpeg", False), ("mkv", "ffv1", False))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix, codec, grey in kinds:
            try:
                path = write_video(Path(folder) / f"v.{suffix}", frames=6, size=(32, 16), codec=codec, grey=grey)
            except Exception:  # noqa: BLE001 - PyAV is built without this encoder
                continue
            found.append(path.read_bytes())
    return found


def telemetry() -> list[bytes]:
    from tests.trees.gopro import acc, device, gyro, klv, packets, text

    plain = packets([acc(0.5), gyro(0.5)], seconds=0.5)[0]
    turned = acc(0.5, extra=text("ORIN", "YxZ") + klv("MTRX", "f", 4, np.eye(3, dtype=">f4").tobytes()), stamped=True)
    sound = device(turned.block(0.0, 0.3), model="Hero6 Black")
    return [sound, plain[:1024], device(acc(0.5).block(0.0, 0.05))]


def archives() -> list[bytes]:
    members = {"a/b.csv": b"time,x\n0,1\n", "c.txt": b"x" * 100}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in members.items():
            container.writestr(name, content)
    found = [packed.getvalue()]
    for mode in ("w", "w:gz", "w:xz"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=mode) as container:  # type: ignore[call-overload]
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                container.addfile(info, io.BytesIO(content))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "../../out"
            container.addfile(link)
        found.append(packed.getvalue())
    return found


def rows() -> list[bytes]:
    return [
        b"".join(b'{"modality": "acc", "time": %f, "values": [1, 2, 3]}\n' % (i / 50) for i in range(20)),
        b"time,acc_x,acc_y,acc_z\n" + b"".join(b"%d,1,2,3\n" % (20 * i) for i in range(20)),
        b"modality,time,x,y,z\n" + b"".join(b"gyro,2024-01-01 00:00:00.%02d,1,2,3\n" % (2 * i) for i in range(20)),
    ]


# What stands beside a file


def write_sensor(directory: Path) -> None:
    (directory / "acc.csv").write_text(sensor_text(0.6))


def write_index(directory: Path) -> None:
    write_sensor(directory)
    rows = "".join(f"{c['id']},{c['label']},{c['subject']},{c['session']},acc.csv\n" for c in CLIPS)
    (directory / "index.csv").write_text("id,label,subject,session,acc\n" + rows)


def place_telemetry(directory: Path, data: bytes) -> None:
    """Write a camera's video whose first packet of telemetry is `data`, cut or filled to its length."""
    video, at, length = _camera()
    (directory / "GX010001.MP4").write_bytes(video[:at] + data[:length].ljust(length, b"\0") + video[at + length :])


def write_sound(made: Callable[[], Path], directory: Path) -> None:
    """Copy a store, a run or a table to where it is spoilt, and to `sound`, from where it is put back."""
    for place in (directory / "sound", directory):
        shutil.copytree(made(), place, dirs_exist_ok=True)


def write_evaluation(directory: Path) -> None:
    """Write a run, and beside it the manifest of an evaluation of it."""
    from mmtsa_cli.artifacts.manifest import Manifest, write_manifest

    shutil.copytree(made_run(), directory / "run")
    write_manifest(directory, Manifest("eval", {}, 0))


def ranges() -> list[bytes]:
    """Return what `mmtsa eval --int8` keeps: a run's fingerprint and the ranges of its networks."""
    import torch

    from mmtsa_cli.artifacts.manifest import fingerprint
    from mmtsa_cli.models.inference import activation_ranges
    from mmtsa_cli.stages.trainings.trained import open_run, restore

    run = open_run(made_run())
    method = restore(run, run.models[0])
    tensors = {name: torch.zeros_like(value, device="cpu") for name, value in method._example().items()}
    kept = {
        "run": fingerprint(made_run()),
        "folds": {run.models[0]["fold"]: activation_ranges(method.network, [tensors])},
    }
    return [json.dumps(kept).encode(), json.dumps({**kept, "folds": {}}).encode()]


def files_of(directory: Path) -> list[Path]:
    """Return the files of a store, a run or a table that are read, in one order."""
    names = ("*.json", "*.csv", "*.npy", "*.bin", "folds/*/model.json", "folds/*/best.safetensors", "units/*/*")
    return sorted(path for name in names for path in directory.glob(name))


def parts_of(directory: Path) -> list[bytes]:
    """Return the files of one, each behind the byte that tells which."""
    return [bytes([number]) + path.read_bytes() for number, path in enumerate(files_of(directory))]


@functools.cache
def _camera() -> tuple[bytes, int, int]:
    from tests.trees.gopro import write_camera_video

    filling = bytes(range(256)) * 4
    with tempfile.TemporaryDirectory() as folder:
        content = write_camera_video(Path(folder) / "v.MP4", [b"DEVC" + filling, b"DEVC" + bytes(4)]).read_bytes()
    return content, content.index(b"DEVC" + filling), 4 + len(filling)


@functools.cache
def made_store() -> Path:
    from mmtsa_cli.stages import sample

    folder = Path(tempfile.mkdtemp(prefix="mmtsa-fuzz-"))
    recordings = write_recordings(folder / "rec", subjects=("1", "2"))
    options = sample.CuttingOptions(frames=1, window_s=0.5, short_side=32)
    return sample.run(recordings, folder / "samples", options=options, jobs=1).output


@functools.cache
def made_run() -> Path:
    from mmtsa_cli.stages import train
    from tests.pipelines.conftest import SMALL

    folder = Path(tempfile.mkdtemp(prefix="mmtsa-fuzz-"))
    return train.run(made_store(), folder / "run", settings=SMALL[1::2], modalities=("acc",)).output


@functools.cache
def made_table() -> Path:
    from mmtsa_cli.stages import benchmark

    folder = Path(tempfile.mkdtemp(prefix="mmtsa-fuzz-"))
    benchmark.run(made_store(), folder / "table", methods=("decision-tree",), modalities=("acc",), seeds=2)
    return folder / "table"


def _saved(write: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()
