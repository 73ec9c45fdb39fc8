"""The systems that `benchmark` knows: a table that is read without importing any of them.

A package of one's own adds a system by an entry point of the group `mmtsa.methods` that leads to an `Entry`:

    [options.entry_points]
    mmtsa.methods =
        mine = my_package.systems:ENTRY
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mmtsa_cli.errors import DataError, UsageError, did_you_mean
from mmtsa_cli.modalities import Kind

Inputs = Literal["video", "sensors", "accelerometers", "video and sensors", "every modality"]
ENTRY_POINTS = "mmtsa.methods"


@dataclass(frozen=True)
class Entry:
    """What is known of a system before it is imported.

    Attributes
    ----------
    name : str
        As `--methods` takes it.
    target : str
        "module:Class", the class of its `contract.Method`.
    inputs : str
        What it reads: the main video, all sensors, the accelerometers among them, the main video and all sensors (both
        must be there), or every modality, whichever there are.
    source : str
        The publication.
    what : str
        What it is, in a few words.
    published : mapping of str to float
        F1 in percent that the paper's tables give, by column: "mmact cross-subject", "mmact cross-session",
        "egocentric", "dataego".
    """

    name: str
    target: str
    inputs: Inputs
    source: str
    what: str
    published: Mapping[str, float] = field(default_factory=dict)


_MMACT, _SESSION, _EGO, _DATAEGO = "mmact cross-subject", "mmact cross-session", "egocentric", "dataego"
_KONG = "Kong et al., MMAct, ICCV 2019"
_SONG_FV = "Song et al., egocentric activity recognition with multimodal Fisher vector, ICASSP 2016"
_SONG_MS = "Song et al., multimodal multi-stream deep learning, CVPR workshops 2016"
_KWAPISZ = "Kwapisz, Weiss, Moore, SIGKDD Explorations 2011"
_MMTSA = "MMTSA, the paper"

ENTRIES: tuple[Entry, ...] = (
    Entry("mmtsa", "mmtsa_cli.methods.mmtsa:Mmtsa", "every modality", _MMTSA,
          "field images, a backbone a modality, attention over segments",
          {_MMACT: 87.41, _SESSION: 94.07, _EGO: 81.00, _DATAEGO: 83.22}),
    Entry("mmtsa-concat", "mmtsa_cli.methods.mmtsa:MmtsaConcat", "every modality", _MMTSA,
          "the same, segments averaged without attention", {_MMACT: 84.02}),
    Entry("tsn-rgb", "mmtsa_cli.methods.tsn:TsnRgb", "video", "Wang et al., temporal segment networks, ECCV 2016",
          "class scores of frames averaged over segments", {_DATAEGO: 65.77}),
    Entry("tsn-fusion", "mmtsa_cli.methods.tsn:TsnFusion", "video and sensors",
          "Wang et al., temporal segment networks, ECCV 2016", "one such network a modality, scores averaged by weight",
          {_SESSION: 77.09}),
    Entry("student", "mmtsa_cli.methods.mmad:Student", "video", _KONG, "the distilled systems' network on labels alone",
          {_MMACT: 64.44}),
    Entry("smd", "mmtsa_cli.methods.distillation:Smd", "video and sensors",
          "Hinton, Vinyals, Dean, distilling the knowledge in a neural network, 2015",
          "video network taught by the best sensor", {_MMACT: 63.89}),
    Entry("multi-teachers", "mmtsa_cli.methods.mmad:MultiTeachers", "video and sensors", _KONG,
          "sensor networks' mean, or a video network taught by it", {_MMACT: 62.27}),
    Entry("mmad", "mmtsa_cli.methods.mmad:Mmad", "video and sensors", _KONG,
          "video network taught by sensors weighed by attention", {_MMACT: 66.45, _SESSION: 78.82}),
    Entry("keyless", "mmtsa_cli.methods.keyless:Keyless", "video and sensors",
          "Long et al., multimodal keyless attention fusion, AAAI 2018", "LSTM and keyless attention a modality",
          {_MMACT: 71.83, _SESSION: 81.11}),
    Entry("hamlet", "mmtsa_cli.methods.hamlet:Hamlet", "video and sensors", "Islam, Iqbal, HAMLET, IROS 2020",
          "multi-head attention over time, then over modalities", {_SESSION: 83.89}),
    Entry("mumu", "mmtsa_cli.methods.mumu:Mumu", "video and sensors", "Islam, Iqbal, MuMu, AAAI 2022",
          "activity groups guide the fusion of modalities", {_MMACT: 76.28, _SESSION: 87.50}),
    Entry("multi-gat", "mmtsa_cli.methods.multi_gat:MultiGat", "video and sensors", "Islam, Iqbal, Multi-GAT, RAL 2021",
          "graph attention between modalities", {_MMACT: 75.24, _SESSION: 91.48}),
    Entry("svm-hog", "mmtsa_cli.methods.svm_hog:SvmHog", "video", "Ofli et al., Berkeley MHAD, WACV 2013",
          "oriented gradients of frames, a support vector machine", {_SESSION: 46.52}),
    Entry("svm", "mmtsa_cli.methods.kwapisz:Svm", "accelerometers", _KWAPISZ, "43 features, a support vector machine",
          {_EGO: 47.75}),
    Entry("decision-tree", "mmtsa_cli.methods.kwapisz:DecisionTree", "accelerometers", _KWAPISZ,
          "43 features, a decision tree", {_EGO: 51.80}),
    Entry("fvs", "mmtsa_cli.methods.fisher_vectors:Fvs", "sensors", _SONG_FV, "Fisher vector of sensor windows",
          {_EGO: 65.60}),
    Entry("tfvs", "mmtsa_cli.methods.fisher_vectors:Tfvs", "sensors", _SONG_FV, "the same, windows with their time",
          {_EGO: 69.00}),
    Entry("fvv", "mmtsa_cli.methods.fisher_vectors:Fvv", "video", _SONG_FV, "Fisher vector of trajectories",
          {_EGO: 78.44}),
    Entry("fvv+fvs", "mmtsa_cli.methods.fisher_vectors:FvvFvs", "video and sensors", _SONG_FV,
          "both Fisher vectors side by side", {_EGO: 80.45}),
    Entry("mfv", "mmtsa_cli.methods.fisher_vectors:Mfv", "video and sensors", _SONG_FV,
          "trajectories and timed sensor windows, normalised apart", {_EGO: 83.71}),
    Entry("multi-stream-avg", "mmtsa_cli.methods.multi_stream:MultiStreamAverage", "video and sensors", _SONG_MS,
          "frames, optical flow, an LSTM a sensor, scores averaged", {_EGO: 76.50}),
    Entry("multi-stream-max", "mmtsa_cli.methods.multi_stream:MultiStreamMaximum", "video and sensors", _SONG_MS,
          "the same, the highest score", {_EGO: 80.50}),
)  # fmt: skip
"""The 22 systems of the paper's tables."""

