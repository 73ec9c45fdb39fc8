"""A trained network as a graph that needs none of this package: imaging, encoders, fusion and softmax in one file.

ONNX comes from the exporter that builds on `torch.export` (`torch.onnx.export` with `dynamo=True`, the default since
torch 2.9), not from the older one, which traces TorchScript.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mmtsa_cli.errors import ArtifactError
from mmtsa_cli.methods.mmtsa import Mmtsa

OUTPUTS = ("probabilities", "attention")
OPSET = 18
"""Of ONNX: the lowest that the exporter writes without converting, so that older runtimes take it too."""

MOST_CLIPS = 8
"""That a program of ExecuTorch takes at once: its memory is planned before it runs, for so many."""

Feed = Mapping[str, NDArray[Any]]
"""The arrays of some clips, by the names of the graph's inputs and in their order."""
Answer = Callable[[Feed], tuple[NDArray[Any], NDArray[Any]]]
"""From arrays to probabilities, (B, classes), and attention, (B, N)."""


@dataclass(frozen=True)
class GraphInput:
    """One input of the graph.

    Attributes
    ----------
    name : str
        That of a modality, or `NAME.extremes`.
    modality : str
    dtype : "uint8" or "float32"
    shape : tuple of int
        Without the first axis, B clips: (N, H, W, C) of frames, (N, C, K) of windows, (C, 2) of extremes.
    """

    name: str
    modality: str
    dtype: Literal["uint8", "float32"]
    shape: tuple[int, ...]


def graph_inputs(method: Mmtsa) -> tuple[GraphInput, ...]:
    """Return the inputs of a network's graph, in their order: extremes only where scale "clip" rescales by them."""
    found: list[GraphInput] = []
    for name, wanted in method.inputs.items():
        size = int(wanted.size or 0)
        if wanted.kind == "video":
            shape = (method.segments, size, size, wanted.channels * wanted.frames)
            found.append(GraphInput(name, name, "uint8", shape))
            continue
        found.append(GraphInput(name, name, "float32", (method.segments, wanted.channels, size)))
        if method.options.imaging.scale == "clip":
            found.append(GraphInput(f"{name}.extremes", name, "float32", (wanted.channels, 2)))
    return tuple(found)


class ClassifyingGraph(nn.Module):
    """A network that takes its inputs one by one and answers with probabilities.

    Parameters
    ----------
    network : nn.Module
        From a mapping of tensors to logits, (B, classes), and attention, (B, N).
    names : sequence of str
        Of the inputs, in their order.
    """

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names = tuple(names)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities, (B, classes) float32, and attention, (B, N) float32."""
        logits, attention = self.network(dict(zip(self.names, tensors, strict=True)))
        return logits.float().softmax(dim=1), attention


def write_program(method: Mmtsa, inputs: Sequence[GraphInput], path: Path) -> None:
    """Write the graph of a network, for any number of clips, for `torch.export.load`.

    Raises
    ------
    ArtifactError
        The network cannot be captured.
    """
    graph, example, shapes = _graph(method, inputs)
    with _refusing("torch"), quiet():
        program = torch.export.export(graph, example, dynamic_shapes=shapes, strict=False)
        torch.export.save(program, path)


def write_executorch(method: Mmtsa, inputs: Sequence[GraphInput], path: Path) -> None:
    """Write the graph of a network, for 1 to `MOST_CLIPS` clips, as a program of ExecuTorch with XNNPACK's kernels.

    Raises
    ------
    ArtifactError
        The network cannot be captured, or holds what ExecuTorch has no operator for.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    graph, example, shapes = _graph(method, inputs, most=MOST_CLIPS)
    with _refusing("executorch"), quiet():
        program = torch.export.export(graph, example, dynamic_shapes=shapes, strict=False)
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
        path.write_bytes(lowered.buffer)


def write_onnx(method: Mmtsa, inputs: Sequence[GraphInput], path: Path) -> None:
    """Write the graph of a network, for any number of clips, as ONNX, weights included.

    Raises
    ------
    ArtifactError
        The network cannot be captured, or holds what ONNX has no operator for.
    """
    graph, example, shapes = _graph(method, inputs)
    with _refusing("onnx"), quiet():
        translated: Any = torch.onnx.export(
            graph,
            example,
            dynamo=True,
            input_names=[one.name for one in inputs],
            output_names=list(OUTPUTS),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            # Batch norms join the convolutions; torch 2.6 would leave them.
            optimize=True,
            external_data=False,
            verbose=False,
        )
        translated.save(str(path))


def _graph(
    method: Mmtsa, inputs: Sequence[GraphInput], *, most: int | None = None
) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    """Return the module that is captured, tensors to capture it with, and which of their axes may vary."""
    # Channels last is a layout of memory, which a graph would keep as arithmetic of places.
    network = copy.deepcopy(method.network).to(memory_format=torch.contiguous_format)
    graph = ClassifyingGraph(network, [one.name for one in inputs]).eval()
    # Two clips: torch takes a size of one for a constant.
    example = tuple(torch.zeros((2, *one.shape), dtype=getattr(torch, one.dtype)) for one in inputs)
    clips = torch.export.Dim("clips", min=1, max=most)
    return graph, example, (tuple({0: clips} for _ in inputs),)


@contextmanager
def _refusing(form: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ArtifactError(
            f"the network cannot be made a graph of format {form}",
            found=(str(error).strip().splitlines() or [type(error).__name__])[0],
            remedy="train with a backbone that can: resnet10, bn_inception, resnet18, mobilenet_v3_small",
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the advice that exporters give to developers from the user; errors are raised as ever."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


# Asking a graph


def of_network(method: Mmtsa) -> Answer:
    """Return what asks the run's own network, in float32 on the CPU."""
    network = method.network.eval()

    def answer(feed: Feed) -> tuple[NDArray[Any], NDArray[Any]]:
        with torch.inference_mode():
            logits, attention = network({name: torch.from_numpy(values) for name, values in feed.items()})
        return logits.double().softmax(dim=1).numpy(), attention.numpy()

    return answer


def of_program(path: Path) -> Answer:
    """Return what asks a program of `write_program`."""
    module = torch.export.load(path).module()

    def answer(feed: Feed) -> tuple[NDArray[Any], NDArray[Any]]:
        with torch.inference_mode():
            probabilities, attention = module(*(torch.from_numpy(values) for values in feed.values()))
        return probabilities.numpy(), attention.numpy()

    return answer


def of_executorch(path: Path) -> Answer:
    """Return what asks a program of `write_executorch`, by ExecuTorch's own runtime."""
    from executorch.runtime import Runtime

    # The program goes with what it was loaded by.
    program = Runtime.get().load_program(str(path))
    method = program.load_method("forward")

    def answer(feed: Feed, keep: Any = program) -> tuple[NDArray[Any], NDArray[Any]]:
        probabilities, attention = method.execute([torch.from_numpy(values) for values in feed.values()])
        return probabilities.numpy().copy(), attention.numpy().copy()

    return answer


def of_onnx(path: Path, *, threads: int) -> Answer:
    """Return what asks an ONNX file by ONNX Runtime, on the CPU with so many threads."""
    session = onnx_session(path, threads=threads)

    def answer(feed: Feed) -> tuple[NDArray[Any], NDArray[Any]]:
        probabilities, attention = session.run(list(OUTPUTS), dict(feed))
        return probabilities, attention

    return answer


def onnx_session(path: Path, *, threads: int, profile: Path | None = None) -> Any:
    """Return a session of ONNX Runtime on the CPU; with `profile` it notes times in a file whose name begins so."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Its warnings are about graphs, not about the user's data.
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
