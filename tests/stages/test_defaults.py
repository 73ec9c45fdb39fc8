"""Where no data is named: synthetic recordings, made once in the user's cache."""

from pathlib import Path

from mmtsa_cli.stages import defaults, sample, synth


def test_synthetic_samples_are_made_once_in_the_cache(mmtsa, tmp_path, monkeypatch):
    made = []
    original = synth.run

    def small(output, **options):
        result = original(output, subjects=4, repeats=1, size=64, seconds=4.0, **options)
        made.append(result.fresh)
        return result

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MMTSA_CACHE", str(tmp_path / "cache" / "mmtsa"))
    monkeypatch.setattr(synth, "run", small)
    quick = ("--recipe", "synthetic", "--set", "training.epochs=1", "--modalities", "gyro")
    first = mmtsa("train", "-o", tmp_path / "run", *quick)
    notes = [line for line in first.stderr.splitlines() if "no data named" in line]
    assert len(notes) == 1
    assert "synthetic" in notes[0]
    assert (tmp_path / "run" / "folds" / "cross-subject" / "best.safetensors").is_file()
    samples = defaults.synthetic_samples(note=lambda text: None)
    assert made == [True, False]
    assert Path(samples).is_relative_to(tmp_path)
    assert not sample.run(samples.parent / "rec", samples).fresh
