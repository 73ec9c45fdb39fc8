"""The model card: what lies in an exported directory, what goes in and comes out, how it was made, how good it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Card = Mapping[str, Any]


def preprocessing(card: Card) -> list[str]:
    """Return in sentences what is to be done to recordings before they go into the graph.

    Parameters
    ----------
    card : mapping
        Its `segments`, `window_s`, `inputs` and `cutting`.
    """
    said = [f"Cut the clip into {card['segments']} segments of equal length."]
    for one in card["inputs"]:
        said += {"sensor": _of_sensor, "extremes": _of_extremes, "video": _of_video}[one["kind"]](one, card)
    return said


def _of_sensor(one: Mapping[str, Any], card: Card) -> list[str]:
    _, _, _, samples = one["shape"]
    rate, unit = f"{one['rate_hz']:g} Hz", one["unit"] or "the unit of the training recordings, which they do not say"
    gap = card["cutting"]["max_gap_s"]
    return [
        f"{one['name']}: resample to {rate}, in {unit}, axes in the order {', '.join(one['axes'])}; gaps of up to "
        f"{gap:g} s are filled by straight lines. Of each segment take the {samples} samples ({card['window_s']:g} s) "
        "around its centre, as they are: the graph makes the images."
    ]


def _of_extremes(one: Mapping[str, Any], card: Card) -> list[str]:
    return [f"{one['name']}: minimum and maximum of each axis over the whole clip, not the windows alone."]


def _of_video(one: Mapping[str, Any], card: Card) -> list[str]:
    frames, cutting = one["frames"], card["cutting"]
    colour = "grey" if one["channels"] == 1 else "red, green, blue"
    candidates = cutting["segments"] * cutting["frames"]
    chosen = "that nearest to its centre"
    if frames > 1:
        chosen = f"the {frames} around its centre, side by side in the channels in the order of time"
    return [
        f"{one['name']}: take {candidates} frames evenly spaced over the clip ({colour}, 0 to 255), and of each "
        f"segment {chosen}. They are {cutting['short_side']} pixels on the short side at most (JPEG of quality "
        f"{cutting['quality']} in training); of them the centred square of {one['crop']:g} of the short side, scaled "
        f"to {one['size']} x {one['size']}."
    ]


def to_markdown(card: Card) -> str:
    """Return a card as Markdown."""
    parts = [
        [f"# {card['name']}: activities of people from {', '.join(card['modalities'])}"],
        [_opening(card)],
        ["## Files", *_files(card)],
        [f"## Classes ({len(card['classes'])})", ", ".join(card["classes"])],
        ["## Inputs", *_table(("name", "type", "shape", "rate", "unit", "axes"), map(_input_row, card["inputs"]))],
        ["B is any number of clips. " + _imaging(card)],
        [
            "## Outputs",
            *(f"- `{one['name']}`, {one['dtype']}, {_shape(one)}: {one['what']}" for one in card["outputs"]),
        ],
        ["## Preprocessing", *(f"{n}. {text}" for n, text in enumerate(card["preprocessing"], start=1))],
        ["## Data and protocol", *_data(card)],
        ["## Figures", *_figures(card)],
        ["## Version and licence", *_closing(card)],
    ]
    return "\n\n".join("\n".join(_spaced(part)) for part in parts) + "\n"


def _spaced(part: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a part, one empty after its heading."""
    for number, line in enumerate(part):
        yield line
        if number == 0 and line.startswith("#") and len(part) > 1:
            yield ""


def _opening(card: Card) -> str:
    return (
        f"MMTSA (multimodal temporal segment attention), trained by mmtsa {card['training']['mmtsa']}, fold "
        f"{card['data']['fold']} of {card['data']['protocol']}. It names one of {len(card['classes'])} activities for "
        "a clip that shows one; it has not learned to say that it shows none of them."
    )


