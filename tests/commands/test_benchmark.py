"""`mmtsa benchmark`: the table says what the predictions say, it goes on and grows, what is wrong is told."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmtsa_cli.errors import ManyErrors, UsageError
from mmtsa_cli.methods.registry import ENTRIES
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import benchmark, defaults
from mmtsa_cli.stages.recipe import read_recipe
from mmtsa_cli.stages.tables.bench_recipe import read_bench_recipe
from mmtsa_cli.stages.tables.plan import make_plan
from mmtsa_cli.stages.tables.published import TABLES, laid_out, systems_of
from mmtsa_cli.stages.tables.units import UnitResult

QUICK = """
sampling: {frame_size: 32, window: 1.0}
imaging: {field: both, scale: dataset, image_size: 32}
model: {backbone: resnet10, width: 0.125, hidden: 16}
training: {epochs: 1, batch_size: 28, optimizer: adamw, lr: 0.004, precision: float32, threads: 1}
draws: 2
"""
SEEN = "cross-subject--seed"


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK)
    return path


@pytest.fixture(scope="module")
def made(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> benchmark.BenchmarkResult:
    """A benchmark of two systems with two seeds on the sensors."""
    place = tmp_path_factory.mktemp("bench")
    (place / "quick.yaml").write_text(QUICK)
    return benchmark.run(
        samples,
        place / "bench",
        methods=("mmtsa", "decision-tree", "tsn-rgb"),
        recipe=str(place / "quick.yaml"),
        modalities=("rgb", "acc_phone"),
        seeds=2,
        jobs=2,
    )


@pytest.fixture
def bench(made: benchmark.BenchmarkResult, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(made.output, tmp_path / "copy"))


def predictions(bench: Path, method: str, seed: int) -> dict[str, np.ndarray]:
    with np.load(bench / "units" / f"{method}--{SEEN}-{seed}" / "predictions.npz", allow_pickle=False) as stored:
        return dict(stored)


def table(bench: Path) -> dict[str, dict]:
    return {row["method"]: row for row in json.loads((bench / "table.json").read_text())["rows"]}


def test_the_table_says_what_the_predictions_say(made: benchmark.BenchmarkResult, samples: Path) -> None:
    rows = table(made.output)
    assert list(rows) == ["mmtsa", "tsn-rgb", "decision-tree"]
    for method, row in rows.items():
        said = [predictions(made.output, method, seed) for seed in (0, 1)]
        right = [part["probabilities"].argmax(axis=1) == part["labels"] for part in said]
        accuracies = [part.mean() for part in right]
        assert row["accuracy"] == pytest.approx(np.mean(accuracies))
        assert row["deviation"] == pytest.approx(np.std(accuracies, ddof=1))
        assert row["interval_95"][0] <= row["accuracy"] <= row["interval_95"][1]
        assert (row["clips"], row["subjects"], row["seeds"], row["status"]) == (28, 1, [0, 1], "done")
    assert rows["mmtsa"]["modalities"] == ["rgb", "acc_phone"]
    assert rows["tsn-rgb"]["modalities"] == ["rgb"]
    assert rows["decision-tree"]["modalities"] == ["acc_phone"]
    assert not np.array_equal(*(predictions(made.output, "mmtsa", seed)["probabilities"] for seed in (0, 1)))


def test_costs_are_those_of_the_system_itself(made: benchmark.BenchmarkResult, samples: Path) -> None:
    from mmtsa_cli.artifacts.options import Source, to_options
    from mmtsa_cli.methods.mmtsa import Mmtsa, MmtsaOptions
    from mmtsa_cli.sampling.draw import DrawOptions, Samples

    row = table(made.output)["mmtsa"]
    unit = json.loads((made.output / "units" / f"mmtsa--{SEEN}-0" / "result.json").read_text())["unit"]
    own = {key: value for key, value in unit["settings"].items() if key not in ("sampling", "validation")}
    options = to_options(MmtsaOptions, Source("unit", own, {}))
    assert (options.training.epochs, options.model.width, options.imaging.field) == (1, 0.125, "both")
    store = Store(samples)
    drawn = Samples(store, range(4), modalities=("rgb", "acc_phone"), classes=store.labels,
                    options=DrawOptions(frame_size=32, window=1.0))  # fmt: skip
    cost = Mmtsa.for_samples(options, drawn).cost()
    assert row["parameters"] == cost.parameters
    # Two draws of a clip are two runs of the network.
    assert row["gmac"] == pytest.approx(2 * cost.macs / 1e9)
    assert row["epochs"] == 1
    assert row["threads"] == [1]
    assert min(row[key] for key in ("train_s", "latency_ms", "peak_mb", "kb_per_clip")) > 0
    assert table(made.output)["decision-tree"]["gmac"] is None


def test_files_of_a_benchmark(made: benchmark.BenchmarkResult) -> None:
    files = {path.name for path in made.output.iterdir()}
    assert files == {
        "manifest.json", "results.json", "table.md", "table.csv", "table.tex", "table.json", "accuracy-latency.png",
        "differences.md", "differences.csv", "differences.tex", "differences.json", "units",
    }  # fmt: skip
    assert cv2.imread(str(made.output / "accuracy-latency.png")).std() > 5
    row = table(made.output)["mmtsa"]
    (first, *_) = [r for r in csv.DictReader((made.output / "table.csv").open()) if r["method"] == "mmtsa"]
    assert first["accuracy = micro F1, %"] == f"{100 * row['accuracy']:.2f}"
    assert f"{100 * row['macro_f1']:.2f}" in (made.output / "table.md").read_text()
    units = json.loads((made.output / "results.json").read_text())
    assert len(units) == 6
    assert {unit["status"] for unit in units} == {"done"}
    manifest = json.loads((made.output / "manifest.json").read_text())
    assert manifest["results"]["done"] == ["mmtsa", "tsn-rgb", "decision-tree"]
    assert manifest["configuration"]["recipe"]["training"]["epochs"] == 1
    assert {path.name for path in (made.output / "units").iterdir()} == {
        f"{method}--{SEEN}-{seed}" for method in ("mmtsa", "tsn-rgb", "decision-tree") for seed in (0, 1)
    }


def test_asked_again_it_is_there_and_grows_by_other_systems(
    mmtsa, made: benchmark.BenchmarkResult, bench: Path, samples: Path
) -> None:
    recipe = made.output.parent / "quick.yaml"
    common = (samples, "-o", bench, "--recipe", recipe, "--modalities", "rgb,acc_phone", "--seeds", 2)
    again = mmtsa("benchmark", *common, "--methods", "mmtsa,tsn-rgb,decision-tree")
    assert f"{bench} already holds this result" in again.stderr
    before = {path: path.stat().st_mtime_ns for path in (bench / "units").rglob("*.*")}
    done = mmtsa("benchmark", *common, "--methods", "svm")
    assert [line for line in done.stderr.splitlines() if ", seed " in line and "Data:" not in line] == [
        line for line in done.stderr.splitlines() if line.startswith("svm, cross-subject, seed")
    ]
    assert list(table(bench)) == ["mmtsa", "tsn-rgb", "svm", "decision-tree"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "svm" in done.stdout
    assert "Seeds: 0, 1, scores are their mean" in done.stderr
    # Rich text for people only.
    assert list(json.loads(mmtsa("benchmark", *common, "--methods", "svm", "--json").stdout)) == [
        "protocol", "data", "folds", "seeds", "rows", "notes",
    ]  # fmt: skip


def test_a_directory_of_other_samples_or_settings_is_refused(
    mmtsa, made: benchmark.BenchmarkResult, bench: Path, samples: Path, tmp_path: Path
) -> None:
    recipe = made.output.parent / "quick.yaml"
    common = ("-o", bench, "--recipe", recipe, "--modalities", "rgb,acc_phone", "--methods", "decision-tree")
    other = Path(shutil.copytree(samples, tmp_path / "other"))
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**manifest, "seed": 77}))
    refused = mmtsa("benchmark", other, *common, expect=2)
    assert f"--output {bench}: made with other samples, expected {samples} as it was then, found {other}" in (
        refused.stderr
    )
    refused = mmtsa("benchmark", samples, *common, "--set", "training.epochs=2", expect=2)
    assert "made with other settings (configuration.recipe.training.epochs: 1 -> 2)" in refused.stderr
    assert table(bench) == table(made.output)
    mmtsa("benchmark", samples, *common, "--set", "training.epochs=2", "--overwrite")
    assert list(table(bench)) == ["decision-tree"]
    strange = tmp_path / "mine"
    strange.mkdir()
    (strange / "letter.txt").touch()
    refused = mmtsa("benchmark", samples, "-o", strange, "--methods", "svm", "--overwrite", expect=2)
    assert "exists and was not made by mmtsa" in refused.stderr
    assert (strange / "letter.txt").is_file()


def test_a_directory_that_another_process_writes_is_left_to_it(mmtsa, bench: Path, samples: Path) -> None:
    other = json.dumps({"pid": 1, "host": socket.gethostname()})
    (bench / ".writing").write_text(other)
    refused = mmtsa("benchmark", samples, "-o", bench, "--methods", "svm", "--overwrite", expect=1)
    assert f"{bench}: being written by process 1" in refused.stderr
    assert (bench / ".writing").read_text() == other
    assert table(bench)


def test_a_disk_that_is_full_is_told_and_units_are_kept(
    mmtsa, made: benchmark.BenchmarkResult, bench: Path, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mmtsa_cli.stages.benchmark.write_tables", fail)
    recipe = made.output.parent / "quick.yaml"
    common = (samples, "-o", bench, "--recipe", recipe, "--modalities", "rgb,acc_phone", "--seeds", 2)
    full = mmtsa("benchmark", *common, "--methods", "mmtsa", expect=1)
    assert f"{bench}: cannot be written: No space left on device; what is finished is kept" in full.stderr
    assert len(list((bench / "units").iterdir())) == 6
    assert not (bench / ".writing").exists()


def test_a_system_without_its_modality_is_left_out_by_name(mmtsa, samples: Path, quick: Path, tmp_path: Path) -> None:
    common = (samples, "-o", tmp_path / "bench", "--recipe", quick, "--modalities", "acc_phone")
    done = mmtsa("benchmark", *common, "--methods", "tsn-rgb,decision-tree")
    assert "left out: tsn-rgb: needs a video" in done.stderr
    assert table(tmp_path / "bench")["tsn-rgb"]["outcome"] == "left out: needs a video"
    manifest = json.loads((tmp_path / "bench" / "manifest.json").read_text())
    assert manifest["results"]["left_out"] == ["tsn-rgb"]
    assert manifest["results"]["why"] == {"tsn-rgb": "left out: needs a video"}
    alone = mmtsa("benchmark", *common, "--methods", "tsn-rgb", expect=1)
    assert "tsn-rgb needs a video" in alone.stderr
    assert "found acc_phone" in alone.stderr


def test_a_training_that_fails_is_a_row_and_the_table_goes_on(
    mmtsa, samples: Path, quick: Path, tmp_path: Path
) -> None:
    settings = ("--set", "training.lr=1e30", "--set", "training.clip_norm=0", "--set", "training.batch_size=7")
    common = (samples, "-o", tmp_path / "bench", "--recipe", quick, "--modalities", "acc_phone,gyro,rgb", *settings)
    done = mmtsa("benchmark", *common, "--methods", "tsn-rgb,decision-tree")
    rows = table(tmp_path / "bench")
    assert rows["tsn-rgb"]["status"] == "failed"
    assert "the loss is nan at step" in rows["tsn-rgb"]["outcome"]
    assert "tsn-rgb, cross-subject, seed 0: failed: training: the loss is nan at step" in done.stderr
    assert rows["decision-tree"]["accuracy"] > 0
    assert "failed: training: the loss is nan" in (tmp_path / "bench" / "table.md").read_text()


def test_where_every_system_fails_the_command_fails(
    mmtsa, samples: Path, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(samples, units, directory, **how) -> list[UnitResult]:
        return [UnitResult(unit, "failed", "a reason") for unit in units]

    monkeypatch.setattr(benchmark, "run_units", fail)
    common = ("--recipe", quick, "--methods", "svm,tsn-rgb", "--seeds", 2)
    done = mmtsa("benchmark", samples, "-o", tmp_path / "bench", *common, expect=1)
    assert "every system failed, found failed (2 of 2 units): a reason" in done.stderr
    assert [row["status"] for row in table(tmp_path / "bench").values()] == ["failed", "failed"]


def test_a_fold_without_one_class(mmtsa, samples: Path, quick: Path, tmp_path: Path) -> None:
    labels = Store(samples).labels
    split = tmp_path / "split.yaml"
    some = json.dumps(list(labels[:5]))
    split.write_text(f'train: {{subject: ["1", "2", "3"]}}\ntest: {{subject: ["4"], label: {some}}}\n')
    common = (samples, "--recipe", quick, "--methods", "decision-tree", "--protocol", split)
    done = json.loads(mmtsa("benchmark", *common, "-o", tmp_path / "bench", "--json").stdout)
    assert done["rows"][0]["clips"] == sum(
        clip["subject"] == "4" and clip["label"] in labels[:5] for clip in Store(samples).clips
    )
    assert done["protocol"] == "split"
    split.write_text(f'train: {{subject: ["1", "2", "3"], label: {some}}}\ntest: {{subject: ["4"]}}\n')
    refused = mmtsa("benchmark", *common, "-o", tmp_path / "other", expect=1)
    assert "in the test part of fold split that training never saw" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_a_file_of_groups_that_misses_a_class(mmtsa, samples: Path, quick: Path, tmp_path: Path) -> None:
    labels = sorted({clip["label"] for clip in Store(samples).clips})
    groups = tmp_path / "groups.csv"
    groups.write_text("label,group\n" + "".join(f"{label},group {n % 2}\n" for n, label in enumerate(labels[:-1])))
    common = (samples, "-o", tmp_path / "bench", "--recipe", quick, "--set", f"methods.mumu.groups={groups}")
    done = json.loads(mmtsa("benchmark", *common, "--methods", "mumu,decision-tree", "--json").stdout)
    outcomes = {row["method"]: row.get("outcome") for row in done["rows"]}
    assert outcomes["decision-tree"] is None
    assert f"no group for {labels[-1]}, expected a group for every class" in outcomes["mumu"]
    groups.unlink()
    refused = mmtsa("benchmark", *common, "--methods", "mumu", expect=2)
    assert "groups.csv: cannot be read: No such file" in refused.stderr


def test_names_and_options_that_are_wrong(mmtsa, samples: Path, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "bench")
    assert "did you mean hamlet?" in mmtsa("benchmark", samples, *out, "--methods", "hamlett", expect=2).stderr
    assert "no modality 'sonar'" in mmtsa("benchmark", samples, *out, "--modalities", "sonar", expect=2).stderr
    (tmp_path / "file").touch()
    nowhere = mmtsa("benchmark", samples, "-o", tmp_path / "file" / "bench", "--methods", "svm", expect=1)
    assert "cannot be written: Not a directory" in nowhere.stderr
    assert "missing option -o" in mmtsa("benchmark", samples, expect=2).stderr
    long = mmtsa("benchmark", samples, *out, "--methods", "svm", "--set", "sampling.window=99", expect=2)
    assert "sampling.window: a window longer than the shortest clip" in long.stderr
    early = mmtsa("benchmark", samples, *out, "--methods", "mmtsa", "--set", "training.patience=3", expect=2)
    assert "early stopping of mmtsa without validation clips" in early.stderr
    assert not (tmp_path / "bench").exists()


def test_without_samples_the_synthetic_ones_and_the_small_recipe(
    mmtsa, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*, note) -> Path:
        note("no data named: using synthetic recordings in there")
        return samples

    monkeypatch.setattr(defaults, "synthetic_samples", found)
    done = mmtsa("benchmark", "-o", tmp_path / "bench", "--methods", "decision-tree")
    assert done.stderr.startswith("no data named: using synthetic recordings in there\n")
    recipe = json.loads((tmp_path / "bench" / "manifest.json").read_text())["configuration"]["recipe"]
    assert recipe == json.loads(json.dumps(read_bench_recipe("benchmark-small").configuration()))


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_what_is_said_later_in_a_recipe_counts(tmp_path: Path) -> None:
    plain = read_bench_recipe(None)
    own = plain.settings_of("hamlet")["training"]
    common = read_bench_recipe(write(tmp_path / "a.yaml", "training: {epochs: 3}\nsampling: {frame_size: 64}\n"))
    # What the recipe does not say stays as HAMLET's publication has it.
    assert common.settings_of("hamlet")["training"] == {**own, "epochs": 3}
    assert common.settings_of("hamlet")["sampling"]["frame_size"] == 64
    assert own != plain.settings_of("mmtsa")["training"]
    text = "training: {epochs: 3, lr: 0.5}\nmethods:\n  hamlet:\n    training: {lr: 0.25}\n"
    both = read_bench_recipe(write(tmp_path / "b.yaml", text), ["methods.hamlet.draws=4"])
    assert both.settings_of("hamlet")["training"] == {**own, "epochs": 3, "lr": 0.25}
    assert both.settings_of("hamlet")["draws"] == 4
    assert (both.settings_of("mmtsa")["training"]["lr"], both.settings_of("mmtsa")["draws"]) == (0.5, 1)
    # A system without networks takes nothing of theirs.
    assert set(both.settings_of("decision-tree")) & {"training", "model", "draws"} == set()


def test_a_recipe_may_say_what_a_system_gets(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("methods:\n  mmtsa:\n    modalities: [acc, gyro]\n    draws: 3\n")
    plan = make_plan(samples, ["mmtsa", "tsn-fusion"], str(path), (), None, None, 1, None)
    assert plan.modalities["mmtsa"] == ("acc_phone", "acc_watch", "gyro")
    assert plan.modalities["tsn-fusion"] == ("rgb", "acc_phone", "acc_watch", "gyro", "orientation")
    (unit,) = plan.units("mmtsa")
    assert unit.modalities == plan.modalities["mmtsa"]
    assert (unit.settings["draws"], "modalities" in unit.settings) == (3, False)
    assert read_recipe(str(path)).modalities == ("acc", "gyro")
    for text, message in (
        ("[sonar]", r"line 3: no modality 'sonar' in the data"),
        ("acc", r"line 3: not a list of modalities, expected as in \[acc, gyro\], found acc"),
    ):
        path.write_text(f"methods:\n  mmtsa:\n    modalities: {text}\n")
        with pytest.raises(UsageError, match=message):
            make_plan(samples, ["mmtsa"], str(path), (), None, None, 1, None)


def test_every_system_takes_the_packaged_recipes() -> None:
    for name in ("benchmark-small", "recommended", "paper", "synthetic"):
        recipe = read_bench_recipe(name)
        for entry in ENTRIES:
            assert recipe.settings_of(entry.name)["sampling"] == recipe.sampling


@pytest.mark.parametrize(
    ("text", "method", "message"),
    [
        ("trainig: {epochs: 3}\n", None, r"recipe\.yaml, line 1: unknown key trainig; did you mean training\?"),
        ("seed: 3\n", None, r"line 1: unknown key seed; it is of a training: a table has --seeds"),
        (
            "warm_start: true\n",
            None,
            r"line 1: unknown key warm_start; it is of mmtsa alone: set methods.mmtsa.warm_start",
        ),
        ("training: {epochz: 3}\n", None, r"line 1: unknown key training\.epochz; did you mean epochs\?"),
        ("sampling:\n  window: -1\n", None, r"line 2: sampling\.window is wrong, expected a number above 0"),
        ("methods:\n  hamlett: {}\n", None, r"line 2: no method 'hamlett'; did you mean hamlet\?"),
        ("methods:\n  hamlet:\n    drawz: 2\n", "hamlet", r"line 3: unknown key drawz; did you mean draws\?"),
        ("methods:\n  hamlet:\n    draws: x\n", "hamlet", r"line 3: draws is wrong, expected a whole number"),
        ("methods: 3\n", None, r"line 1: methods is wrong, expected names"),
    ],
)
def test_a_recipe_that_is_wrong_says_where(tmp_path: Path, text: str, method: str | None, message: str) -> None:
    path = write(tmp_path / "recipe.yaml", text)
    with pytest.raises((ManyErrors, UsageError), match=message):
        read_bench_recipe(path).settings_of(method or "mmtsa")


def test_the_tables_of_the_paper_stand_beside_what_is_measured() -> None:
    rows = [
        {"method": "mmtsa", "status": "done", "accuracy": 0.5, "interval_95": [0.25, 0.75]},
        {"method": "keyless", "status": "failed", "outcome": "failed: a reason"},
        {"method": "student", "status": "left out", "outcome": "left out: needs a video"},
    ]
    title, columns, lines, notes = laid_out(1, rows, protocol="cross-session", data="toy")
    assert title == "Table 1: cross-subject and cross-session performance comparison on MMAct"
    assert [column.title for column in columns][3::4] == [
        "F1, %, MMAct cross-subject (published)",
        "F1, %, MMAct cross-session (published)",
    ]
    assert len(lines) == 8
    last = lines[-1]
    assert (last["published_0"], last["measured_0"]) == (87.41, None)
    assert (last["published_1"], last["measured_1"], last["interval_1"]) == (94.07, 0.5, [0.25, 0.75])
    assert lines[3]["measured_1"] == "failed"
    assert notes[1:] == ["keyless: failed: a reason", "student: left out: needs a video"]
    _, _, lines, _ = laid_out(1, rows, protocol="cross-subject", data="toy")
    assert (lines[-1]["measured_0"], lines[-1]["measured_1"]) == (0.5, None)
    published = [line["published_0"] for line in laid_out(2, [], protocol="x", data="toy")[2]]
    assert published == [47.75, 51.80, 65.60, 69.00, 76.50, 78.44, 80.45, 80.50, 81.00, 83.71]
    assert systems_of(3) == ("tsn-rgb", "mmtsa")
    assert {name for number in TABLES for name in systems_of(number)} == {e.name for e in ENTRIES} - {"mmtsa-concat"}


def test_a_table_of_the_paper_is_written_and_names_its_systems(
    mmtsa, made: benchmark.BenchmarkResult, bench: Path, samples: Path
) -> None:
    recipe = made.output.parent / "quick.yaml"
    common = (samples, "-o", bench, "--recipe", recipe, "--modalities", "rgb,acc_phone", "--seeds", 2)
    done = mmtsa("benchmark", *common, "--table", 3)
    assert "seed 0:" not in done.stderr, "both systems of table 3 were there"
    text = (bench / "table-3.md").read_text()
    assert "TSN (RGB), Wang et al. (2016)" in text
    assert "83.22" in text
    assert f"{100 * table(bench)['mmtsa']['accuracy']:.2f}" in text
    assert {f"table-3.{ending}" for ending in ("md", "csv", "tex", "json")} <= {path.name for path in bench.iterdir()}
    assert "65.77" in done.stdout
    assert "they compare with measured ones only on the same data" in done.stderr


def test_every_system_is_held_against_the_best(mmtsa, made: benchmark.BenchmarkResult, bench: Path) -> None:
    facts = json.loads((made.output / "differences.json").read_text())
    rows = table(made.output)
    best = max(rows, key=lambda name: rows[name]["accuracy"])
    assert best in facts["title"]
    assert {row["method"] for row in facts["rows"]} == set(rows) - {best}
    for row in facts["rows"]:
        wanted = rows[row["method"]]["accuracy"] - rows[best]["accuracy"]
        assert row["difference"] == pytest.approx(wanted)
        low, high = row["interval_95"]
        assert low <= row["difference"] <= high
        assert row["verdict"] == ("yes" if high < 0 or low > 0 else "no")
        hits = [
            predictions(made.output, name, 0)["probabilities"].argmax(axis=1)
            == predictions(made.output, name, 0)["labels"]
            for name in (row["method"], best)
        ]
        assert row["first_only"] == int((hits[0] & ~hits[1]).sum())
        assert row["holm_p"] >= row["mcnemar_p"]
    assert "beyond chance" in (made.output / "differences.md").read_text()


def test_two_benchmarks_are_compared(mmtsa, made: benchmark.BenchmarkResult, bench: Path) -> None:
    for seed in (0, 1):
        path = bench / "units" / f"decision-tree--{SEEN}-{seed}" / "predictions.npz"
        said = predictions(bench, "decision-tree", seed)
        # All wrong: the next class is said of every clip.
        count = said["probabilities"].shape[1]
        said["probabilities"] = np.eye(count)[(said["labels"] + 1) % count]
        np.savez(path, **said)
    facts = json.loads(mmtsa("benchmark", "--compare", made.output, bench, "--json").stdout)
    rows = {row["method"]: row for row in facts["rows"]}
    assert list(rows) == ["mmtsa", "tsn-rgb", "decision-tree"]
    accuracy = table(made.output)["decision-tree"]["accuracy"]
    assert (rows["mmtsa"]["difference"], rows["mmtsa"]["verdict"], rows["mmtsa"]["mcnemar_p"]) == (0, "no", 1)
    tree = rows["decision-tree"]
    assert (tree["first"], tree["second"], tree["difference"]) == pytest.approx((accuracy, 0, accuracy))
    assert tree["verdict"] == "yes"
    assert tree["interval_95"][0] > 0
    right = predictions(made.output, "decision-tree", 0)
    hits = int((right["probabilities"].argmax(axis=1) == right["labels"]).sum())
    assert (tree["first_only"], tree["second_only"]) == (hits, 0)
    assert tree["mcnemar_p"] == pytest.approx(2 / 2**hits)
    assert tree["holm_p"] == pytest.approx(3 * tree["mcnemar_p"])
    shown = mmtsa("benchmark", "--compare", made.output, bench)
    assert "McNemar" in shown.stdout
    assert f"{100 * accuracy:.2f}" in shown.stdout
    assert "28 test clips of 1 subjects; seeds 0, 1" in shown.stderr


@pytest.mark.parametrize("damage", ["cut", "classes", "labels", "figures"])
def test_damaged_units_are_not_compared(mmtsa, made: benchmark.BenchmarkResult, bench: Path, damage: str) -> None:
    unit = bench / "units" / f"decision-tree--{SEEN}-0"
    said, path = predictions(bench, "decision-tree", 0), unit / "predictions.npz"
    told, result = json.loads((unit / "result.json").read_text()), unit / "result.json"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif damage == "classes":
        result.write_text(json.dumps({**told, "classes": told["classes"][1:]}))
    elif damage == "labels":
        np.savez(path, **{**said, "labels": said["labels"] + said["probabilities"].shape[1]})
    else:
        result.write_text(json.dumps({**told, "measured": {**told["measured"], "seconds": "soon"}}))
    refused = mmtsa("benchmark", "--compare", made.output, bench, expect=1)
    (line,) = refused.stderr.strip().splitlines()
    assert f"{unit if damage == 'figures' else path}: damaged" in line


def test_what_cannot_be_compared(
    mmtsa, made: benchmark.BenchmarkResult, bench: Path, samples: Path, tmp_path: Path
) -> None:
    assert "no such directory" in mmtsa("benchmark", "--compare", bench, tmp_path / "no", expect=1).stderr
    assert "the result of sample" in mmtsa("benchmark", "--compare", bench, samples, expect=1).stderr
    path = bench / "units" / f"mmtsa--{SEEN}-0" / "predictions.npz"
    said = predictions(bench, "mmtsa", 0)
    np.savez(path, **{name: values[1:] for name, values in said.items()})
    other = mmtsa("benchmark", "--compare", bench, made.output, expect=1)
    assert "mmtsa: the seeds were tested on different clips" in other.stderr
    shutil.copy(path, bench / "units" / f"mmtsa--{SEEN}-1" / "predictions.npz")
    other = mmtsa("benchmark", "--compare", bench, made.output, expect=1)
    assert "mmtsa was tested on other clips, expected the same test clips in both, found 27 and 28, 27 of them in" in (
        other.stderr
    )
    (bench / "results.json").write_text("[]")
    assert "no system is in both" in mmtsa("benchmark", "--compare", bench, made.output, expect=1).stderr
    (bench / "results.json").unlink()
    assert "the benchmark is not finished" in mmtsa("benchmark", "--compare", bench, made.output, expect=1).stderr
