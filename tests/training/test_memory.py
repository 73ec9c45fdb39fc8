"""Freed memory is kept for the next tensors."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from mmtsa_cli.training.memory import keep_freed_memory

if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit(9)
for step in range(12):
    if step == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.zeros(megabytes * 1_000_000, dtype=torch.uint8).add_(1) for megabytes in (90, 70, 60, 50, 40)]
    while held:
        held.pop()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=False)
    if done.returncode == 9:
        pytest.skip("this machine's C library cannot be told to keep memory")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_large_blocks_are_not_asked_of_the_system_again():
    # Without it each page of each block is cleared anew.
    assert faults("kept") < faults("given back") / 2
