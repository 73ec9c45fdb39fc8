"""Predictions as text: what a program, a spreadsheet and a player read."""

import csv
import io
import json

import pytest

from mmtsa_cli.errors import UsageError
from mmtsa_cli.reporting.predictions import Predicted, to_text

WALK = Predicted("day", 0.0, 5.0, "walk", 0.7, {"sit": 0.1, "walk": 0.7, "eat & drink": 0.2})
UNSURE = Predicted("day", 5.0, 3661.0425, "unknown", 0.4, {"sit": 0.4, "walk": 0.3, "eat & drink": 0.3})
CLIP = Predicted("clip", 0.25, 2.25, "sit", 0.8, {"sit": 0.8, "walk": 0.2}, (0.5, 0.25, 0.25))


def test_json_lines_are_an_object_each_likeliest_class_first():
    first, second = (json.loads(line) for line in to_text([WALK, UNSURE], "jsonl").splitlines())
    assert list(first) == ["recording", "start_s", "end_s", "class", "confidence", "probabilities"]
    assert list(first["probabilities"].items()) == [("walk", 0.7), ("eat & drink", 0.2), ("sit", 0.1)]
    assert second["class"] == "unknown"
    assert json.loads(to_text([WALK], "jsonl", top=1))["probabilities"] == {"walk": 0.7}
    assert json.loads(to_text([CLIP], "jsonl"))["attention"] == [0.5, 0.25, 0.25]


def test_csv_has_a_column_a_class_or_one_a_rank():
    (row,) = csv.DictReader(io.StringIO(to_text([CLIP], "csv")))
    assert row == {
        "recording": "clip", "start_s": "0.250", "end_s": "2.250", "class": "sit", "confidence": "0.8",
        "p_sit": "0.8", "p_walk": "0.2", "attention_1": "0.5", "attention_2": "0.25", "attention_3": "0.25",
    }  # fmt: skip
    ranked = list(csv.DictReader(io.StringIO(to_text([WALK, UNSURE], "csv", top=2))))
    assert [ranked[0][key] for key in ("class_1", "p_1", "class_2", "p_2")] == ["walk", "0.7", "eat & drink", "0.2"]


def test_subrip_counts_and_writes_times_as_players_read_them():
    assert to_text([WALK, UNSURE], "srt") == (
        "1\n00:00:00,000 --> 00:00:05,000\nwalk 0.70\n\n2\n00:00:05,000 --> 01:01:01,042\nunknown 0.40\n"
    )


def test_webvtt_has_its_heading_and_escapes_markup():
    eat = Predicted("day", 1.0, 2.0, "eat & drink", 0.9, {"eat & drink": 0.9, "sit": 0.1})
    assert to_text([eat], "vtt", top=2) == ("WEBVTT\n\n00:00:01.000 --> 00:00:02.000\neat &amp; drink 0.90\nsit 0.10\n")


def test_subtitles_are_of_one_video():
    with pytest.raises(UsageError, match="subtitles are of one video, found 2 recordings"):
        to_text([WALK, CLIP], "srt")
