"""How far the stamps in MMAct's sensor files and the sensors' nominal rates differ.

The authors' own reader believes the first stamp of a file alone and puts sample i at start + i / rate. Whether that or
the stamps are used is a choice (`--time`); these notes say what hangs on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.recordings.index import ModalitySpec

_FILES_READ = 20
_WORTH_A_WORD_S = 0.05


def drift_notes(files: Mapping[str, Sequence[Path]], modalities: Mapping[str, ModalitySpec]) -> list[str]:
    """Return a sentence a sensor: how far the last stamps lie from where the rate puts the last samples.

    Parameters
    ----------
    files : mapping of str to sequence of Path
        Per sensor its files that are not empty, of which up to 20 are read, spread evenly over all.
    """
    notes = []
    for name, spec in modalities.items():
        if spec.rate is None or not files.get(name):
            continue
        drifts = {path: drift for path in _spread(files[name]) if (drift := drift_s(path, spec.rate)) is not None}
        if drifts:
            notes.append(_note(name, drifts, spec.rate))
    return notes


def drift_s(path: Path, rate: float) -> float | None:
    """Return the last stamp of a file minus where the rate puts its last row, start + (n - 1) / rate, in seconds.

    None where the file cannot be read as a table that begins with stamps: `check` says what is wrong with it.
    """
    import numpy as np

    from mmtsa_cli.recordings.delimited import open_table
    from mmtsa_cli.recordings.stamps import seconds_of_texts

    try:
        stamps, wrong = seconds_of_texts(open_table(path).texts(0))
    except MmtsaError:
        return None
    stamps = stamps[np.isfinite(stamps)]
    if wrong is not None or len(stamps) < 2:
        return None
    # To the microsecond: what is left below is the rounding of stamps of 1.5e9 s.
    return round(float(stamps.max() - stamps.min()) - (len(stamps) - 1) / rate, 6) + 0.0


def _spread(files: Sequence[Path]) -> list[Path]:
    ordered = sorted(files)
    count = min(len(ordered), _FILES_READ)
    return [ordered[i * len(ordered) // count] for i in range(count)]


def _note(name: str, drifts: Mapping[Path, float], rate: float) -> str:
    worst = max(drifts, key=lambda path: abs(drifts[path]))
    place = "/".join(worst.parts[-5:])
    far = abs(drifts[worst]) > _WORTH_A_WORD_S
    return (
        f"{name}: the last stamp lies {median(drifts.values()):+.3f} s from start + (n - 1) / {rate:g} Hz in the "
        f"median of {len(drifts)} files, {drifts[worst]:+.3f} s at worst ({place})"
        + ("; --time rate believes the rate instead of the stamps" if far else "")
    )
