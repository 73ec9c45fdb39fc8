"""Batches cut into parts: gradients of the whole batch, rows of each clip once, and what cannot be cut is refused."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mmtsa_cli.errors import UsageError
from mmtsa_cli.training import group, parts
from mmtsa_cli.training.group import in_order, own_part
from mmtsa_cli.training.optimisation import TrainingOptions
from mmtsa_cli.training.parts import Gradients, Part, Split, split_of


@given(count=st.integers(1, 40), processes=st.integers(1, 9), data=st.data())
def test_rows_come_in_the_order_of_their_clips_each_once_however_they_were_padded(count, processes, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "size", lambda: processes)
        own = []
        for number in range(processes):
            patch.setattr(group, "rank", lambda number=number: number)
            own.append(own_part(count))
    assert all(own)
    padded = [numbers + [numbers[-1]] * data.draw(st.integers(0, 3)) for numbers in own]
    rows = [np.array([[clip, -clip] for clip in numbers], float) for numbers in padded]
    found = in_order([np.array(numbers) for numbers in padded], rows, count)
    assert np.array_equal(found, [[clip, -clip] for clip in range(count)])


def test_a_clip_that_nobody_did_is_noticed():
    with pytest.raises(ValueError, match="rows of 2 things where 3 were to be done"):
        in_order([np.array([0, 2, 2])], [np.zeros((3, 2))], 3)


@given(clips=st.integers(2, 60), data=st.data())
def test_the_parts_of_all_processes_are_the_batch(clips, data):
    count = data.draw(st.integers(1, max(1, clips // 2)))
    processes = data.draw(st.integers(1, count))
    order = np.random.default_rng(clips).permutation(clips)
    taken = [
        part for number in range(processes) for part in Split(count, tuple(range(number, count, processes))).of(order)
    ]
    taken.sort(key=lambda part: part[0])
    assert np.array_equal(np.concatenate([part[1] for part in taken]), order)
    assert sum(part[2] for part in taken) == pytest.approx(1)
    assert all(part[2] == len(part[1]) / clips for part in taken)


def make_network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def loss(network, batch, generator):
    logits = network(batch[0])
    return nn.functional.cross_entropy(logits, batch[1]), int((logits.argmax(1) == batch[1]).sum()), len(batch[1])


def gradients_of(network, batch, count):
    cut = [
        Part(tuple(t[own] for t in batch), n, share)
        for n, own, share in Split(count, tuple(range(count))).of(np.arange(len(batch[1])))
    ]
    network.zero_grad(set_to_none=True)
    sums = Gradients(network, loss).add(
        cut, lambda part: torch.Generator(), lambda: torch.autocast("cpu", enabled=False)
    )
    return sums, [parameter.grad.clone() for parameter in network.parameters()]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_accumulated_gradients_are_those_of_the_whole_batch(count):
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(11, 4, generator=generator, dtype=torch.float64), torch.randint(3, (11,), generator=generator)
    network = make_network()
    whole, expected = gradients_of(network, batch, 1)
    sums, found = gradients_of(network, batch, count)
    assert sums == pytest.approx(whole)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_the_running_mean_of_norms_is_that_of_the_whole_batch():
    inputs = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    batch = inputs, torch.zeros(9, dtype=torch.int64)
    networks = [nn.Sequential(nn.BatchNorm1d(4)).double() for _ in range(2)]
    gradients_of(networks[0], batch, 1)
    gradients_of(networks[1], batch, 3)
    whole, cut = (network[0] for network in networks)
    torch.testing.assert_close(whole.running_mean, cut.running_mean)
    # Of parts of three the variance lacks what lies between the parts, and is of the same size.
    assert torch.allclose(whole.running_var, cut.running_var, rtol=0.2)
    assert whole.num_batches_tracked == cut.num_batches_tracked == 1


@pytest.mark.parametrize(
    ("processes", "options", "phrase"),
    [
        (4, {"parts": 2}, "training.parts: fewer parts of a batch than processes, expected at least 4, or 0"),
        (9, {}, "training.batch_size: a batch of 16 clips in 9 parts"),
        (1, {"parts": 9}, "expected at least 2 clips a part"),
        (1, {"parts": 2, "sync_norm": True}, "training.sync_norm: norms see only what is computed at the same time"),
        (2, {"sync_norm": True, "compile": True}, "compiled backbones do not wait for other processes"),
    ],
)
def test_what_cannot_be_cut_is_refused(monkeypatch, processes, options, phrase):
    monkeypatch.setattr(parts, "size", lambda: processes)
    with pytest.raises(UsageError) as told:
        split_of(dataclasses.replace(TrainingOptions(), **options), 16)
    assert phrase in told.value.line()


def test_each_process_takes_its_own_parts(monkeypatch):
    monkeypatch.setattr(parts, "size", lambda: 2)
    own = []
    for number in (0, 1):
        monkeypatch.setattr(parts, "rank", lambda number=number: number)
        own.append([split_of(TrainingOptions(parts=count), 16).own for count in (0, 2, 5)])
    assert own == [[(0,), (0,), (0, 2, 4)], [(1,), (1,), (1, 3)]]