YARDSTICK = Entry(
    "part-svm",
    "mmtsa_cli.methods.part_svm:PartSvm",
    "sensors",
    "of no publication",
    "means and deviations of six parts, a support vector machine: what any system must beat",
)


@functools.cache
def entries() -> dict[str, Entry]:
    """Return all systems by name: those of the paper, the yardstick, then those that installed packages add."""
    from importlib import metadata

    found = {entry.name: entry for entry in (*ENTRIES, YARDSTICK)}
    for point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry = point.load()
        except (ImportError, AttributeError) as error:
            where = f"{ENTRY_POINTS}, {point.value}"
            raise UsageError(f"method {point.name} cannot be loaded", where=where, found=str(error)) from None
        if not isinstance(entry, Entry):
            raise UsageError(
                f"entry point {point.name} leads to no system",
                where=f"{ENTRY_POINTS}, {point.value}",
                expected="an Entry of mmtsa_cli.methods.registry",
                found=type(entry).__name__,
            )
        if entry.name in found:
            raise UsageError(f"a second system called {entry.name}", where=f"{ENTRY_POINTS}, {point.value}")
        found[entry.name] = entry
    return found


def entry_of(name: str) -> Entry:
    """Return the system called `name`.

    Raises
    ------
    UsageError
        There is none; the nearest name is offered.
    """
    known = entries()
    if name not in known:
        raise UsageError(f"no method {name!r}", where="--methods", remedy=did_you_mean(name, known))
    return known[name]


def class_of(entry: Entry) -> type:
    """Import the class of a system.

    Raises
    ------
    UsageError
        Its module or class is not there.
    """
    module, _, name = entry.target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"method {entry.name} cannot be loaded", where=entry.target, found=str(error)) from None


def modalities_of(entry: Entry, available: Mapping[str, Kind]) -> tuple[str, ...]:
    """Return what a system reads of the modalities that there are, in their order.

    The main video is `rgb` where it is there, else the first.

    Raises
    ------
    DataError
        A modality that it needs is not there.
    """
    videos = [name for name, kind in available.items() if kind == "video"]
    sensors = [name for name, kind in available.items() if kind == "sensor"]
    main = ["rgb"] if "rgb" in videos else videos[:1]
    accelerometers = [name for name in sensors if name.startswith("acc")]
    if entry.inputs == "every modality":
        return _needed(entry, tuple(available), "a modality", available)
    if entry.inputs == "video":
        return _needed(entry, main, "a video", available)
    if entry.inputs == "sensors":
        return _needed(entry, sensors, "a sensor", available)
    if entry.inputs == "accelerometers":
        return _needed(entry, accelerometers, "an accelerometer", available)
    _needed(entry, videos, "a video", available)
    _needed(entry, sensors, "a sensor", available)
    chosen = {*sensors, *main}
    return tuple(name for name in available if name in chosen)


def _needed(entry: Entry, found: Sequence[str], what: str, available: Mapping[str, Kind]) -> tuple[str, ...]:
    if not found:
        raise DataError(f"{entry.name} needs {what}", expected=what, found=", ".join(available) or "no modality")
    return tuple(found)
