"""Names of modalities, and the groups (`acc`, `imu`) that stand for several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from mmtsa_cli.errors import UsageError, did_you_mean

Kind = Literal["video", "sensor"]

KNOWN_KINDS: dict[str, Kind] = {
    "rgb": "video",
    "depth": "video",
    "acc": "sensor",
    "acc_phone": "sensor",
    "acc_watch": "sensor",
    "gyro": "sensor",
    "orientation": "sensor",
}
"""What the usual names are; any other name needs its kind in `dataset.yaml`."""


def select(requested: Sequence[str], available: Mapping[str, Kind]) -> tuple[str, ...]:
    """Return the modalities that `requested` stands for, in the order of `available`.

    A name stands for itself; `imu` for every sensor; any other name that is the beginning of several
    (`acc` of `acc_phone` and `acc_watch`) for all of those.

    Raises
    ------
    UsageError
        A name that stands for nothing in `available`.
    """
    chosen: set[str] = set()
    for name in requested:
        found = _expand(name, available)
        if not found:
            raise UsageError(
                f"no modality {name!r} in the data",
                where="--modalities",
                found=", ".join(available),
                remedy=did_you_mean(name, [*available, "imu"]),
            )
        chosen.update(found)
    return tuple(name for name in available if name in chosen)


def _expand(name: str, available: Mapping[str, Kind]) -> Iterable[str]:
    if name in available:
        return [name]
    if name == "imu":
        return [other for other, kind in available.items() if kind == "sensor"]
    return [other for other in available if other.startswith(f"{name}_")]
