"""Small models by the command line: students of a run, fewer segments, shared backbones, variants in a benchmark."""

import csv
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from mmtsa_cli.artifacts.manifest import fingerprint
from mmtsa_cli.stages import train
from tests.commands.test_train import QUICK, relabelled

NAMES = ("rgb", "acc_phone", "gyro")
FOLD = "cross-subject"


@pytest.fixture(scope="module")
def made(samples, tmp_path_factory):
    """A recipe, a teacher of one epoch, and a network whose sensors share a backbone."""
    at = tmp_path_factory.mktemp("small")
    (at / "quick.yaml").write_text(QUICK)
    quick = {"recipe": str(at / "quick.yaml"), "modalities": NAMES}
    train.run(samples, at / "teacher", **quick, settings=("training.epochs=1",))
    shared = ("training.epochs=1", "model.backbone=resnet10", "model.shared_sensors=true", "model.modality_dropout=0.3")
    train.run(samples, at / "shared", **quick, settings=shared)
    return at


def distil(mmtsa, made, samples, output, *options, teacher=None, expect=0):
    settings = ("--set", "training.epochs=1", "--set", f"distillation.teacher={teacher or made / 'teacher'}")
    recipe = ("--recipe", made / "quick.yaml")
    return mmtsa("train", samples, "-o", output, *recipe, *settings, *options, expect=expect)


def weights(run):
    return load_file(run / "folds" / FOLD / "best.safetensors")


def test_a_student_of_a_run_costs_less_and_says_whose_it_is(mmtsa, made, samples, tmp_path):
    smaller = ("--modalities", "gyro", "--set", "sampling.segments=2", "--set", "model.width=0.1")
    distil(mmtsa, made, samples, tmp_path / "student", *smaller)
    manifest = json.loads((tmp_path / "student" / "manifest.json").read_text())
    assert manifest["inputs"][str(made / "teacher")] == fingerprint(made / "teacher")
    plain = ("--recipe", made / "quick.yaml", "--set", "training.epochs=1")
    mmtsa("train", samples, "-o", tmp_path / "plain", *plain, *smaller)
    taught, alone = weights(tmp_path / "student"), weights(tmp_path / "plain")
    assert taught.keys() == alone.keys()
    assert any(not np.array_equal(taught[name], alone[name]) for name in taught)
    assert sum(value.size for value in taught.values()) < sum(
        value.size for value in weights(made / "teacher").values()
    )
    # The run stands alone: its teacher is not needed to use it.
    done = mmtsa("eval", tmp_path / "student", samples, "-o", tmp_path / "eval", "--json")
    assert json.loads(done.stdout)["n"] == 28
    # The same teacher, the same result; another one, another input.
    assert "already holds this result" in distil(mmtsa, made, samples, tmp_path / "student", *smaller).stderr


def test_a_teacher_of_another_fold_or_that_has_seen_the_test_part_is_refused(mmtsa, made, samples, tmp_path):
    split = tmp_path / "split.yaml"
    split.write_text("train: {subject: ['4', '1']}\ntest: {subject: ['2', '3']}\n")
    done = distil(mmtsa, made, samples, tmp_path / "run", "--protocol", split, expect=1)
    assert "the teacher was trained on id" in done.stderr
    assert "of the test part of fold split" in done.stderr
    # Other sessions of the same people are other clips, which the teacher has not seen; the people it has.
    sessions = tmp_path / "sessions.yaml"
    sessions.write_text("train: {session: ['1'], subject: ['1']}\ntest: {session: ['2'], subject: ['2']}\n")
    teacher = tmp_path / "teacher"
    half = tmp_path / "half.yaml"
    half.write_text("train: {session: ['1'], subject: ['1', '2']}\ntest: {session: ['2'], subject: ['3']}\n")
    recipe = ("--recipe", made / "quick.yaml", "--set", "training.epochs=1", "--modalities", "gyro")
    mmtsa("train", samples, "-o", teacher, *recipe, "--protocol", half)
    done = distil(mmtsa, made, samples, tmp_path / "run", "--protocol", sessions, teacher=teacher, expect=1)
    assert "the teacher was trained on subject 2 of the test part" in done.stderr
    done = distil(mmtsa, made, samples, tmp_path / "run", "--protocol", "leave-one-subject-out", expect=2)
    assert "the teacher was trained with other folds" in done.stderr
    assert not list(tmp_path.glob("run*"))


