"""Recipes: each can be read, says how it is run, and the scripts are shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from mmtsa_cli.artifacts.options import merged
from mmtsa_cli.errors import ManyErrors
from mmtsa_cli.stages.recipe import FOR_OTHERS, packaged, read_recipe
from mmtsa_cli.stages.tables.bench_recipe import MODALITIES, read_bench_recipe

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
RECIPES = sorted(path for path in FOLDER.rglob("*.yaml") if path.name not in FOR_OTHERS)
SCRIPTS = sorted(FOLDER.rglob("*.sh"))


def test_all_are_looked_at() -> None:
    assert {path.stem for path in RECIPES} >= {"paper", "synthetic", "utd-mhad"}
    assert len(RECIPES) >= 3
    assert {path.name for path in SCRIPTS} >= {"demo.sh", "environment.sh", "tables.sh"}
    # Below the folder itself a recipe would neither be packed nor be found by its name.
    assert packaged().keys() == {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_can_be_read_and_changes_something(path: Path) -> None:
    assert read_recipe(str(path)) != read_recipe(None)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_opens_with_its_command_and_time(path: Path) -> None:
    head = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        head.append(line)
    text = "\n".join(head)
    assert "mmtsa train" in text
    assert path.stem in text.split("mmtsa train")[1].splitlines()[0]
    assert re.search(r"\b(seconds|minutes?|hours?|days?)\b", text), "the head says how long it takes"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_shell(path: Path) -> None:
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text(encoding="utf-8")
    if not text.startswith("# Sourced by"):
        assert text.startswith("#!/usr/bin/env bash\n# ")
        assert "set -euo pipefail" in text


def test_who_sets_epochs_gets_them_whatever_steps_a_recipe_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("training: {epochs: 3, least_steps: 50}\n")
    for settings, epochs, steps in (
        ((), 3, 50),
        (("training.lr=0.1",), 3, 50),
        (("training.epochs=7",), 7, 0),
        (("training.epochs=7", "training.least_steps=9"), 7, 9),
    ):
        found = read_recipe(str(path), settings).training
        assert (found.epochs, found.least_steps) == (epochs, steps)
    assert read_recipe(None, ["training.epochs=7"]) == read_recipe(
        None, ["training.epochs=7", "training.least_steps=0"]
    )
    of_all = read_bench_recipe(str(path), ["methods.hamlet.training.epochs=2"])
    found = {name: of_all.settings_of(name)["training"] for name in ("hamlet", "mumu")}
    assert {name: (its["epochs"], its["least_steps"]) for name, its in found.items()} == {
        "hamlet": (2, 0),
        "mumu": (3, 50),
    }


def test_training_takes_of_the_systems_sections_its_own_alone(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "training: {epochs: 5, lr: 0.1}\n"
        "methods:\n  mmtsa: {training: {lr: 0.2}}\n  hamlet: {training: {lr: 0.3}, heads: 4}\n"
    )
    training = read_recipe(str(path)).training
    assert (training.epochs, training.lr) == (5, 0.2)
    path.write_text("methods:\n  mmtsa:\n    training: {pace: 3}\n")
    with pytest.raises(ManyErrors) as told:
        read_recipe(str(path))
    (error,) = told.value.errors
    assert error.line() == f"{path}, line 3: unknown key training.pace; did you mean patience?"


def test_what_single_systems_set_in_a_packaged_recipe_reaches_them() -> None:
    seen = 0
    for path in RECIPES:
        recipe = read_bench_recipe(str(path))
        for method, section in recipe.methods.items():
            settings = recipe.settings_of(method)
            own = {key: value for key, value in section.items() if key != MODALITIES}
            assert merged(settings, own) == settings, f"{path.name}: {method}"
            seen += 1
    assert seen >= 3, "utd-mhad.yaml sets something for HAMLET and Multi-GAT, egocentric.yaml for mmtsa"


def test_what_others_read_is_no_recipe_and_trains_on_what_it_samples() -> None:
    assert {"kubernetes.yaml"} == FOR_OTHERS
    sample, service, train = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8"))
    assert [part["kind"] for part in (sample, service, train)] == ["Job", "Service", "Job"]
    shards, pods = sample["spec"]["completions"], train["spec"]["completions"]
    cutting = sample["spec"]["template"]["spec"]["containers"][0]["args"][0]
    assert f'--shard "$shard/{shards}"' in cutting
    pod = train["spec"]["template"]["spec"]
    assert f"/data/shards/{{1..{shards}}} -o /data/samples" in pod["initContainers"][0]["args"][0]
    arguments = pod["containers"][0]["args"]
    assert f"--nnodes={pods}" in arguments
    assert service["metadata"]["name"] == pod["subdomain"]
    name = train["metadata"]["name"]
    assert f"--rdzv-endpoint={name}-0.{pod['subdomain']}:{service['spec']['ports'][0]['port']}" in arguments
    assert arguments[arguments.index("train") :] == [
        "train", "/data/samples", "--output=/data/run", "--recipe=utd-mhad", "--resume"
    ]  # fmt: skip


def cluster(directory: Path, **programs: str) -> dict[str, str]:
    """Return the environment of a cluster whose programs write their arguments into `calls`."""
    for name, body in programs.items():
        path = directory / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/usr/bin/env bash\nprintf "%q " {name} "$@" >>"$CALLS"\necho >>"$CALLS"\n{body}\n')
        path.chmod(0o755)
    return {**os.environ, "CALLS": str(directory / "calls"), "PATH": f"{directory / 'bin'}:{os.environ['PATH']}"}


def slurm(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(FOLDER / "slurm.sh"), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def calls(directory: Path) -> list[list[str]]:
    return [shlex.split(line) for line in (directory / "calls").read_text().splitlines()]


def test_slurm_jobs_wait_for_each_other(tmp_path: Path) -> None:
    environment = cluster(tmp_path, sbatch='wc -l <"$CALLS"') | {"SBATCH": "--partition=gpu", "GPUS": "4"}
    done = slurm(environment, tmp_path, tmp_path / "out", "--recipe", "utd-mhad", "--set", "training.epochs=9")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sample 1, merge 2, train 3")
    sample, merge, train = calls(tmp_path)
    assert "--array=1-8" in sample
    assert "--dependency=afterok:1" in merge
    assert {"--dependency=afterok:2", "--nodes=2", "--gpus-per-node=4", "--partition=gpu"} <= set(train)
    assert train[-6:] == ["--step", "train", "--recipe", "utd-mhad", "--set", "training.epochs=9"]
    assert slurm(environment, tmp_path).returncode == 2


def test_slurm_steps_do_their_shard_merge_all_and_train_on_the_nodes(tmp_path: Path) -> None:
    programs = {"mmtsa": "", "scontrol": "printf 'n1\\nn2\\n'", "srun": ""}
    environment = cluster(tmp_path, **programs) | {
        "SHARDS": "3", "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_ID": "77",
        "MMTSA_RECORDINGS": "rec", "MMTSA_OUT": "out", "SAMPLE": "--window 2.1", "GPUS": "2",
    }  # fmt: skip
    for step in ("sample", "merge", "train"):
        done = slurm(environment, "--step", step, *(["--recipe", "utd-mhad"] if step == "train" else []))
        assert done.returncode == 0, done.stderr
    sample, merge, hosts, train = calls(tmp_path)
    assert sample == shlex.split("mmtsa sample rec -o out/shards/2 --shard 2/3 --window 2.1")
    assert merge == shlex.split("mmtsa merge out/shards/1 out/shards/2 out/shards/3 -o out/samples")
    assert hosts == shlex.split("scontrol show hostnames 'n[1-2]'")
    assert {"--nnodes=2", "--nproc-per-node=2", "--rdzv-endpoint=n1:29400", "--rdzv-id=77"} <= set(train)
    assert train[-7:] == shlex.split("train out/samples -o out/run --resume --recipe utd-mhad")


def test_a_slurm_training_that_is_told_to_stop_goes_back_into_the_queue(tmp_path: Path) -> None:
    # What srun starts ends itself on SIGTERM, as torchrun does when the checkpoint is written.
    waiting = 'trap "exit 1" TERM; kill -USR1 $PPID; while :; do sleep 0.1; done'
    environment = cluster(tmp_path, scontrol="[ $1 = requeue ] || echo n1", srun=waiting) | {
        "SLURM_JOB_NODELIST": "n1", "SLURM_JOB_ID": "77", "MMTSA_OUT": str(tmp_path / "out")
    }  # fmt: skip
    done = slurm(environment, "--step", "train")
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path)[-1] == ["scontrol", "requeue", "77"]