def _files(card: Card) -> list[str]:
    rows = [
        f"- `{name}`: {about['what']}, {about['bytes'] / 1e6:.2f} MB, SHA-256 {about['sha256']}"
        for name, about in card["files"].items()
    ]
    return [*rows, "- `card.json`: this card for programs", "- `example.py`: a program that runs the model"]


def _input_row(one: Mapping[str, Any]) -> list[str]:
    rate = f"{one['rate_hz']:g} Hz" if one["kind"] == "sensor" else ""
    return [
        f"`{one['name']}`", one["dtype"], _shape(one), rate, one.get("unit") or "", ", ".join(one.get("axes", ())),
    ]  # fmt: skip


def _shape(one: Mapping[str, Any]) -> str:
    return f"({', '.join(map(str, one['shape']))})"


def _table(columns: Sequence[str], rows: Any) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines]


def _imaging(card: Card) -> str:
    imaging = card["imaging"]
    if not any(one["kind"] == "sensor" for one in card["inputs"]):
        return "It has no sensors."
    size = imaging["image_size"] or "as many pixels as a window has samples"
    return (
        f"Gramian angular fields are made in the graph (field {imaging['field']}, range {imaging['range']}, scale "
        f"{imaging['scale']}, image size {size})."
    )


def _data(card: Card) -> list[str]:
    data = card["data"]
    clips = ", ".join(f"{count} {part}" for part, count in data["clips"].items())
    apart = ", ".join(data["apart"]) or "no column of the index"
    stores = ", ".join(f"`{name}` ({made_of})" for name, made_of in data["samples"].items())
    return [
        f"- Samples: {stores}",
        f"- Protocol: {data['protocol']}, fold {data['fold']}; training and test are apart in: {apart}",
        f"- Clips: {clips}",
        f"- Training: seed {card['training']['seed']}, run {card['training']['run']}",
    ]


def _figures(card: Card) -> list[str]:
    lines = [_verified(card["verification"]), ""]
    if card["figures"]["rows"]:
        columns = ("", "file", "accuracy (95 %)", "macro F1", "clips", "median ms", "95th percentile", "least")
        lines += [*_table(columns, map(_figure_row, card["figures"]["rows"])), "", card["figures"]["how"]]
    lines += ["", *(f"- {text}" for text in card["figures"]["remarks"])] if card["figures"]["remarks"] else []
    if card["evaluation"]:
        its = card["evaluation"]
        low, high = its["interval_95"]
        lines += [
            "",
            f"Evaluation of the run ({its['directory']}): accuracy {its['accuracy']:.3f} ({low:.3f} to {high:.3f}), "
            f"macro F1 {its['macro_f1']:.3f}, {its['n']} clips of {its['protocol']}, mean of {its['draws']} draws of a "
            "clip.",
        ]
    return lines


def _verified(its: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{clips} in batches of {size}" for size, clips in its["clips"].items())
    return (
        f"Held against the run's own network in float32 on {its['on']} ({counts}): probabilities differ by at most "
        f"{its['probabilities']:.2g}, attention by {its['attention']:.2g}; more than {its['bound']:g} would have "
        "been an error."
    )


def _figure_row(row: Mapping[str, Any]) -> list[str]:
    cells = [row["what"], f"`{row['file']}`" if row["file"] else "the run"]
    if "accuracy" in row:
        low, high = row["interval_95"]
        cells += [f"{row['accuracy']:.3f} ({low:.3f} to {high:.3f})", f"{row['macro_f1']:.3f}", str(row["n"])]
    else:
        cells += ["", "", ""]
    return [*cells, *(f"{row[key]:.2f}" for key in ("latency_ms", "latency_p95_ms", "least_ms"))]


def _closing(card: Card) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    return [
        f"- Made by `mmtsa export` with {versions}",
        f"- Licence of mmtsa, whose code the graph and the example come from: {card['licence']}. What may be done "
        "with the weights also depends on the recordings that they were trained on.",
    ]
