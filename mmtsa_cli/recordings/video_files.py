"""Files that hold videos: which reader opens which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmtsa_cli.recordings.arrays import check_exists

if TYPE_CHECKING:
    from mmtsa_cli.recordings.description import ModalitySpec
    from mmtsa_cli.recordings.video import Video


def open_video(path: Path, spec: ModalitySpec, *, duration_s: float | None = None) -> Video:
    """Open a video file, or the depth of a `.mat` file as a grey video.

    Parameters
    ----------
    spec : ModalitySpec
        For `.mat`: `variable`, `rate` and `depth_range_mm`.
    duration_s : float, optional
        Of a `.mat` file without rate: the time that its frames are spread over evenly.

    Raises
    ------
    DataError
        The file is missing, empty, truncated beyond reading, no video, or one without a video stream.
    """
    check_exists(path)
    if path.suffix.lower() == ".mat":
        from mmtsa_cli.recordings.depth import DepthVideo

        return DepthVideo(path, spec, duration_s=duration_s)
    # PyAV is loaded where there is a video: sensors alone do without.
    from mmtsa_cli.recordings.decoding import DecodedVideo

    return DecodedVideo(path)
