"""Going on with a training: from the checkpoint before where the last is damaged, and as if it had never stopped."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.training.checkpoint import BEFORE, LAST, load_tensors
from mmtsa_cli.training.loop import train
from mmtsa_cli.training.run import Run, TrainingStoppedError
from tests.training.test_loop import OPTIONS, make_work, same_weights


class Images(nn.Module):
    """A network whose weights do not lie in memory in the order of their dimensions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, 8, 3)
        self.second = nn.Conv2d(8, 8, 3)
        self.last = nn.Linear(8, 2)
        self.to(memory_format=torch.channels_last)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        images = rows[:, :3, None, None].expand(-1, -1, 5, 5) * torch.arange(25.0).reshape(5, 5)
        return self.last(self.second(self.first(images).relu()).flatten(2).mean(2))


def stopped(directory: Path, network: nn.Module, after: int) -> None:
    directory.mkdir()
    steps = itertools.count(1)
    with pytest.raises(TrainingStoppedError):
        train(network, make_work(), OPTIONS, seed=5, run=Run(directory, should_stop=lambda: next(steps) == after))


@pytest.mark.parametrize("after", [1, 3, 4, 6])
def test_what_the_optimiser_keeps_lies_as_its_weights_do(tmp_path: Path, after: int) -> None:
    whole = Images()
    (tmp_path / "whole").mkdir()
    state = train(whole, make_work(), OPTIONS, seed=5, run=Run(tmp_path / "whole"))
    stopped(tmp_path / "parts", Images(), after)
    network = Images()
    resumed = train(network, make_work(), OPTIONS, seed=5, run=Run(tmp_path / "parts"))
    assert same_weights(whole, network)
    times = ("seconds", "clips_per_s")
    for one, other in zip(state.history, resumed.history, strict=True):
        assert {k: v for k, v in one.items() if k not in times} == {k: v for k, v in other.items() if k not in times}


def cut_off(data: bytes) -> bytes:
    return data[: len(data) // 2]


def one_bit(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


@pytest.mark.parametrize("spoil", [cut_off, one_bit])
def test_the_checkpoint_before_is_taken_and_that_is_said(tmp_path: Path, spoil) -> None:
    whole = Images()
    (tmp_path / "whole").mkdir()
    train(whole, make_work(), OPTIONS, seed=5, run=Run(tmp_path / "whole"))
    assert not (tmp_path / "whole" / BEFORE).exists()
    directory = tmp_path / "parts"
    stopped(directory, Images(), 8)
    assert load_tensors(directory / BEFORE)[1]["epoch"] == 2
    (directory / LAST).write_bytes(spoil((directory / LAST).read_bytes()))
    network, said = Images(), list[str]()
    train(network, make_work(), OPTIONS, seed=5, run=Run(directory, warn=said.append))
    (line,) = said
    assert f"{directory / LAST}: damaged or no checkpoint" in line
    assert line.endswith("going on from the one before it, before-last.safetensors")
    assert same_weights(whole, network)
    assert not (directory / BEFORE).exists()


def test_where_both_are_damaged_the_last_is_named(tmp_path: Path) -> None:
    directory = tmp_path / "parts"
    stopped(directory, Images(), 8)
    for name in (LAST, BEFORE):
        (directory / name).write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"last.safetensors: damaged"):
        train(Images(), make_work(), OPTIONS, seed=5, run=Run(directory))
