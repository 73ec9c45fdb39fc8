"""The figures of the speed benchmark as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmtsa_cli.stages.tables.rows import Shown


def tables(facts: Mapping[str, Any]) -> list[Shown]:
    """Return the tables of what `stages.speed.run` found, those of which there is something."""
    shown = [_rows(facts["rows"], facts["machine"]), _time(facts["time"])]
    if facts.get("ways"):
        shown.append(_ways(facts["ways"]))
    if facts.get("exponents"):
        shown.append(_growth(facts["exponents"]))
    if facts.get("accuracy"):
        shown += [_accuracy(facts["accuracy"]), _steps(facts["steps"])]
    return shown


def _rows(rows: Sequence[Mapping[str, Any]], machine: Mapping[str, Any]) -> Shown:
    cells = [
        [
            row["name"],
            f"{_number(row['ours'])} {row['unit']}",
            "-" if row["naive"] is None else f"{_number(row['naive'])} {row['unit']}",
            "-" if row["ratio"] is None else f"{row['ratio']:.1f} x",
            "-" if row["cpu_ratio"] is None else f"{row['cpu_ratio']:.1f} x",
            _bar(row),
            row["naive_way"],
        ]
        for row in rows
    ]
    has = ", ".join(name for name in ("avx512_bf16", "amx") if machine[name]) or "neither AVX-512 BF16 nor AMX"
    about = [
        f"{machine['processor']}, {machine['cores']} cores, {has}; GPU: {machine['gpu'] or 'none'}; "
        f"torch {machine['torch']}; load {machine['load']} at the start",
        "medians, both ways in turns; a ratio above 1: ours takes so many times less. By CPU: the same of processor "
        "time, which other processes disturb less",
    ]
    heads = ["what", "ours", "naive", "ratio", "by CPU", "asked", "the naive way"]
    return Shown("Speed", heads, cells, [False, True, True, True, True, False, False], about)


def _bar(row: Mapping[str, Any]) -> str:
    if row["bar"] is None:
        return ""
    wanted = f"{row['bar']:g} {row['unit']}" if row["bar_is"] == "figure" else f"{row['bar']:.3g} x"
    return f"{wanted}: {'reached' if row['reached'] else 'NOT reached'}"


def _time(parts: Mapping[str, Mapping[str, float]]) -> Shown:
    cells = [
        [what, name, f"{_number(spent)} ms", f"{100 * spent / max(sum(own.values()), 1e-9):.0f} %"]
        for what, own in parts.items()
        for name, spent in own.items()
    ]
    return Shown("Where the time goes", ["of", "part", "time", "share"], cells, [False, False, True, True], [])


def _ways(rows: Sequence[Mapping[str, Any]]) -> Shown:
    cells = [
        [
            row["part"],
            row["way"],
            f"{_number(row['ms'])} ms",
            f"{row['times_as_fast']:.2f} x",
            _cpu(row),
            row["difference"],
        ]
        for row in rows
    ]
    about = [
        "times as fast as the first way of its part; difference of infer: largest of the logits as a part of the "
        "largest logit, from float32 at the same sizes of images",
    ]
    heads = ["part", "way", "time", "gives", "by CPU", "difference"]
    return Shown("What each way gives", heads, cells, [False, False, True, True, True, True], about)


def _cpu(row: Mapping[str, Any]) -> str:
    found = row.get("cpu_times_as_fast")
    return "" if found is None else f"{found:.2f} x"


def _growth(rows: Sequence[Mapping[str, Any]]) -> Shown:
    cells = [
        [
            row["what"],
            f"{row['from']:g} to {row['to']:g} {row['of']}",
            f"{_number(row['first'])} to {_number(row['last'])} {row['unit']}",
            f"{row['exponent']:.2f}",
        ]
        for row in rows
    ]
    about = ["exponent: 1 grows as the work does, 0 does not depend on it"]
    return Shown("Growth", ["what", "work", "cost", "exponent"], cells, [False, False, True, True], about)


def _accuracy(rows: Sequence[Mapping[str, Any]]) -> Shown:
    cells = [
        [
            row["recipe"],
            row["settings"] or "as it is",
            f"{row['accuracy']:.3f}"
            + (" ({:.3f} to {:.3f})".format(*row["interval_95"]) if row["interval_95"] else ""),
            f"{row['macro_f1']:.3f}",
            f"{row['train_s']:.0f} s",
            f"{row['clips_per_s']:.1f}",
        ]
        for row in rows
    ]
    heads = ["recipe", "over it", "accuracy = micro F1", "macro F1", "training", "clips/s"]
    return Shown("Accuracy beside speed", heads, cells, [False, False, True, True, True, True], [])


def _steps(rows: Sequence[Mapping[str, Any]]) -> Shown:
    cells = [
        [row["step"], f"{row['accuracy']:.3f}", _part(row["changed"]), f"{_number(row['ms_per_clip'])} ms"]
        for row in rows
    ]
    about = ["recipe fast, the same weights asked otherwise; changed: clips whose class is another than in float32"]
    heads = ["step", "accuracy", "changed", "a clip"]
    return Shown("What each step costs in accuracy", heads, cells, [False, True, True, True], about)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _part(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
