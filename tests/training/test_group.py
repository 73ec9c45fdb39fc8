"""Processes that train together, started as torchrun starts them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mmtsa_cli.training import group
from mmtsa_cli.training.group import any_of, from_first, gathered, joined, own_part, size, summed

PROGRAM = Path(__file__).with_name("two_processes.py")


def test_two_processes_tell_each_other_and_normalise_as_one():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            env={**os.environ, **shared, "RANK": number, "LOCAL_RANK": number},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in ("0", "1")
    ]
    told = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told


def test_a_process_alone_is_a_group_of_one():
    with joined("cpu"):
        assert size() == 1
        assert summed([1.5]) == [1.5]
        assert any_of(True)
        assert from_first(lambda: 3) == 3
        assert own_part(3) == [0, 1, 2]
        assert gathered([1, 0], group.np.array([5, 6]), 2).tolist() == [6, 5]


@pytest.mark.parametrize(
    ("device", "phrase"),
    [
        ("cuda:1", "training.device: one device for several processes, expected auto, cpu or cuda"),
        ("cuda", "more processes than GPUs on this machine, expected at most 1 processes, found 2; start fewer"),
    ],
)
def test_each_process_needs_a_gpu_of_its_own(monkeypatch, device, phrase):
    monkeypatch.setattr(group.torch.cuda, "device_count", lambda: 1)
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "1")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    with pytest.raises(group.UsageError) as told, joined(device):
        pass
    assert phrase in told.value.line()
