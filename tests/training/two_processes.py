"""Run twice by `test_group.py`, as two processes that work together; what is wrong ends them with an error."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mmtsa_cli.errors import MmtsaError, UsageError
from mmtsa_cli.training.group import any_of, from_first, gathered, is_first, joined, own_part, rank, size, summed
from mmtsa_cli.training.synchronised_norm import synchronised_norms


def talk() -> None:
    assert size() == 2
    assert summed([1.0, float(rank())]) == [2.0, 1.0]
    assert any_of(is_first())
    assert not any_of(False)
    assert from_first(lambda: {"of": rank()}) == {"of": 0}
    # Five clips, three and two of them: the second process sends one of its own twice.
    own = own_part(5)
    assert len(own) == (3 if is_first() else 2)
    assert np.array_equal(gathered(own, np.array([[clip, 10.0 * clip] for clip in own]), 5)[:, 1], 10 * np.arange(5))
    assert np.array_equal(gathered(own_part(1), np.array([7.0]), 1), [7.0])


def fail() -> None:
    with pytest.raises(MmtsaError, match=r"^no, found yes$") as told:
        from_first(refuse)
    assert told.value.exit_code == 2


def refuse() -> None:
    raise UsageError("no", found="yes")


def normalise() -> None:
    """Compare norms over two processes with those over one batch: outputs, gradients and running statistics."""
    torch.manual_seed(0)
    whole = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 4), nn.BatchNorm1d(4)
    )
    cut = copy.deepcopy(whole)
    clips, wanted = 5 + 3 * torch.randn(7, 2, 6, 6), torch.randn(7, 4)
    own = slice(0, 3) if is_first() else slice(3, 7)
    said = whole(clips)
    ((said - wanted) ** 2).sum().backward()
    with synchronised_norms(cut, True):
        assert isinstance(cut[1], nn.BatchNorm2d)
        found = cut(clips[own])
        ((found - wanted[own]) ** 2).sum().backward()
    torch.testing.assert_close(found, said[own], rtol=1e-5, atol=1e-5)
    for one, other in zip(cut.parameters(), whole.parameters(), strict=True):
        torch.distributed.all_reduce(one.grad)
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)
    for name, tensor in cut.named_buffers():
        torch.testing.assert_close(tensor, whole.get_buffer(name), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cut.eval()(clips), whole.eval()(clips), rtol=1e-5, atol=1e-5)


if __name__ == "__main__":
    with joined("cpu"):
        talk()
        fail()
        normalise()
