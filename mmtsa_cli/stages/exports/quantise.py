"""An ONNX graph to one of 8-bit integers: static quantisation, per channel, calibrated on training clips.

The convolutions and what stands between them become integer arithmetic. The sensor images before them, the fusion and
the classifier after them stay float32: they are a small part of the work, 8 bits of a window's samples would be too few
for its image, and the fused features of modalities differ in their range (on UTD-MHAD an integer classifier changed 4
to 7 % of the classes, a float one 1 to 5 %). Activations are unsigned and weights signed: on x86 processors this is the
pairing that ONNX Runtime has fast kernels for. Processors without VNNI add such products in 16 bits, which may
saturate: accuracy is measured, not promised.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmtsa_cli.stages.exports.graph import Feed, onnx_session, quiet

_TYPES = ("Add", "AveragePool", "Concat", "Conv", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool", "Relu")
MAY_FALL = 0.01
"""How much accuracy may fall without a warning."""
_WORTH_SAYING = 2.0
_REPLACED = ("Conv", "FusedConv")
_INTEGER = ("QLinear", "QGemm", "ConvInteger", "MatMulInteger", "QuantizeLinear", "DequantizeLinear")


def quantise(source: Path, target: Path, calibration: Iterable[Feed]) -> None:
    """Write the integer version of a graph.

    Parameters
    ----------
    source, target : Path
    calibration : iterable of Feed
        Clips by which the range of every activation is found: its minimum and maximum over all of them.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._feeds = iter(calibration)

        def get_next(self) -> Any:
            feed = next(self._feeds, None)
            return None if feed is None else dict(feed)

    prepared = target.with_name(f".{target.name}.prepared")
    with quiet():
        # Symbolic shape inference is for graphs of unknown rank; this one has one axis that varies.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(_TYPES),
            nodes_to_exclude=_kept_float(onnx.load(str(prepared)).graph.node),
        )
    prepared.unlink()


def _kept_float(nodes: Sequence[Any]) -> list[str]:
    """Return the names of nodes that stay float: all that are no convolutions and do not stand between two.

    Parameters
    ----------
    nodes : sequence of onnx.NodeProto
        In an order in which every node follows those that it reads from, as ONNX asks for.
    """
    maker = {output: node for node in nodes for output in node.output}
    after: dict[str, bool] = {}
    for node in nodes:
        sources = [maker[name] for name in node.input if name in maker]
        after[node.name] = any(one.op_type == "Conv" or after[one.name] for one in sources)
    users = defaultdict(list)
    for node in nodes:
        for name in node.input:
            users[name].append(node)
    before: dict[str, bool] = {}
    for node in reversed(nodes):
        readers = [one for name in node.output for one in users[name]]
        before[node.name] = any(one.op_type == "Conv" or before[one.name] for one in readers)

    return [n.name for n in nodes if n.op_type != "Conv" and not (after[n.name] and before[n.name])]


def time_shares(path: Path, feeds: Sequence[Feed], scratch: Path) -> dict[str, float]:
    """Return which part of a graph's time, on one thread, each kind of operator takes; the parts sum to 1.

    Parameters
    ----------
    path : Path
    feeds : sequence of Feed
        One clip each, at least one.
    scratch : Path
        A directory for the operators' times; nothing stays in it.
    """
    session = onnx_session(path, threads=1, profile=scratch / ".times")
    for feed in feeds:
        session.run(None, dict(feed))
    noted = Path(session.end_profiling())
    events = json.loads(noted.read_text(encoding="utf-8"))
    noted.unlink()
    times = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times[event["name"], event["args"]["op_name"]].append(event["dur"])
    shares: dict[str, float] = defaultdict(float)
    for (_, kind), values in times.items():
        # The least of each operator: other processes can only add to a time.
        shares[kind] += min(values)
    total = sum(shares.values()) or 1.0
    return {kind: value / total for kind, value in shares.items()}


def remarks(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return notes of what integers bring, and warnings where they do not pay.

    Parameters
    ----------
    before, after : mapping
        Of the float32 and of the integer graph, on the same clips: `least_ms`, `bytes`, `shares` (see `time_shares`),
        and, where the classes of clips are known, `accuracy` and `n`.
    """
    notes, warnings = [], []
    speed = before["least_ms"] / after["least_ms"]
    notes.append(f"int8: {speed:.2f} x the speed of float32, {after['bytes'] / before['bytes']:.2f} of its size")
    if speed <= 1:
        warnings.append(
            f"int8 does not pay on this machine: {after['least_ms']:.2f} ms a clip, {before['least_ms']:.2f} ms in "
            f"float32; {_reason(before, after)}"
        )
    elif speed < _WORTH_SAYING:
        notes.append(f"int8 is less than {_WORTH_SAYING:g} x as fast as float32: {_reason(before, after)}")
    fall = before.get("accuracy", 0.0) - after.get("accuracy", 0.0)
    if fall > MAY_FALL:
        warnings.append(
            f"int8 costs accuracy: {after['accuracy']:.3f}, {before['accuracy']:.3f} in float32 on the same "
            f"{after['n']} clips, a fall of more than {MAY_FALL:g}"
        )
    return notes, warnings


def _reason(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    replaced = sum(part for kind, part in before["shares"].items() if kind in _REPLACED)
    integer = sum(part for kind, part in after["shares"].items() if kind.startswith(_INTEGER))
    faster = replaced * before["least_ms"] / (integer * after["least_ms"] or 1.0)
    return (
        f"its integer operators are {faster:.2f} x as fast as the convolutions that they replace, and "
        f"{1 - integer:.0%} of its time goes to what stays float32"
    )
