"""The segment network: an encoder a modality, fusion over segments, a classifier (section 3.3 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmtsa_cli.artifacts.options import option
from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.imaging.layer import FieldImages
from mmtsa_cli.modalities import Kind
from mmtsa_cli.models.backbones import create_backbone
from mmtsa_cli.models.encoders import SensorEncoder, VideoEncoder, WindowLevel, encode_together
from mmtsa_cli.models.fusion import AdditiveAttention, AverageFusion, Classifier
from mmtsa_cli.models.inputs import convention_of
from mmtsa_cli.models.side_by_side import side_by_side


@dataclass(frozen=True)
class ModelOptions:
    """What the network is. The defaults are the paper's where it says them."""

    backbone: str = option("bn_inception", "bn_inception, resnet10, or a classification model of torchvision")
    width: float = option(1.0, "multiplies the channels of bn_inception, resnet10 and the mobilenets", above=0, high=4)
    norm: Literal["batch", "group"] = option(
        "batch", "of resnet10: over the batch, or over groups of channels of an image"
    )
    weights: str | None = option(None, "path or URL of the backbone's weights; null: from scratch")
    weights_sha256: str | None = option(None, "what the file of weights must hash to; needed for a URL")
    hidden: int = option(512, "width of the first fully connected layer", low=1)
    dropout: float = option(0.5, "part of the features dropped before each fully connected layer", low=0, high=0.95)
    fusion: Literal["attention", "average"] = option("attention", "over segments: additive attention, or the mean")
    position_embedding: bool = option(False, "attention sees the order of segments: one learned vector a segment")
    level: bool = option(False, "mean and log deviation of each axis of a window stand beside its field's features")
    shared_sensors: bool = option(
        False, "sensors with as many axes and with images of one size share one backbone, which runs once for all"
    )
    modality_dropout: float = option(
        0.0,
        "chance that a training clip lacks a modality; one always stays. Above 0 any of them may be missing later",
        low=0,
        high=0.9,
    )
    auxiliary: float = option(0.0, "weight of each modality's own loss beside that of the fused ones; 0: none", low=0)
    vote: bool = option(
        False, "each modality's own classifier (auxiliary above 0) has a vote beside that of the fused features"
    )
    pairing: float = option(
        0.0, "weight of a contrastive loss that pairs what modalities recorded in the same segment; 0: none", low=0
    )


_PAIRED = 64
"""Features of the vectors that are paired."""


@dataclass(frozen=True)
class Input:
    """What a modality's encoder gets.

    Attributes
    ----------
    kind : "video" or "sensor"
    channels : int
        1 (grey) or 3 (RGB) of a video, axes of a sensor.
    frames : int
        Frames of a video's snippet, which stand side by side in its channels.
    bounds : sequence of (low, high), or None
        Per axis of a sensor, what scale "dataset" rescales by.
    size : int or None
        Height and width of a frame, or samples of a window: with it, a backbone that cannot take such images is refused
        when it is made.
    """

    kind: Kind
    channels: int
    bounds: Sequence[Sequence[float]] | None = None
    size: int | None = None
    frames: int = 1


@dataclass(frozen=True)
class TrainingOutput:
    """What the network says of B clips in training.

    Attributes
    ----------
    logits : (B, classes) tensor
    attention : (B, N) float32 tensor
    own : list of (B, classes) tensors
        Of each modality's own classifier, if there are any.
    paired : list of (B, N, P) tensors
        Of each modality, vectors to be paired with those of the others (see `pairing_loss`), if there are any.
    """

    logits: Tensor
    attention: Tensor
    own: list[Tensor]
    paired: list[Tensor]


