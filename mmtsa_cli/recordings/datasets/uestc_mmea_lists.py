"""The published split of UESTC-MMEA-CL: train.txt, val.txt and test.txt, a line a clip.

In the lists that the authors publish with their code, a line is a path on their machine without ending, the number of
frames, that of the sensors' rows and the class from 0, as in `.../15_eating/15_eating_2022_05_28_10_56_08 408 408 14`.
Copies differ in the folders before it; only folder and name are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from mmtsa_cli.recordings.datasets.tree import FileTree

Clip = tuple[int, str]
"""Number of the activity, and the name that the files of a clip share."""

_LIST = re.compile(r"(?:.*_)?(train|val|test)\.txt", re.IGNORECASE)
_LINE = re.compile(r"(?:(?:.*[/\\])?(?P<folder>[^/\\]+)[/\\])?(?P<name>[^/\\\s,;]+?)(?:\.(?:mp4|csv))?(?:[\s,;].*)?")
"""A list's line: the path or the name of a clip, with or without ending, and what may follow after a blank or comma."""
_SPLITS = ("test", "val", "train")
"""The first that names a clip has it: what is tested on must not be trained on."""
_ACTIVITY = re.compile(r"(\d+)_")
_SHOWN = 3


def splits_of(tree: FileTree, clips: Mapping[Clip, Any]) -> tuple[dict[Clip, str], list[str]]:
    """Return the split ("train", "val" or "test") of each clip that a list names, and what there is to warn of.

    Parameters
    ----------
    tree : FileTree
    clips : mapping
        By the clips of which there are files.
    """
    lists = list(_lists(tree))
    if not lists:
        return {}, ["no train.txt, val.txt or test.txt: the published split cannot be followed"]
    splits: dict[Clip, str] = {}
    warnings = []
    twice = []
    for split, file, lines in lists:
        clips_of_lines = [_clip_of(line, clips) for line in lines]
        absent = [line for line, clip in zip(lines, clips_of_lines, strict=True) if clip is None]
        if absent:
            warnings.append(_absent(file, absent, len(lines)))
        named = [clip for clip in clips_of_lines if clip is not None]
        twice += [clip[1] for clip in named if splits.setdefault(clip, split) != split]
    if twice:
        warnings.append(f"{len(twice)} clips stand in two lists: {_some(twice)}; test counts before val before train")
    if unnamed := [clip[1] for clip in sorted(clips) if clip not in splits]:
        warnings.append(f"{len(unnamed)} clips stand in no list: {_some(unnamed)}; no published protocol uses them")
    return splits, warnings


def _lists(tree: FileTree) -> Iterator[tuple[str, str, list[str]]]:
    """Yield split, file and lines of each list, the test's first."""
    found = {name: match[1].lower() for name in tree.files if (match := _LIST.fullmatch(PurePosixPath(name).name))}
    for name in sorted(found, key=lambda name: (_SPLITS.index(found[name]), name)):
        text = tree.files[name].read_text(encoding="utf-8-sig", errors="replace")
        yield found[name], name, [line.strip() for line in text.splitlines() if line.strip()]


def _clip_of(line: str, clips: Mapping[Clip, Any]) -> Clip | None:
    """Return the clip that a line names, None where it is not here."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    # The activity's number begins the folder, or the name of the clip itself.
    for text in (match["folder"] or "", match["name"]):
        number = _ACTIVITY.match(text)
        if number and (int(number[1]), match["name"]) in clips:
            return int(number[1]), match["name"]
    return None


def _absent(file: str, lines: Sequence[str], total: int) -> str:
    if len(lines) == total:
        expected = "expected 1_upstairs/1_upstairs_2022_04_29_23_24_23, or the like, at the beginning of a line"
        return f"{file}: none of its {total} lines names a clip that is here; {expected}, found {lines[0]!r}"
    return f"{file}: {len(lines)} of its {total} lines name clips that are not here (half a download?): {_some(lines)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