def test_a_student_of_several_folds_learns_from_the_network_of_its_fold(mmtsa, made, samples, tmp_path):
    recipe = ("--recipe", made / "quick.yaml", "--set", "training.epochs=1", "--modalities", "gyro")
    folds = ("--protocol", "2-fold-subject")
    mmtsa("train", samples, "-o", tmp_path / "teacher", *recipe, *folds)
    distil(mmtsa, made, samples, tmp_path / "run", "--modalities", "gyro", *folds, teacher=tmp_path / "teacher")
    assert sorted(path.name for path in (tmp_path / "run" / "folds").iterdir()) == ["fold-1", "fold-2"]


def test_a_teacher_that_cannot_teach_says_why(mmtsa, made, samples, synthetic, tmp_path):
    output = tmp_path / "run"
    other = relabelled(samples, tmp_path / "other", lambda row: row["label"].replace("sitting", "lounging"))
    done = distil(mmtsa, made, other, output, expect=1)
    assert "the teacher knows other classes, expected the 14 of the training clips" in done.stderr
    assert "no lounging; and also sitting" in done.stderr
    options = ("--segments", "3", "--frames", "3", "--window", "1", "--modalities", "gyro")
    mmtsa("sample", synthetic, "-o", tmp_path / "gyro", *options)
    done = distil(mmtsa, made, tmp_path / "gyro", output, expect=1)
    assert "the samples do not have the teacher's rgb, expected video, 3 channels, found gyro" in done.stderr
    damaged = shutil.copytree(made / "teacher", tmp_path / "damaged")
    file = damaged / "folds" / FOLD / "best.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    done = distil(mmtsa, made, samples, output, teacher=damaged, expect=1)
    assert "best.safetensors: damaged or no checkpoint" in done.stderr
    done = distil(mmtsa, made, samples, output, teacher=tmp_path / "none", expect=1)
    assert "none: no such directory, expected a directory made by `mmtsa train`" in done.stderr
    done = mmtsa("train", samples, "-o", output, "--recipe", "distil", expect=2)
    assert "the recipe distils, and no teacher is named; add --set distillation.teacher=RUN" in done.stderr
    assert not list(tmp_path.glob("run*"))


def test_fewer_segments_are_scored_with_what_they_cost(mmtsa, made, samples, tmp_path):
    done = mmtsa("eval", made / "teacher", samples, "-o", tmp_path / "eval", "--segments", "1,3", "--json")
    found = json.loads(done.stdout)
    one, three = found["segments"]
    assert (one["segments"], three["segments"]) == (1, 3)
    assert (three["accuracy"], three["macro_f1"]) == (found["accuracy"], found["macro_f1"])
    # The classifier is not of the segments.
    assert 2.5 < three["gmac"] / one["gmac"] <= 3
    rows = list(csv.DictReader((tmp_path / "eval" / "segments.csv").open()))
    assert [float(row["accuracy"]) for row in rows] == pytest.approx([one["accuracy"], three["accuracy"]], abs=1e-5)
    assert (
        "MMAC a draw" in mmtsa("eval", made / "teacher", samples, "-o", tmp_path / "eval", "--segments", "1,3").stdout
    )
    many = mmtsa("eval", made / "teacher", samples, "-o", tmp_path / "no", "--segments", "99", expect=2)
    assert "more segments than the store has candidate frames" in many.stderr
    wrong = mmtsa("eval", made / "teacher", samples, "-o", tmp_path / "no", "--segments", "1,x", expect=2)
    assert "expected whole numbers above 0, separated by commas" in wrong.stderr
    assert not (tmp_path / "no").exists()


def test_a_run_that_knows_positions_keeps_its_segments(mmtsa, made, samples, tmp_path):
    settings = ("--set", "training.epochs=1", "--set", "model.position_embedding=true", "--modalities", "gyro")
    mmtsa("train", samples, "-o", tmp_path / "run", "--recipe", made / "quick.yaml", *settings)
    done = mmtsa("eval", tmp_path / "run", samples, "-o", tmp_path / "no", "--segments", "2", expect=2)
    assert "--segments 2: the run knows its segments by their position, expected 3" in done.stderr