class SegmentNetwork(nn.Module):
    """From frames and sensor windows of every segment to class scores.

    Parameters
    ----------
    encoders : mapping of str to nn.Module
        One a modality; each takes its input and the clip's extremes, returns (B, N, D_m), and says `features`.
    fusion : nn.Module
        (B, N, D) to (B, D) and weights (B, N), D the sum of D_m.
    classifier : nn.Module
        (B, D) to (B, classes).
    auxiliary : mapping of str to nn.Module
        Per modality a classifier of its own features alone, averaged over segments, or none at all. A modality that the
        fused classifier could do without still learns by it; in evaluation it is used where there is a vote.
    pairing : mapping of str to nn.Module
        Per modality a projection of a segment's features, (B, N, D_m) to (B, N, P), or none at all; of training alone.
    vote : bool
        What the network says is the mean of the logarithms of the probabilities by all classifiers, the fused one and
        those of the modalities that are there (a product of experts, each with the same weight; Hinton 2002).
    modality_dropout : float
        Chance, in training, that a modality of a clip is absent: a learned vector, its token, stands in the place of
        its features in every segment. One modality always stays. Above 0, and with several modalities, evaluation
        takes any of them, and tokens for the others: what is absent cannot influence the result.

    Attributes
    ----------
    side_by_side : bool
        Asked in inference mode on a CPU, encoders run several at a time; the answers differ by rounding.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: nn.Module,
        classifier: nn.Module,
        *,
        auxiliary: Mapping[str, nn.Module] | None = None,
        pairing: Mapping[str, nn.Module] | None = None,
        vote: bool = False,
        modality_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.modalities = tuple(encoders)
        self.encoders = nn.ModuleDict({_key(name): encoder for name, encoder in encoders.items()})
        self.fusion = fusion
        self.classifier = classifier
        self.auxiliary = nn.ModuleDict({_key(name): head for name, head in (auxiliary or {}).items()})
        self.pairing = nn.ModuleDict({_key(name): projection for name, projection in (pairing or {}).items()})
        self.vote = vote
        self.modality_dropout = modality_dropout
        self.side_by_side = False
        self.register_state_dict_post_hook(_once)
        self.register_load_state_dict_pre_hook(_everywhere)
        self.tokens = nn.ParameterDict()
        if modality_dropout and len(encoders) > 1:
            self.tokens = nn.ParameterDict({_key(name): torch.zeros(_width(e)) for name, e in encoders.items()})

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Classify clips.

        Parameters
        ----------
        inputs : mapping of str to tensor
            `NAME` of a video: (B, N, H, W, C) uint8; of a sensor: (B, N, C, K) in its unit. `NAME.extremes` of a
            sensor: (B, C, 2), minimum and maximum of each axis over the whole clip, which scale "clip" needs. Further
            ones are passed over. A network with tokens needs one modality of its own.

        Returns
        -------
        logits : (B, classes) tensor
        attention : (B, N) float32 tensor
            Weights of segments, which sum to 1.

        Raises
        ------
        DataError
            A modality of the network is not among the inputs, and it has no tokens; or none of them is.
        """
        features = self._encoded(inputs)
        return self.classify(self._completed(features), features)

    def classify(self, features: Sequence[Tensor], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return logits and attention, as `forward` does, of clips whose features are known.

        Parameters
        ----------
        features : sequence of (B, N, D_m) tensors
            Of every modality in the network's order, tokens for those that are absent.
        present : mapping of str to (B, N', D_m) tensor
            Of those that are not; where there is a vote, they have one.
        """
        fused, attention = self._fused(features)
        logits = self.classifier(fused)
        if not self.vote:
            return logits, attention
        own = [self.auxiliary[_key(name)](feature.mean(dim=1)) for name, feature in present.items()]
        said = torch.stack([scores.float().log_softmax(dim=1) for scores in (logits, *own)])
        return said.mean(dim=0), attention

    def forward_subsets(
        self, inputs: Mapping[str, Tensor], subsets: Sequence[Sequence[str]]
    ) -> list[tuple[Tensor, Tensor]]:
        """Return what `forward` says with the modalities of each subset alone; each is encoded once.

        Raises
        ------
        DataError
            As of `forward`.
        """
        features = self._encoded(inputs)
        said = []
        for subset in subsets:
            kept = {name: feature for name, feature in features.items() if name in subset}
            said.append(self.classify(self._completed(kept), kept))
        return said

    def fuse(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the fused features, (B, D), that the classifier gets, and the attention, (B, N)."""
        return self._fused(self._features(inputs))

    def forward_training(self, inputs: Mapping[str, Tensor]) -> TrainingOutput:
        """Return what `forward` does, and what only the losses of training need."""
        features = self._features(inputs)
        fused, attention = self._fused(features)
        by_key = {_key(name): feature for name, feature in zip(self.modalities, features, strict=True)}
        own = [head(by_key[key].mean(dim=1)) for key, head in self.auxiliary.items()]
        paired = [projection(by_key[key]) for key, projection in self.pairing.items()]
        return TrainingOutput(self.classifier(fused), attention, own, paired)

    def _features(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the features of each modality, (B, N, D_m); tokens of those that are not among the inputs."""
        return self._completed(self._encoded(inputs))

    def _encoded(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the features, (B, N, D_m), of each modality of the network that is among the inputs."""
        runs = self.runs([name for name in self.modalities if name in inputs])
        calls = [partial(self._encoded_together, names, inputs) for names in runs]
        if self.side_by_side and len(runs) > 1 and torch.is_inference_mode_enabled():
            work = [sum(self._encoder(name).pixels(inputs[name]) for name in names) for names in runs]
            said = side_by_side(calls, work)
        else:
            said = [call() for call in calls]
        features = {name: feature for one in said for name, feature in one.items()}
        return {name: features[name] for name in self.modalities if name in features}

    def _encoded_together(self, names: Sequence[str], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the features of modalities that one run of a backbone gives."""
        encoders = [self._encoder(name) for name in names]
        extremes = [inputs.get(f"{name}.extremes") for name in names]
        if len(names) == 1:
            return {names[0]: encoders[0](inputs[names[0]], extremes[0])}
        found = encode_together(encoders, [inputs[name] for name in names], extremes)
        return dict(zip(names, found, strict=True))

    def _encoder(self, name: str) -> Any:
        return self.encoders[_key(name)]

    def token(self, modality: str) -> Tensor:
        """Return what stands for the features of an absent modality, (D_m,)."""
        return self.tokens[_key(modality)]

    def runs(self, names: Sequence[str]) -> list[tuple[str, ...]]:
        """Return modalities by runs of a backbone: alone, or as many sensors as share one, whose images come in order.

        Parameters
        ----------
        names : sequence of str
            Those of the inputs, in the network's order.
        """
        by_backbone: dict[int, list[str]] = {}
        for name in names:
            encoder = self.encoders[_key(name)]
            by_backbone.setdefault(id(getattr(encoder, "backbone", encoder)), []).append(name)
        return [tuple(own) for own in by_backbone.values()]

    def _completed(self, features: Mapping[str, Tensor]) -> list[Tensor]:
        """Return features in the order of the modalities, with tokens for those that are missing."""
        missing = [name for name in self.modalities if name not in features]
        if missing and not (self.tokens and features):
            raise DataError(
                f"no {', '.join(missing)} in the input",
                expected=f"one of {', '.join(self.modalities)}" if self.tokens else ", ".join(self.modalities),
                found=", ".join(features) or "nothing",
                remedy="" if self.tokens else "a network trained with --modality-dropout 0.3 does without some of them",
            )
        if not missing:
            return [features[name] for name in self.modalities]
        like = next(iter(features.values()))
        tokens = {name: self.tokens[_key(name)].to(like.dtype).expand(*like.shape[:2], -1) for name in missing}
        return [features[name] if name in features else tokens[name] for name in self.modalities]

    def _fused(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        return self.fusion(torch.cat(list(self._drop(features)), dim=-1))

    def _drop(self, features: Sequence[Tensor]) -> Sequence[Tensor]:
        if not (self.training and self.tokens):
            return features
        clips, count = len(features[0]), len(features)
        device = features[0].device
        keep = torch.rand(clips, count, device=device) >= self.modality_dropout
        # A clip that would lose all keeps one of them.
        one = torch.arange(count, device=device) == torch.randint(count, (clips, 1), device=device)
        keep = keep | (one & ~keep.any(dim=1, keepdim=True))
        return [
            torch.where(keep[:, number, None, None], feature, self.tokens[_key(name)].to(feature.dtype))
            for number, (name, feature) in enumerate(zip(self.modalities, features, strict=True))
        ]


def _width(encoder: nn.Module) -> int:
    """Return D_m of an encoder."""
    return int(encoder.features)  # type: ignore[arg-type]


# A shared backbone is a module of each of its encoders, so that each is whole. In a file it stands once.


def _shared_tensors(network: nn.Module, prefix: str) -> dict[str, str]:
    """Return, by its name in a state, under which other name a tensor of a shared backbone stands there."""
    firsts: dict[int, str] = {}
    names: dict[str, str] = {}
    for key, encoder in network.encoders.items():  # type: ignore[operator, union-attr]
        backbone = getattr(encoder, "backbone", encoder)
        place = f"{prefix}encoders.{key}.backbone."
        first = firsts.setdefault(id(backbone), place)
        if first != place:
            names |= {place + name: first + name for name in backbone.state_dict()}
    return names


def _once(network: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for name in _shared_tensors(network, prefix):
        state.pop(name, None)


def _everywhere(network: nn.Module, state: dict[str, Any], prefix: str, *others: Any) -> None:
    state.update({name: state[first] for name, first in _shared_tensors(network, prefix).items() if first in state})


def _key(modality: str) -> str:
    # A module's name has no dots, and must not be that of one of ModuleDict's own methods.
    return f"modality_{modality.replace('.', ':')}"


def build_network(
    inputs: Mapping[str, Input], options: ModelOptions, field: FieldOptions, *, segments: int, classes: int
) -> SegmentNetwork:
    """Return the network for some modalities, with weights drawn from torch's own generator or loaded.

    Parameters
    ----------
    inputs : mapping of str to Input
        At least one modality.
    options : ModelOptions
    field : FieldOptions
        How sensor windows become images.
    segments : int
        N; of consequence to a position embedding only.
    classes : int

    Raises
    ------
    UsageError, DataError
        As of `create_backbone`. A vote of classifiers that are not there.
    """
    if options.vote and not options.auxiliary:
        raise UsageError(
            "modalities without classifiers of their own", where="model.vote", expected="model.auxiliary above 0"
        )
    encoders = _encoders(inputs, options, field)
    features = sum(encoder.features for encoder in encoders.values())
    fusion: nn.Module = AverageFusion()
    if options.fusion == "attention":
        fusion = AdditiveAttention(features, segments=segments if options.position_embedding else None)
    classifier = Classifier(features, hidden=options.hidden, classes=classes, dropout=options.dropout)
    auxiliary, pairing = {}, {}
    if options.auxiliary:
        auxiliary = {name: _own_classifier(e.features, classes, options.dropout) for name, e in encoders.items()}
    if options.pairing and len(encoders) > 1:
        pairing = {name: nn.Linear(e.features, _PAIRED, bias=False) for name, e in encoders.items()}
    return SegmentNetwork(
        encoders,
        fusion,
        classifier,
        auxiliary=auxiliary,
        pairing=pairing,
        vote=options.vote,
        modality_dropout=options.modality_dropout,
    )


def _encoders(
    inputs: Mapping[str, Input], options: ModelOptions, field: FieldOptions
) -> dict[str, VideoEncoder | SensorEncoder]:
    encoders: dict[str, VideoEncoder | SensorEncoder] = {}
    first: dict[tuple[int, int], SensorEncoder] = {}
    for name, wanted in inputs.items():
        size = field.image_size or wanted.size
        # Batch norm must see all sensors of a backbone in one batch, so their images must be of one size.
        alike = (wanted.channels, size) if options.shared_sensors and wanted.kind == "sensor" and size else None
        encoder = build_encoder(wanted, options, field, like=first.get(alike) if alike else None)
        if alike and isinstance(encoder, SensorEncoder):
            first.setdefault(alike, encoder)
        encoders[name] = encoder
    return encoders


def _own_classifier(features: int, classes: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(features, classes))


def build_encoder(
    wanted: Input, options: ModelOptions, field: FieldOptions, *, like: SensorEncoder | None = None
) -> VideoEncoder | SensorEncoder:
    """Return the encoder of one modality, (B, N, ...) to (B, N, D), D its `features`.

    Parameters
    ----------
    wanted : Input
    options : ModelOptions
        Its backbone, width and weights.
    field : FieldOptions
        How sensor windows become images; of no consequence to a video.
    like : SensorEncoder, optional
        That of another sensor of such images, whose backbone it gets; None: one of its own.

    Raises
    ------
    UsageError, DataError
        As of `create_backbone`.
    """
    convention = convention_of(options.backbone)
    if wanted.kind == "video":
        single = wanted.frames == 1
        own, features = _backbone(options, wanted.channels * wanted.frames, colour=single, size=wanted.size)
        return VideoEncoder(own, features, convention, channels=wanted.channels, frames=wanted.frames)
    low, high = zip(*wanted.bounds, strict=True) if wanted.bounds else (None, None)
    images = FieldImages(field, axes=wanted.channels, low=low, high=high)
    if like is None:
        backbone, features = _backbone(options, images.channels, colour=False, size=field.image_size or wanted.size)
    else:
        backbone, features = like.backbone, like.backbone_features
    level = None
    if options.level:
        level = WindowLevel(low or [-1.0] * wanted.channels, high or [1.0] * wanted.channels)
    return SensorEncoder(images, backbone, features, convention, level=level)


def _backbone(options: ModelOptions, channels: int, *, colour: bool, size: int | None) -> tuple[nn.Module, int]:
    return create_backbone(
        options.backbone,
        in_channels=channels,
        colour=colour,
        weights=options.weights,
        weights_sha256=options.weights_sha256,
        width=options.width,
        norm=options.norm,
        image_size=size,
    )
