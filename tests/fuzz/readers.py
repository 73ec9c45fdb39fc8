"""The readers, each as a function of bytes: `one_input(reader, data)` returns, or what it raises is a defect."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.recordings.index import Dataset, ModalitySpec, Recording, read_index
from tests.fuzz import seeds
from tests.fuzz.limits import bounded, check_lines

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Attributes
    ----------
    read : callable
        Takes the file that holds the bytes.
    file : str
        Its name.
    seeds : callable
        Returns sound contents, made up, to begin with.
    setup : callable, optional
        Takes the directory and writes what is sound beside the file.
    place : callable, optional
        Takes the directory and the bytes, and puts them where they belong; None: they are the file.
    factor : int
        Bytes of memory for each byte of the file: a text of digits and commas becomes float64 and Python's own texts.
    """

    read: Callable[[Path], object]
    file: str
    seeds: Callable[[], list[bytes]]
    setup: Callable[[Path], object] | None = None
    place: Callable[[Path, bytes], object] | None = None
    factor: int = 2000


def one_input(name: str, data: bytes) -> bool:
    """Give a reader these bytes as its file; return whether it took them.

    Raises
    ------
    Exception
        Anything but an error of ours in one printable line: a defect.
    """
    reader = READERS[name]
    directory = _directory(name)
    file = directory / reader.file
    if reader.place:
        reader.place(directory, data)
    else:
        file.write_bytes(data)
    try:
        with bounded(len(data), reader.factor):
            reader.read(file)
    except MmtsaError as error:
        check_lines(error)
        return False
    return True


@functools.cache
def _directory(name: str) -> Path:
    directory = Path(tempfile.mkdtemp(prefix=f"mmtsa-fuzz-{name}-"))
    reader = READERS[name]
    if reader.setup:
        reader.setup(directory)
    # Once without a bound: what a library is loaded with on its first use is nothing that a file can ask for.
    (reader.place or (lambda folder, data: (folder / reader.file).write_bytes(data)))(directory, reader.seeds()[0])
    with contextlib.suppress(MmtsaError):
        reader.read(directory / reader.file)
    return directory


def _sampled(spec: ModalitySpec) -> Callable[[Path], object]:
    """Return what reads a sensor's file as `sample` does."""

    def read(file: Path) -> object:
        from mmtsa_cli.recordings.clip import open_clip
        from mmtsa_cli.sampling.packing import CuttingOptions, pack_part

        dataset = Dataset("fuzz", file.parent, {"acc": spec}, ())
        recording = Recording("r", "walk", {"id": "r", "label": "walk"}, {"acc": file})
        with open_clip(dataset, recording, ["acc"]) as clip:
            rate = spec.rate or clip.series["acc"].rate
            return pack_part(clip, dataset, recording, ["acc"], {"acc": rate}, CuttingOptions(window_s=0.1))

    return read


def _mat(file: Path) -> object:
    from mmtsa_cli.recordings.video_files import open_video

    try:
        with open_video(file, ModalitySpec("video", rate=10.0)) as video:
            return video.frames_at([0.0, video.info.duration_s / 2])
    except MmtsaError as error:
        check_lines(error)
    return _sampled(ModalitySpec("sensor", rate=50.0))(file)


def _video(file: Path) -> object:
    from mmtsa_cli.recordings.video_files import open_video

    with open_video(file, ModalitySpec("video")) as video:
        video.probe()
        return video.frames_at([0.0, 0.2, video.info.duration_s / 2, video.info.duration_s])


def _index(file: Path) -> object:
    from mmtsa_cli.recordings.clip import open_clip
    from mmtsa_cli.sampling.protocols import resolve

    dataset = read_index(file.parent)
    columns = [{**recording.columns, "id": recording.id, "label": recording.label} for recording in dataset.recordings]
    for protocol in (None, *dataset.protocols):
        try:
            resolve(protocol, columns, published=dataset.protocols, default=dataset.default_protocol)
        except MmtsaError as error:
            check_lines(error)
    with open_clip(dataset, dataset.recordings[0], ["acc"] if "acc" in dataset.modalities else []) as clip:
        return clip.end_s


def _recipe(file: Path) -> object:
    from mmtsa_cli.artifacts.options import to_mapping
    from mmtsa_cli.stages.recipe import read_recipe

    return to_mapping(read_recipe(str(file)))


def _bench_recipe(file: Path) -> object:
    from mmtsa_cli.methods.registry import entries
    from mmtsa_cli.stages.tables.bench_recipe import read_bench_recipe

    recipe = read_bench_recipe(str(file))
    recipe.configuration()
    for name in dict.fromkeys((*recipe.methods, *entries())):
        for part in (recipe.settings_of, lambda name: recipe.available_to(name, {"rgb": "video", "acc": "sensor"})):
            try:
                part(name)
            except MmtsaError as error:
                check_lines(error)
    return recipe


def _manifest(file: Path) -> object:
    from mmtsa_cli.artifacts.manifest import Manifest, fingerprint, read_manifest

    manifest = read_manifest(file.parent)
    fingerprint(file.parent)
    manifest.same_work(Manifest("sample"))
    return manifest.differences(Manifest("sample", {"window_s": 1.0}, 3, {"rec": "sha256:0"}))


def _protocol(file: Path) -> object:
    from mmtsa_cli.sampling.protocols import resolve

    return resolve(str(file), seeds.CLIPS, published={})


def _weights(file: Path) -> object:
    from mmtsa_cli.models.weights import load_tensors

    return load_tensors(str(file))


def _checkpoint(file: Path) -> object:
    from mmtsa_cli.training import checkpoint

    try:
        checkpoint.load_tensors(file)
    except MmtsaError as error:
        check_lines(error)
    return _weights(file)


