"""The loop with a small network: it learns, stops, goes on, and repeats itself to the bit."""

import dataclasses
import itertools
import math

import pytest
import torch
from torch import nn

from mmtsa_cli.errors import ArtifactError, MmtsaError
from mmtsa_cli.training.checkpoint import BEST, LAST, load_tensors
from mmtsa_cli.training.loop import Work, train
from mmtsa_cli.training.optimisation import TrainingOptions, autocast, choose_device, learning_rate, with_least_steps
from mmtsa_cli.training.parts import Part
from mmtsa_cli.training.run import Run, TrainingStoppedError

OPTIONS = TrainingOptions(epochs=4, optimizer="adamw", lr=0.01, schedule="cosine", average=0.9, precision="float32")


def make_network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))


def make_work(*, validate=True, poison=None):
    inputs = torch.randn(24, 4, generator=torch.Generator().manual_seed(0))
    labels = (inputs[:, 0] > 0).long()

    def batches(epoch, first):
        order = torch.randperm(24, generator=torch.Generator().manual_seed(epoch))
        return [[Part((inputs[part], labels[part]))] for part in order.chunk(3)[first:]]

    def loss(network, batch, generator):
        logits = network(batch[0])
        value = nn.functional.cross_entropy(logits, batch[1])
        if poison is not None and poison():
            value = value * math.nan
        return value, int((logits.argmax(1) == batch[1]).sum()), len(batch[1])

    def score(network):
        network.eval()
        with torch.inference_mode():
            right = (network(inputs).argmax(1) == labels).float().mean().item()
        return {"accuracy": right, "macro_f1": right, "score": right}

    return Work(3, batches, loss, score if validate else None)


def run_whole(directory, options=OPTIONS, seed=5, **work):
    directory.mkdir()
    network = make_network()
    state = train(network, make_work(**work), options, seed=seed, run=Run(directory))
    return network, state


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_it_learns_and_keeps_the_best(tmp_path):
    network, state = run_whole(tmp_path / "a", dataclasses.replace(OPTIONS, epochs=60, lr=0.05))
    assert state.history[-1]["loss"] < 0.35 < state.history[0]["loss"]
    assert state.best_score == max(row["validation_score"] for row in state.history)
    best, about = load_tensors(tmp_path / "a" / BEST)
    assert about["epoch"] == state.best_epoch
    assert all(torch.equal(best[name], tensor) for name, tensor in network.state_dict().items())


def test_the_seed_decides_everything(tmp_path):
    one, _ = run_whole(tmp_path / "a")
    same, _ = run_whole(tmp_path / "b")
    other, _ = run_whole(tmp_path / "c", seed=6)
    assert same_weights(one, same)
    assert not same_weights(one, other)


@pytest.mark.parametrize("stop_after", [1, 3, 4, 8, 11])
@pytest.mark.parametrize("validate", [True, False])
def test_stopped_anywhere_and_resumed_it_ends_at_the_same_weights(tmp_path, stop_after, validate):
    whole, state = run_whole(tmp_path / "whole", validate=validate)
    directory = tmp_path / "parts"
    directory.mkdir()
    steps = itertools.count(1)
    run = Run(directory, should_stop=lambda: next(steps) == stop_after)
    with pytest.raises(TrainingStoppedError) as caught:
        train(make_network(), make_work(validate=validate), OPTIONS, seed=5, run=run)
    assert caught.value.exit_code == 130
    assert (directory / LAST).is_file()
    network = make_network()
    resumed = train(network, make_work(validate=validate), OPTIONS, seed=5, run=Run(directory))
    assert same_weights(whole, network)
    assert [row["loss"] for row in resumed.history] == pytest.approx([row["loss"] for row in state.history])


def test_patience_ends_a_training_that_no_longer_gets_better(tmp_path):
    _, state = run_whole(tmp_path / "a", dataclasses.replace(OPTIONS, epochs=200, patience=5))
    assert state.epoch == state.best_epoch + 5 < 200


def test_a_loss_that_is_no_number_keeps_the_checkpoint_before(tmp_path):
    calls = iter(range(10**6))
    (tmp_path / "a").mkdir()
    with pytest.raises(MmtsaError, match="the loss is nan at step 2 of epoch 2"):
        train(
            make_network(),
            make_work(poison=lambda: next(calls) == 4),
            OPTIONS,
            seed=5,
            run=Run(tmp_path / "a"),
        )
    tensors, state = load_tensors(tmp_path / "a" / LAST)
    assert state["epoch"] == 1
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_a_damaged_or_foreign_checkpoint_is_named(tmp_path):
    run_whole(tmp_path / "a")
    data = (tmp_path / "a" / LAST).read_bytes()
    with pytest.raises(ArtifactError, match="another network"):
        train(nn.Linear(4, 2), make_work(), OPTIONS, seed=5, run=Run(tmp_path / "a"))
    (tmp_path / "a" / LAST).write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match=r"last.safetensors: damaged"):
        train(make_network(), make_work(), OPTIONS, seed=5, run=Run(tmp_path / "a"))


@pytest.mark.parametrize(
    ("least", "steps", "epochs"), [(0, 3, 10), (29, 3, 10), (30, 3, 10), (31, 3, 11), (600, 7, 86)]
)
def test_few_clips_get_as_many_steps(least, steps, epochs):
    options = TrainingOptions(epochs=10, least_steps=least)
    assert with_least_steps(options, steps) == dataclasses.replace(options, epochs=epochs)


def test_schedules():
    step = learning_rate(TrainingOptions(epochs=80, lr=1.0, steps=(20, 40)), 10)
    assert [step(s) for s in (0, 199, 200, 400, 799)] == pytest.approx([1, 1, 0.1, 0.01, 0.01])
    cosine = learning_rate(TrainingOptions(epochs=10, lr=1.0, schedule="cosine", warmup_epochs=1.0), 10)
    assert cosine(0) == pytest.approx(1 / 11)
    assert [cosine(s) for s in (10, 55, 99)] == pytest.approx([1, 0.5, 0.0003], abs=1e-3)
    restarts = TrainingOptions(epochs=8, lr=1.0, schedule="restarts", cycles=3, warmup_epochs=1.0)
    # Seven epochs after the warm-up: falls of one, two and four.
    falls = [learning_rate(restarts, 10)(s) for s in (10, 15, 19, 20, 30, 39, 40, 60, 79)]
    assert falls == pytest.approx([1, 0.5, 0.024, 1, 0.5, 0.006, 1, 0.5, 0.0015], abs=1e-3)
    once = learning_rate(TrainingOptions(epochs=10, lr=1.0, schedule="restarts", cycles=1, warmup_epochs=1.0), 10)
    assert [once(s) for s in range(100)] == pytest.approx([cosine(s) for s in range(100)])
    assert learning_rate(TrainingOptions(schedule="constant", lr=0.2), 5)(10**6) == 0.2


def test_devices_and_precision():
    with pytest.raises(MmtsaError, match=r"training.device: no device 'tpu9' here, found cpu"):
        choose_device("tpu9")
    with autocast("bfloat16", torch.device("cpu")):
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == torch.bfloat16
    with autocast("float32", torch.device("cpu")):
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == torch.float32
