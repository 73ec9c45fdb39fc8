"""Who trains and who tests in DataEgo: the split of the MMTSA code, and one by whole recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

FOLDS = 5
TRAINING = {
    "cooking": "1507292576905",
    "cycling": "1507103688869 1507277006736 1507354660471 1507353362610 1507104938830",
    "riding elevator": "1506861601641 1507022329230 1507448032599",
    "walking down/upstairs": "1507041645130 1507043031390 1507451974266",
    "push ups": "1507103243726 1507103688869 1507277006736 1506840511789 1507085666793 1507354660471",
    "reading": "1507538351866 1507279706287 1507535531191 1507273499105 1507193971595 1507539325772",
    "washing dishes": "1507193971595 1507190981185",
    "working on pc": "1507357690616 1506588293055 1506522946460",
    "browsing mobile phone": "1507447633115 1507448032599 1506588293055 1506522946460",
    "talking with people": "1507539325772 1507535531191 1507041645130 1507446255664",
    "chopping": "1507193971595 1507451974266 1507292576905 1506858179290",
    "sit ups": "1507085666793 1507445388999 1506837019244 1507102392487",
    "running": "1506837794052 1506837019244 1507277006736 1506840511789 1507103243726",
    "lying down": "1507540336030 1507103243726 1507104938830 1507085666793",
    "eating": "1507190981185 1507193252270 1506588293055 1507540336030 1506858179290 1507535531191 1507451974266 "
    "1507292576905",
    "riding escalator": "1506861601641 1506862108552",
    "writing": "1507539325772 1507538351866 1506588293055",
    "brushing teeth": "1507451974266",
    "watching tv": "1507094478224",
    "walking": "1507022329230 1507104938830 1507103243726 1507354660471 1507020707163 1507448032599 1507446255664",
}
"""Per label the recordings whose clips of it train; those of all others test."""

PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    f"{FOLDS}-fold-recording": {
        "k_fold": {"column": "recording", "folds": FOLDS},
        "source": "ours: whole recordings test that training never saw; DataEgo does not say who wore the glasses",
    },
    "leave-one-recording-out": {
        "leave_one_out": "recording",
        "source": "ours: each recording in turn; DataEgo does not say who wore the glasses",
    },
    "official": {
        "train": {"official_split": ["train"]},
        "test": {"official_split": ["test"]},
        "source": "github.com/thuhci/MMTSA, data_preprocess/Preprocess_dataego.py: a list of training recordings per "
        "class. One recording trains one class and tests another, so people and places are on both sides: for "
        "comparison with published figures only",
    },
}


def official_side(recording: str, label: str) -> str:
    """Return "train" or "test": the side of a recording's ("REC_1507...") clips of a label in the MMTSA code."""
    return "train" if recording.removeprefix("REC_") in TRAINING[label].split() else "test"


def by_recording(clips: Sequence[tuple[str, str]]) -> Mapping[str, Any] | None:
    """Return folds by whole recordings, dealt out so that training knows the classes of the test part.

    A recording holds only some of the activities, and some activities are in few recordings: folds dealt out blindly
    would often test a class that none of the others has. Here a recording goes to a fold that leaves each of its
    classes in another fold too, where there is one, and of those to the smallest.

    Parameters
    ----------
    clips : sequence of (recording, label)

    Returns
    -------
    mapping or None
        `{"folds": {"fold-1": {"train": ..., "test": ...}, ...}, "source": ...}`; None for fewer than five recordings.
    """
    counts = Counter(clips)
    labels_of: dict[str, set[str]] = {}
    for recording, label in counts:
        labels_of.setdefault(recording, set()).add(label)
    if len(labels_of) < FOLDS:
        return None
    parts = _dealt(labels_of, Counter(recording for recording, _ in clips))
    folds = {}
    for number, part in enumerate(parts, 1):
        train = sorted(labels_of.keys() - set(part))
        folds[f"fold-{number}"] = {"train": {"recording": train}, "test": {"recording": sorted(part)}}
    source = PROTOCOLS[f"{FOLDS}-fold-recording"]["source"]
    return {"folds": folds, "source": f"{source}; dealt out so that training knows every class where that can be"}


def _dealt(labels_of: Mapping[str, set[str]], sizes: Mapping[str, int]) -> list[list[str]]:
    """Return the recordings of each fold, those of the rarest classes dealt out first."""
    spread = Counter(label for labels in labels_of.values() for label in labels)
    folds_of: dict[str, set[int]] = {label: set() for label in spread}
    parts: list[list[str]] = [[] for _ in range(FOLDS)]
    for recording in sorted(labels_of, key=lambda name: (sorted(spread[label] for label in labels_of[name]), name)):
        labels = labels_of[recording]

        def cost(fold: int, labels: set[str] = labels) -> tuple[int, int, int]:
            alone = sum(folds_of[label] == {fold} for label in labels)
            return alone, sum(sizes[name] for name in parts[fold]), fold

        chosen = min(range(FOLDS), key=cost)
        parts[chosen].append(recording)
        for label in labels:
            folds_of[label].add(chosen)
    return parts