def _store(file: Path) -> object:
    import numpy as np

    from mmtsa_cli.sampling.draw import DrawOptions, Samples
    from mmtsa_cli.sampling.store import Store

    store = Store(file.parent)
    samples = Samples(
        store,
        range(len(store)),
        modalities=tuple(store.header.modalities),
        classes=store.labels,
        options=DrawOptions(frame_size=16),
    )
    for clip in range(min(len(store), 3)):
        samples.batch([clip], generators=[np.random.default_rng(0)])
        samples.batch([clip], generators=None)
    return store


def _of_parts(read: Callable[[Path], object], file: str, made: Callable[[], Path]) -> Reader:
    """Return the reader of a directory, one file of which, told by the first byte, the rest stands in place of."""

    def place(directory: Path, data: bytes) -> None:
        sound = directory / "sound"
        chosen = seeds.files_of(sound)
        for each in chosen:
            (directory / each.relative_to(sound)).write_bytes(each.read_bytes())
        if data:
            target = chosen[data[0] % len(chosen)]
            (directory / target.relative_to(sound)).write_bytes(data[1:])

    return Reader(
        read,
        file,
        lambda: seeds.parts_of(made()),
        setup=lambda directory: seeds.write_sound(made, directory),
        place=place,
    )


def _run(file: Path) -> object:
    from mmtsa_cli.stages.trainings.trained import drawing, open_run, restore

    run = open_run(file.parent)
    for model in run.folds(None):
        drawing(run.recipe, model)
        restore(run, model)
    return run


def _table(file: Path) -> object:
    from mmtsa_cli.stages.tables.compare import _results
    from mmtsa_cli.stages.tables.pooled import pooled

    # All that `--compare` reads, without its bootstrap, in which a search would spend its time.
    return [pooled(results) for results in _results(file.parent).values()]


def _integers(file: Path) -> object:
    import torch

    from mmtsa_cli.stages.integers import read_ranges
    from mmtsa_cli.stages.trainings.trained import open_run, restore

    run = open_run(file.parent / "run")
    ranges = read_ranges(file.parent, run)
    for model in run.models:
        if model["fold"] in ranges:
            method = restore(run, model)
            tensors = {name: torch.zeros_like(value, device="cpu") for name, value in method._example().items()}
            method.compute_in_integers(ranges[model["fold"]])
            with torch.inference_mode():
                assert method.network_for_inference()[0](tensors)[0].isfinite().all()
    return ranges


def _archive(file: Path) -> object:
    import shutil

    from mmtsa_cli.recordings.datasets.archives import unpack

    inside = file.parent / "inside" / "deep"
    shutil.rmtree(inside.parent, ignore_errors=True)
    inside.mkdir(parents=True)
    try:
        unpack(file, inside)
    finally:
        escaped = [path.name for path in (*file.parent.iterdir(), *inside.parent.iterdir())]
        assert sorted(escaped) == sorted([file.name, "inside", "deep"]), escaped
        assert not any(path.is_symlink() for path in inside.rglob("*"))
    return inside


def _rows(file: Path) -> object:
    from mmtsa_cli.recordings.live_rows import LiveRows, LiveSensor

    sensors = {name: LiveSensor(("x", "y", "z"), True, 50.0) for name in ("acc", "gyro")}
    rows, data = LiveRows(sensors, tell=lambda text: None), file.read_bytes()
    found = [row for at in range(0, len(data), 100) for row in rows.feed(data[at : at + 100], at / 100)]
    return [*found, *rows.finish(len(data) / 100)]


def _telemetry(file: Path) -> object:
    from mmtsa_cli.recordings.telemetry import SENSORS, open_telemetry, sensors_of

    sensors_of(file)
    for key in SENSORS[:2]:
        try:
            open_telemetry(file, key)
        except MmtsaError as error:
            check_lines(error)
    return None


READERS: dict[str, Reader] = {
    "csv": Reader(_sampled(ModalitySpec("sensor", columns=None)), "acc.csv", seeds.tables),
    "csv-rate": Reader(_sampled(ModalitySpec("sensor", rate=50.0)), "acc.txt", seeds.tables),
    # MATLAB's own compression reaches 1 : 1032, and a byte becomes a float64.
    "mat": Reader(_mat, "acc.mat", seeds.mats, factor=40_000),
    "npy": Reader(_sampled(ModalitySpec("sensor", rate=50.0)), "acc.npy", seeds.arrays),
    "index": Reader(_index, "index.csv", seeds.indices, setup=seeds.write_sensor),
    "description": Reader(_index, "dataset.yaml", seeds.descriptions, setup=seeds.write_index),
    "recipe": Reader(_recipe, "recipe.yaml", seeds.recipes),
    "bench-recipe": Reader(_bench_recipe, "recipe.yaml", seeds.bench_recipes),
    "protocol": Reader(_protocol, "protocol.yaml", seeds.protocols),
    "manifest": Reader(_manifest, "manifest.json", seeds.manifests),
    "safetensors": Reader(_checkpoint, "last.safetensors", seeds.safetensors),
    "pth": Reader(_weights, "weights.pth", seeds.pickles),
    "store": _of_parts(_store, "store.json", seeds.made_store),
    "run": _of_parts(_run, "manifest.json", seeds.made_run),
    "table": _of_parts(_table, "manifest.json", seeds.made_table),
    "integers": Reader(_integers, "integers.json", seeds.ranges, setup=seeds.write_evaluation),
    "video": Reader(_video, "rgb.mp4", seeds.videos),
    "telemetry": Reader(_telemetry, "GX010001.MP4", seeds.telemetry, place=seeds.place_telemetry),
    "archive": Reader(_archive, "archive.zip", seeds.archives),
    "rows": Reader(_rows, "rows.txt", seeds.rows),
}
