"""What there is to tell of DataEgo's recordings: their rates, what differs between their files, spellings merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from mmtsa_cli.errors import nearest
from mmtsa_cli.recordings.datasets.dataego_labels import ACTIVITIES, SPELLINGS, label_of
from mmtsa_cli.recordings.datasets.dataego_rows import RATE, SENSORS, Recorded

RECORDINGS = 42
"""In the whole dataset."""
_FAR_OFF = 0.1
"""From what part of the documented rate on a file is looked at with suspicion."""


def measured_rates(recorded: Sequence[Recorded], sensor: str) -> list[float]:
    """Return a sensor's rate in each recording that has a video to measure it against."""
    return [one.rate(sensor) for one in recorded if one.video_s and sensor in one.numbers]


def notes(recorded: Sequence[Recorded]) -> Iterator[str]:
    """Yield a sentence for each thing that was measured, merged or decided."""
    if not recorded:
        return
    yield f"{len(recorded)} of the {RECORDINGS} recordings; who wore the glasses is not known, so subject is empty"
    for sensor in SENSORS:
        rates = measured_rates(recorded, sensor)
        if rates:
            span = f"{min(rates):.2f} to {max(rates):.2f} Hz in {_many(len(rates), 'recording')}"
            yield f"{sensor}: {median(rates):.2f} Hz measured against the video ({span}), over which rows are spread"
        without = sum(sensor in one.numbers and not one.video_s for one in recorded)
        if without:
            yield f"{sensor}: {RATE:g} Hz, as documented, in {_many(without, 'recording')} without video"
    yield from _disagreements(recorded)
    yield from _merged(recorded)


def _disagreements(recorded: Sequence[Recorded]) -> Iterator[str]:
    lengths = [abs(len(one.numbers["acc"]) - len(one.numbers["gyro"])) for one in recorded if len(one.numbers) == 2]
    if any(lengths):
        count = _many(sum(map(bool, lengths)), "recording")
        yield f"acc and gyro differ in length in {count}, by up to {_many(max(lengths), 'row')}"
    apart = [one.label_changes_apart() for one in recorded]
    if any(apart):
        count = _many(sum(map(bool, apart)), "recording")
        yield (
            f"acc and gyro change the activity at different rows in {count}, up to {_many(max(apart), 'row')} apart in "
            "one: those of acc count"
        )


def _merged(recorded: Sequence[Recorded]) -> Iterator[str]:
    plain = [" ".join(name.lower().split()) for one in recorded for name in set(one.names.values())]
    counts = Counter(name for name in plain if name in SPELLINGS)
    if counts:
        merged = ", ".join(f"{name} to {SPELLINGS[name]} ({count} x)" for name, count in sorted(counts.items()))
        yield f"spellings merged: {merged}"


def rate_warnings(recorded: Sequence[Recorded]) -> Iterator[str]:
    """Yield a sentence for each sensor of a recording whose rows do not fit its video."""
    for one in recorded:
        for sensor in one.numbers:
            rate = one.rate(sensor)
            if abs(rate - RATE) > _FAR_OFF * RATE:
                told = f"{sensor} has {rate:.2f} rows a second of video, not about {RATE:g}"
                yield f"{one.name}: {told}: is half of a file missing?"


def stranger_warnings(recorded: Sequence[Recorded]) -> Iterator[str]:
    """Yield a sentence for each name that is no class, with the name that it looks like."""
    strangers: dict[str, list[str]] = {}
    for one in recorded:
        for name in dict.fromkeys(one.names.values()):
            if label_of(name) is None:
                strangers.setdefault(name, []).append(one.name)
    for name, recordings in sorted(strangers.items()):
        close = nearest(name.lower(), [*ACTIVITIES, *SPELLINGS], likeness=0.8)
        remedy = f"; did you mean {close}?" if close else ""
        yield f"{name} is no class of DataEgo: left out of {', '.join(recordings)}{remedy}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("s" if count != 1 else "")