def test_sensors_that_share_a_backbone_are_evaluated_exported_and_explained(mmtsa, made, samples, synthetic, tmp_path):
    run = made / "shared"
    assert not [name for name in weights(run) if name.startswith("encoders.modality_gyro.backbone")]
    found = json.loads(mmtsa("eval", run, samples, "-o", tmp_path / "eval", "--all-subsets", "--json").stdout)
    assert len(found["subsets"]) == 7
    done = json.loads(mmtsa("export", run, "-o", tmp_path / "model", "--samples", samples, "--json").stdout)
    assert json.dumps(done)
    assert (tmp_path / "model" / "model.onnx").is_file()
    name = next(iter(csv.DictReader((samples / "clips.csv").open())))["id"]
    mmtsa("explain", run, synthetic, "--id", name, "-o", tmp_path / "why.png")
    assert (tmp_path / "why.png").stat().st_size > 10000


def test_a_shared_backbone_starts_from_its_sensors_together(mmtsa, made, samples, tmp_path):
    settings = ("--set", "training.epochs=1", "--set", "model.shared_sensors=true", "--set", "warm_start=true")
    mmtsa(
        "train",
        samples,
        "-o",
        tmp_path / "run",
        "--recipe",
        made / "quick.yaml",
        "--modalities",
        ",".join(NAMES),
        *settings,
    )
    kept = sorted(path.name for path in (tmp_path / "run" / "folds" / FOLD).glob("alone-*"))
    assert [name.rpartition("-")[0] for name in kept] == ["alone-acc_phone-gyro", "alone-rgb"]


def test_variants_of_a_system_are_rows_of_a_benchmark(mmtsa, made, samples, tmp_path):
    recipe = tmp_path / "family.yaml"
    recipe.write_text(
        QUICK.replace("epochs: 2", "epochs: 1")
        + "methods:\n"
        + "  one: {method: mmtsa, modalities: [gyro], sampling: {segments: 1}}\n"
        + "  taught: {method: mmtsa, modalities: [gyro], distillation: {teacher: " + str(made / "teacher") + "}}\n"
        + "  decision-tree: {modalities: [acc_phone]}\n"
    )  # fmt: skip
    done = mmtsa("benchmark", samples, "-o", tmp_path / "bench", "--recipe", recipe, "--json")
    rows = {row["method"]: row for row in json.loads(done.stdout)["rows"]}
    assert list(rows) == ["decision-tree", "one", "taught"]
    assert all(row["status"] == "done" for row in rows.values())
    assert 2.5 < rows["taught"]["gmac"] / rows["one"]["gmac"] <= 3
    assert (tmp_path / "bench" / "accuracy-latency.png").is_file()
    known = {"taught": {str(made / "teacher"): fingerprint(made / "teacher")}}
    assert json.loads((tmp_path / "bench" / "manifest.json").read_text())["results"]["teachers"] == known
    again = mmtsa("benchmark", samples, "-o", tmp_path / "bench", "--recipe", recipe, "--methods", "one")
    assert "already holds this result" in again.stderr
    assert json.loads((tmp_path / "bench" / "manifest.json").read_text())["results"]["teachers"] == known
    compared = mmtsa("benchmark", "--compare", tmp_path / "bench", tmp_path / "bench", "--json")
    assert [row["method"] for row in json.loads(compared.stdout)["rows"]] == ["decision-tree", "one", "taught"]


@pytest.mark.parametrize(
    ("section", "phrase"),
    [
        ("mine: {method: mmtsaa}", "line 2: no method 'mmtsaa'; did you mean mmtsa?"),
        ("mine: {draws: 2}", "line 2: no method 'mine'"),
        ("hamlet: {method: mmtsa}", "line 2: hamlet is another system than mmtsa; give the variant a name of its own"),
        ("mine: {method: mmtsa, drawz: 2}", "line 2: unknown key drawz; did you mean draws?"),
        ("mine: {method: mmtsa, sampling: {segmants: 2}}", "line 2: unknown key sampling.segmants"),
        ("mine: {method: mmtsa, sampling: {segments: 99}}", "more segments than the store has candidate frames"),
        ("mine: {method: mmtsa, distillation: {teacher: ''}}", "the recipe distils, and no teacher is named"),
    ],
)  # fmt: skip
def test_a_variant_that_is_wrong_says_where(mmtsa, samples, tmp_path, section, phrase):
    (tmp_path / "family.yaml").write_text(f"methods:\n  {section}\n")
    done = mmtsa("benchmark", samples, "-o", tmp_path / "bench", "--recipe", tmp_path / "family.yaml", expect=2)
    assert phrase in done.stderr
    assert not (tmp_path / "bench").exists()
