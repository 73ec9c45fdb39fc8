"""sp-sw-har as its authors ship it: real names, header and stamps in batches, a synthetic body's movements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.trees.synthetic import Performed

HEADER = "x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label"
ORIENTATIONS = ("back_inv", "front")
LATE_MS = 1070
"""The watch of the first execution starts later by this."""
SLIP = "WALKING"
"""What the phone's first row of SITTING_DOWN says instead, between two activities that it is none of."""
_EPOCH_MS = 1_657_533_977_813
_RATES = {"sp": 102.5, "sw": 104.3}
_SENSORS = {"sp": "acc_phone", "sw": "acc_watch"}
_GAP_FROM_MS = 2500
_GAP_MS = 188


@dataclass(frozen=True)
class Phase:
    """One activity of an execution, in milliseconds from the phone's first stamp."""

    label: str
    start_ms: int
    end_ms: int


PHASES = (
    Phase("SEATED", 0, 1500),
    Phase("STANDING_UP", 1500, 2200),
    Phase("WALKING", 2200, 3400),
    Phase("TURNING", 3400, 4100),
    Phase("WALKING", 4100, 4700),
    Phase("TURNING", 4700, 5200),
    Phase("SITTING_DOWN", 5200, 6000),
)
"""What the phone's rows say."""
WATCH_LATER_MS = 60
"""The labels of the watch change later by this."""


def write_sp_sw_har(root: Path, *, subjects: Sequence[int] = (1, 2), executions: Sequence[int] = (1, 2)) -> Path:
    """Write a tree of executions of 6 s, each of a phone and a watch."""
    info = ["execution_id,orientation,first_turn,second_turn"]
    for subject in subjects:
        folder = root / "DATA" / f"s{subject:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        for execution in executions:
            name = f"s{subject:02d}_{execution:02d}"
            info.append(f"{name},{ORIENTATIONS[execution % 2]},l,r")
            for device in _RATES:
                (folder / f"{name}_{device}.csv").write_text(file_text(device, subject, execution))
    (root / "DATA" / "executions_info.csv").write_text("\n".join(info) + "\n")
    (root / "DATA" / "subjects_info.csv").write_text(
        "subject_id,age,gender,height,weight,dominant_hand,executions\n"
        + "".join(f"s{subject:02d},30,M,180,80,R,{len(executions)}\n" for subject in subjects)
    )
    return root


@lru_cache(maxsize=64)
def file_text(device: str, subject: int, execution: int) -> str:
    """Return a file's content."""
    stamps = stamps_ms(device, execution)
    names = labels(device, stamps)
    numbers = values(device, subject, execution)
    epoch = _EPOCH_MS + 60_000 * execution
    lines = [
        ",".join([*(f"{value:.12f}" for value in row), str(epoch + int(stamp)), name])
        for row, stamp, name in zip(numbers, stamps, names, strict=True)
    ]
    return "\n".join([HEADER, *lines]) + "\n"


def stamps_ms(device: str, execution: int) -> NDArray[np.int64]:
    """Return stamps from the phone's first one: every 20th repeats the one before, one gap is bridged in one step."""
    stamps = np.round(_regular_ms(device, execution)).astype(np.int64)
    stamps[20::20] = stamps[19:-1:20]
    return stamps[_kept(device, execution)]


def labels(device: str, stamps: NDArray[np.int64]) -> list[str]:
    """Return the label of each row."""
    later = WATCH_LATER_MS if device == "sw" else 0
    ends = [phase.end_ms + later for phase in PHASES[:-1]]
    names = [PHASES[index].label for index in np.searchsorted(ends, stamps, side="right")]
    if device == "sp":
        names[names.index("SITTING_DOWN")] = SLIP
    return names


def values(device: str, subject: int, execution: int) -> NDArray[np.float64]:
    """Return accelerations (m/s^2) and angular rates (rad/s) of the rows, (n, 6)."""
    times = _regular_ms(device, execution) / 1000
    performed = Performed(execution, subject=subject, seconds=6.0)
    both = [
        performed.sensor(name, _RATES[device], start=float(times[0]), count=len(times))
        for name in (_SENSORS[device], "gyro")
    ]
    return np.hstack(both)[_kept(device, execution)]


def _regular_ms(device: str, execution: int) -> NDArray[np.float64]:
    start = LATE_MS if device == "sw" and execution == 1 else 0
    return np.arange(start, PHASES[-1].end_ms, 1000 / _RATES[device])


def _kept(device: str, execution: int) -> NDArray[np.bool_]:
    times = _regular_ms(device, execution)
    return (times <= _GAP_FROM_MS) | (times >= _GAP_FROM_MS + _GAP_MS - 20)
