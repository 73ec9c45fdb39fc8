"""Encoders that start with backbones of another training."""

from dataclasses import replace

import pytest
import torch

from mmtsa_cli.errors import ArtifactError, DataError, UsageError
from mmtsa_cli.imaging.field import FieldOptions
from mmtsa_cli.methods.mmtsa import Mmtsa, MmtsaOptions
from mmtsa_cli.methods.pretrained import start_from
from mmtsa_cli.models.network import Input, ModelOptions, build_network
from mmtsa_cli.sampling.draw import DrawOptions, Samples
from mmtsa_cli.sampling.store import Store
from mmtsa_cli.training.checkpoint import save_tensors
from mmtsa_cli.training.optimisation import TrainingOptions
from mmtsa_cli.training.run import Run
from tests.methods.small_clips import clips_of

MODEL = ModelOptions(backbone="resnet10", width=0.125, hidden=16)
SENSOR = Input("sensor", 3, bounds=[(-1.0, 1.0)] * 3)


def network_of(*names, model=MODEL, seed=0, classes=4):
    torch.manual_seed(seed)
    inputs = {name: Input("video", 3) if name == "rgb" else SENSOR for name in names}
    return build_network(inputs, model, FieldOptions(scale="dataset"), segments=3, classes=classes)


@pytest.fixture
def weights(tmp_path):
    """Weights of another training: a phone, a watch and a gyroscope."""
    network = network_of("acc_phone", "acc_watch", "gyro", seed=1, classes=9)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    save_tensors(tmp_path / "best.safetensors", network.state_dict(), {"epoch": 1})
    return network, str(tmp_path / "best.safetensors")


def state(network, name):
    return network.encoders[f"modality_{name}"].state_dict()


def test_backbones_of_similar_modalities_are_taken_and_nothing_else(weights):
    other, source = weights
    before = {name: value.clone() for name, value in network_of("acc", "gyro", "rgb").state_dict().items()}
    network = network_of("acc", "gyro", "rgb")
    assert start_from(network, source) == {"acc": "acc_watch", "gyro": "gyro"}
    for name, of in (("acc", "acc_watch"), ("gyro", "gyro")):
        for key, value in state(network, name).items():
            if key.startswith("backbone."):
                torch.testing.assert_close(value, state(other, of)[key])
    for key, value in network.state_dict().items():
        taken = key.startswith(("encoders.modality_acc.backbone", "encoders.modality_gyro.backbone"))
        assert taken or torch.equal(value, before[key]), key


def test_a_system_starts_so_and_is_restored_without_the_file(weights, samples, tmp_path):
    other, source = weights
    store = Store(samples)
    drawn = DrawOptions(frame_size=32, window=1.0)
    clips = Samples(store, range(28), modalities=("acc_phone",), classes=store.labels, options=drawn)
    imaging = FieldOptions(scale="dataset")
    method = Mmtsa.for_samples(MmtsaOptions(model=MODEL, imaging=imaging, start=source), clips)
    key = "backbone." + next(iter(other.encoders["modality_acc_phone"].backbone.state_dict()))
    torch.testing.assert_close(state(method.network, "acc_phone")[key], state(other, "acc_phone")[key])
    gone = replace(method.options, start=str(tmp_path / "nowhere.safetensors"))
    assert Mmtsa.restore(gone, method.state()).classes == method.classes


def test_what_cannot_be_started_from(weights, tmp_path):
    _, source = weights
    with pytest.raises(DataError, match=r"no modality to start from, expected .* like rgb, found acc_phone, acc_watch"):
        start_from(network_of("rgb"), source)
    with pytest.raises(DataError, match=r"acc_watch: tensor .* has another shape"):
        start_from(network_of("acc", model=replace(MODEL, width=0.25)), source)
    with pytest.raises(DataError, match="another SHA-256 than stated"):
        start_from(network_of("acc"), source, sha256="0" * 64)
    with pytest.raises(UsageError, match="not a file of weights"):
        start_from(network_of("acc"), str(tmp_path / "run"))
    save_tensors(tmp_path / "classes.safetensors", {"classifier.weight": torch.zeros(2)}, {})
    with pytest.raises(DataError, match="found no encoder's weights"):
        start_from(network_of("acc"), str(tmp_path / "classes.safetensors"))


def test_without_labels_encoders_learn_from_pairs_whatever_the_labels_are(samples, tmp_path):
    store = Store(samples)
    drawn = DrawOptions(frame_size=32, window=1.0)
    both = Samples(store, range(28), modalities=("acc_phone", "gyro"), classes=store.labels, options=drawn)
    training = TrainingOptions(epochs=1, batch_size=14, optimizer="adamw", lr=0.01, precision="float32", threads=1)
    options = MmtsaOptions(
        model=replace(MODEL, pairing=1.0, dropout=0.0),
        imaging=FieldOptions(scale="dataset", image_size=32),
        training=training,
        labels=False,
    )
    states = []
    for number, clips in enumerate((both, _relabelled(both))):
        method = Mmtsa.for_samples(options, clips)
        before = {name: value.clone() for name, value in method.network.state_dict().items()}
        (tmp_path / str(number)).mkdir()
        history = method.fit(clips, None, seed=0, run=Run(tmp_path / str(number))).history
        assert history[0]["loss"] > 0
        states.append(method.network.state_dict())
        for name, value in states[-1].items():
            if name.startswith(("classifier", "fusion")):
                assert torch.equal(value, before[name]), name
    assert not torch.equal(states[0][_first(states[0])], before[_first(states[0])])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_without_labels_and_pairs_there_is_nothing_to_learn_from(samples):
    store = Store(samples)
    one = Samples(store, range(28), modalities=("acc_phone",), classes=store.labels, options=DrawOptions(window=1.0))
    for pairing in (0.0, 1.0):
        with pytest.raises(UsageError, match=r"nothing to learn from, expected model\.pairing above 0 and two"):
            Mmtsa.for_samples(MmtsaOptions(model=replace(MODEL, pairing=pairing), labels=False), one)


def _relabelled(clips):
    """The same clips; each says another label."""
    other = Samples(clips.store, clips.clips, modalities=clips.modalities, classes=clips.classes, options=clips.options)
    other.labels = (clips.labels + 1) % len(clips.classes)
    return other


def _first(state):
    return next(name for name in state if name.startswith("encoders") and name.endswith("conv1.weight"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda inputs: {name: {**said, "another": 1} for name, said in inputs.items()}, "another"),
        (lambda inputs: {name: {} for name in inputs}, "missing"),
        (dict.fromkeys, "None"),
        (list, "list"),
    ],
)
def test_a_state_whose_inputs_are_of_no_network(samples, spoil, said):
    method = Mmtsa.for_samples(MmtsaOptions(model=MODEL), clips_of(samples, modalities=("acc_phone",)))
    whole = method.state()
    with pytest.raises(ArtifactError, match=rf"inputs are of no network.*{said}"):
        Mmtsa.restore(method.options, {**whole, "_inputs": spoil(whole["_inputs"])})
