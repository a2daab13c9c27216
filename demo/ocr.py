"""Reading text in a picture with PP-OCR's three models, in numpy and Pillow alone.

detect (where is text?) → crop → orient (is it upside down?) → recognize (what does it say?). A model
is a callable {input name: array} -> {output name: array}, so any engine can run it. Thresholds and
input preparation are those that the models were trained and published with (PP-OCR: arXiv 2009.09941;
detection by differentiable binarization: arXiv 1911.08947; CTC decoding: Graves et al., 2006).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

PIXEL_THRESHOLD = 0.3  # a pixel of the probability map is text above this
BOX_THRESHOLD = 0.5  # a box is kept above this mean probability
UNCLIP = 1.6  # boxes of the shrunk map grow by area × this / perimeter
FLIP_THRESHOLD = 0.9  # a line is turned when the classifier is this sure
LINE_HEIGHT = 48  # pixels, of the orientation and recognition models' inputs
SMALLEST_SIDE = 3  # pixels, of a box


@dataclass
class Line:
    box: tuple  # left, top, right, bottom in pixels of the picture
    text: str
    confidence: float  # mean probability of its characters


@dataclass
class Reader:
    """The three models, and the recognizer's characters in the order of its classes."""

    detect: object
    orient: object
    recognize: object
    characters: list

    def read(self, picture):
        """The lines of text in an RGB picture, from top to bottom."""
        probability = only(self.detect({"x": detection_input(picture)}))[0, 0]
        boxes = find_boxes(probability, picture.size)
        if not boxes:
            return []
        crops = self.upright([picture.crop(box) for box in boxes])
        lines = []
        for box, crop in zip(boxes, crops):
            scores = only(self.recognize({"x": line_input(crop)[None]}))[0]
            text, confidence = decode(scores, self.characters)
            if text.strip():
                lines.append(Line(box, text.strip(), confidence))
        return lines

    def upright(self, crops):
        """Turns the crops that are upside down, asked for in one batch."""
        batch = np.stack([line_input(crop, width=192) for crop in crops])
        flipped = only(self.orient({"x": batch}))[:, 1] > FLIP_THRESHOLD
        return [crop.transpose(Image.Transpose.ROTATE_180) if flip else crop
                for crop, flip in zip(crops, flipped)]


def only(outputs):
    (array,) = outputs.values()
    return array


def classes(metadata):
    """The recognizer's classes: CTC's blank, its dictionary (one a line), the space."""
    return ["", *metadata.splitlines(), " "]


def planes(image):
    """3×H×W float32 in [-1, 1], blue first, as the models were trained."""
    pixels = np.asarray(image.convert("RGB"), np.float32)[:, :, ::-1]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)) / 127.5 - 1


def detection_input(picture, limit=960):
    """1×3×H×W; sides are multiples of 32, the longer at most `limit`."""
    scale = min(1.0, limit / max(picture.size))
    width, height = (max(32, round(side * scale / 32) * 32) for side in picture.size)
    return planes(picture.resize((width, height), Image.Resampling.BILINEAR))[None]


def line_input(crop, width=None):
    """3×48×width: the crop at its own aspect, zeros to its right; without a width, at least 320."""
    natural = max(1, round(crop.width * LINE_HEIGHT / crop.height))
    padded = width or max(320, natural)
    natural = min(natural, padded)
    line = np.zeros((3, LINE_HEIGHT, padded), np.float32)
    line[:, :, :natural] = planes(crop.resize((natural, LINE_HEIGHT), Image.Resampling.BILINEAR))
    return line


def decode(scores, characters):
    """CTC's best path through T×classes: repeats merge, then blanks (class 0) go."""
    best = scores.argmax(axis=1)
    kept = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
    text = "".join(characters[i] for i in best[kept])
    return text, float(scores.max(axis=1)[kept].mean()) if kept.any() else 0.0


def find_boxes(probability, size):
    """Axis-aligned boxes in pixels of a picture of `size`, in reading order, from the text map."""
    scale = np.array([size[0] / probability.shape[1], size[1] / probability.shape[0]] * 2)
    boxes = []
    for rows in components(probability > PIXEL_THRESHOLD):
        top, bottom = rows[:, 0].min(), rows[:, 0].max() + 1
        left, right = rows[:, 1].min(), rows[:, 2].max()
        width, height = right - left, bottom - top
        if min(width, height) < SMALLEST_SIDE:
            continue
        if probability[top:bottom, left:right].mean() < BOX_THRESHOLD:
            continue
        grow = width * height * UNCLIP / (2 * (width + height))
        box = np.array([left - grow, top - grow, right + grow, bottom + grow]) * scale
        left, top, right, bottom = (int(round(side)) for side in box)
        boxes.append((max(0, left), max(0, top), min(size[0], right), min(size[1], bottom)))
    return reading_order(boxes)


def reading_order(boxes):
    """By rows, boxes whose middles are within half a line of each other being one row."""
    ordered, row = [], []
    for box in sorted(boxes, key=lambda b: b[1] + b[3]):
        if row and box[1] + box[3] - row[0][1] - row[0][3] > row[0][3] - row[0][1]:
            ordered += sorted(row)
            row = []
        row.append(box)
    return ordered + sorted(row)


def components(mask):
    """The 8-connected components of a boolean H×W mask, each an array of runs (row, start, end)."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    runs = np.stack([rows, starts, ends], axis=1)
    parent = list(range(len(runs)))

    def root(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first = np.searchsorted(rows, np.arange(mask.shape[0] + 1))
    for y in range(1, mask.shape[0]):
        above, here = first[y - 1], first[y]
        while above < first[y] and here < first[y + 1]:
            if runs[above, 1] <= runs[here, 2] and runs[here, 1] <= runs[above, 2]:
                parent[root(here)] = root(above)
            if runs[above, 2] < runs[here, 2]:
                above += 1
            else:
                here += 1
    roots = np.array([root(i) for i in range(len(runs))], int)
    return [runs[roots == r] for r in np.unique(roots)]
