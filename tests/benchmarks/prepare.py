"""`mmtsa prepare mmact` on a tree of MMAct's size whose files are empty: time and memory of the whole process.

36,000 videos (9,000 performances, four cameras) and the 36,000 files of their sensors. Run by hand:
`python -m tests.benchmarks.prepare`. Asked for: under 60 s.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

from mmtsa_cli.recordings.datasets.mmact_files import ACTIVITIES
from tests.benchmarks.measure import child, show

_FILE_NAMES = [activity for activity in ACTIVITIES if not activity.endswith("_desk")]
_PERFORMANCES = 9000
_SENSORS = ("acc_phone_clip", "acc_watch_clip", "gyro_clip", "orientation_clip")


def write_tree(root: Path) -> int:
    """Write the empty files and return how many there are."""
    everything = itertools.product(range(1, 21), range(1, 5), range(1, 6), _FILE_NAMES)
    count = 0
    for subject, scene, session, activity in itertools.islice(everything, _PERFORMANCES):
        place = f"scene{scene}/session{session}"
        for view in (1, 2, 3, 4):
            count += touch(root / f"subject{subject}/cam{view}/{place}/{activity}.mp4")
        for sensor in _SENSORS:
            count += touch(root / f"{sensor}/subject{subject}/{place}/{activity}.csv")
    return count


def touch(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return 1


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_tree(Path(folder) / "mmact")
        command = [sys.executable, "-m", "mmtsa_cli", "prepare", "mmact", str(Path(folder) / "mmact")]
        rows = [(f"{files} files", *child([*command, "-o", str(Path(folder) / f"rec{i}")])) for i in range(3)]
    show(("mmtsa prepare mmact", "wall s", "CPU s", "peak MB"), rows)


if __name__ == "__main__":
    main()
