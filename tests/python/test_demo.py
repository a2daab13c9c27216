"""The demo's own steps, and the whole demo run by onnxruntime."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "demo"))
import ocr  # noqa: E402
import read_text  # noqa: E402


def mask(text):
    return np.array([[c == "#" for c in line] for line in text.split()])


@pytest.mark.parametrize("text,sizes", [
    ("... ... ...", []),
    ("#.. ... ..#", [1, 1]),
    ("#.. .#. ..#", [3]),  # corners touch
    ("#.# #.# ###", [7]),  # two arms met at the bottom
    ("### ..# ###", [7]),
    ("#.#.# ..... ##### ", [1, 1, 1, 5]),
])
def test_components(text, sizes):
    found = ocr.components(mask(text))
    assert sorted(int((runs[:, 2] - runs[:, 1]).sum()) for runs in found) == sizes


@pytest.mark.parametrize("path,text", [
    ([0, 0], ""), ([1, 1, 2], "ab"), ([1, 0, 1], "aa"), ([0, 2, 2, 3, 0, 3], "b  "),
])
def test_decode(path, text):
    scores = np.full((len(path), 4), 0.1, np.float32)
    scores[np.arange(len(path)), path] = 0.7
    assert ocr.decode(scores, ocr.classes("a\nb")) == (text, pytest.approx(0.7 if text else 0.0))


def test_reading_order():
    boxes = [(50, 12, 90, 30), (0, 40, 90, 60), (0, 10, 40, 30)]
    assert ocr.reading_order(boxes) == [boxes[2], boxes[0], boxes[1]]


def test_boxes_grow_back_and_stay_inside():
    probability = np.zeros((64, 64), np.float32)
    probability[20:28, 4:60] = 0.9
    assert ocr.find_boxes(probability, (128, 64)) == [(0, 14, 128, 34)]


def test_reads_what_was_drawn():
    folder = read_text.model_folder()
    characters = read_text.recognizer_classes(folder / read_text.STAGES["recognize"])
    lines = read_text.reader(read_text.with_onnxruntime, 2, characters).read(read_text.draw())
    assert [line.text for line in lines] == [words for words, _, _ in read_text.TEXT]
