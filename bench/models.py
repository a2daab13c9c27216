#!/usr/bin/env python3
"""The bench's models: a table, and the making of each file.

Usage: models.py [NAME...]. Writes NAME.onnx for each row of MODELS (or those named) that the cache
folder ($CARNOT_MODELS, else build/models) lacks. Weights are seeded, so every machine gets the same
networks; only the exporting rows need PyTorch, imported where it is used.
"""

import importlib.util
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
OPSET = 17
BERT_OUTPUTS = ["last_hidden_state", "pooler_output"]


def cache_folder():
    return Path(os.environ.get("CARNOT_MODELS") or ROOT / "build" / "models")


# ---- where files come from: each takes the path to write ----------------------------------------


def torchvision_module(name):
    """A classifier with seeded weights; BatchNorm statistics from one training-mode forward.

    A last layer that torchvision leaves at zero gets weights too: its output would be constant.
    """

    def make():
        import torch
        import torchvision

        torch.manual_seed(0)
        model = torchvision.models.get_model(name, weights=None)
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear) and not layer.weight.any():
                torch.nn.init.trunc_normal_(layer.weight, std=0.02)
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None  # a plain average: of one forward, its very statistics
        with torch.no_grad():
            model.train()(torch.from_numpy(pictures(8, seed=7)["input"]))
        return model.eval()

    return make


def bert_module(pooled=False, **config):
    """A BertModel with seeded weights, perhaps with its pooled output."""

    def make():
        import torch
        from transformers import BertConfig, BertModel

        torch.manual_seed(0)
        model = BertModel(BertConfig(**config), add_pooling_layer=pooled).eval()

        class Outputs(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            def forward(self, input_ids, attention_mask, token_type_ids):
                result = self.model(input_ids, attention_mask, token_type_ids)
                return tuple(result[name] for name in BERT_OUTPUTS[: 1 + pooled])

        return Outputs().eval()

    return make


def exported_classifier(module):
    """The batch is dynamic."""

    def make(path):
        import torch

        export(module(), path, {"input": torch.from_numpy(pictures(2)["input"])}, ["output"],
               {"input": {0: "batch"}, "output": {0: "batch"}})

    return make


def exported_bert(module, outputs):
    """Batch and sequence are dynamic."""

    def make(path):
        import torch

        inputs = {name: torch.from_numpy(a) for name, a in sentences(2, length=16).items()}
        dynamic = dict.fromkeys([*inputs, "last_hidden_state"], {0: "batch", 1: "sequence"})
        export(module(), path, inputs, outputs, dynamic | {"pooler_output": {0: "batch"}})

    return make


def from_rapidocr(file):
    """One of the trained models in rapidocr-onnxruntime's wheel, whose code is not imported."""

    def make(path):
        spec = importlib.util.find_spec("rapidocr_onnxruntime")
        if spec is None:
            raise SystemExit("models: rapidocr-onnxruntime is not installed; run ./dev setup")
        path.write_bytes((Path(spec.origin).parent / "models" / file).read_bytes())

    return make


def export(model, path, inputs, outputs, dynamic_axes):
    import torch

    torch.backends.mha.set_fastpath_enabled(False)  # the exporter knows no fused attention
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, tuple(inputs.values()), str(path), input_names=list(inputs),
                          output_names=outputs, dynamic_axes=dynamic_axes, opset_version=OPSET,
                          dynamo=False)


# ---- inputs: each takes a batch and a seed -------------------------------------------------------


def pictures(batch, seed=0, name="input", size=(224, 224)):
    """NCHW float32: smooth patches with noise, about zero mean and unit variance."""
    random = np.random.default_rng(seed)
    height, width = size
    coarse = random.standard_normal((batch, 3, -(-height // 16), -(-width // 16)))
    smooth = coarse.repeat(16, axis=2).repeat(16, axis=3)[:, :, :height, :width]
    noise = random.standard_normal((batch, 3, height, width))
    return {name: (0.9 * smooth + 0.4 * noise).astype(np.float32)}


def text_pictures(batch, seed=0, name="x", size=(480, 640)):
    """NCHW float32 in [-1, 1]: dark random words on a light ground, lines as high as 32 pixels."""
    from PIL import Image, ImageDraw, ImageFont

    random = np.random.default_rng(seed)
    height, width = size
    line = min(48, height)
    font = ImageFont.load_default(size=0.65 * line)
    images = []
    for _ in range(batch):
        image = Image.new("RGB", (width, height), tuple(int(c) for c in random.integers(200, 256, 3)))
        draw = ImageDraw.Draw(image)
        for top in range(0, height - line + 1, line + line // 2):
            words = ("".join(random.choice(list("abcdefghiklmnoprstuvwxyz0123456789"), length))
                     for length in random.integers(3, 9, 1 + width // 200))
            draw.text((random.integers(4, 24), top + 2), " ".join(words),
                      tuple(int(c) for c in random.integers(0, 90, 3)), font)
        images.append(np.asarray(image, np.float32).transpose(2, 0, 1))
    return {name: np.stack(images) / 127.5 - 1}


def sentences(batch, seed=0, length=128, least=None, vocabulary=30522):
    """int64 tokens, each row padded to its own length by mask 0. At least half of each row and all
    of the first hold tokens, or where `least` is given at least so many of each."""
    random = np.random.default_rng(seed)
    ids = random.integers(1000, vocabulary, (batch, length))
    used = random.integers(length // 2 if least is None else least, length + 1, (batch, 1))
    if least is None:
        used[0] = length
    mask = (np.arange(length) < used).astype(np.int64)
    return {"input_ids": ids * mask, "attention_mask": mask,
            "token_type_ids": np.zeros((batch, length), np.int64)}


# ---- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    name: str
    make: Callable[[Path], None]
    inputs: Callable[..., dict]  # (batch, seed=0, **shape) -> {name: array}, the bench's shape
    shapes: tuple = ({},)  # further `shape` arguments of `inputs` at which outputs must agree
    # The torch.nn.Module that the file was exported from, and its outputs' names.
    module: Callable | None = None
    outputs: tuple = ()

    @property
    def path(self):
        return cache_folder() / f"{self.name}.onnx"


def classifier(name, torchvision_name=None):
    module = torchvision_module(torchvision_name or name)
    return Model(name, exported_classifier(module), pictures, module=module, outputs=("output",))


def bert(name, shapes, pooled=False, **config):
    module, outputs = bert_module(pooled, **config), BERT_OUTPUTS[: 1 + pooled]
    return Model(name, exported_bert(module, outputs), sentences, shapes, module, tuple(outputs))


def ocr(name, file, size, *shapes):
    return Model(name, from_rapidocr(file),
                 lambda batch, seed=0, size=size: text_pictures(batch, seed, size=size),
                 ({}, *({"size": shape} for shape in shapes)))


MODELS = [
    classifier("resnet50"),
    bert("minilm", ({}, {"length": 7}, {"length": 200}),
         num_hidden_layers=6, hidden_size=384, num_attention_heads=12, intermediate_size=1536,
         vocab_size=30522, max_position_embeddings=512),
    classifier("mobilenet_v2"),
    classifier("mobilenet_v3", "mobilenet_v3_large"),
    classifier("efficientnet", "efficientnet_b0"),
    classifier("vit", "vit_b_16"),
    bert("bert",
         ({}, {"length": 7}, {"length": 64, "least": 1}, {"length": 200}, {"length": 384}),
         pooled=True),
    ocr("rapidocr_det", "ch_PP-OCRv4_det_infer.onnx", (480, 640), (320, 736)),
    ocr("rapidocr_cls", "ch_ppocr_mobile_v2.0_cls_infer.onnx", (48, 192)),
    ocr("rapidocr_rec", "ch_PP-OCRv4_rec_infer.onnx", (48, 320), (48, 488)),
]


def by_name(names):
    """The rows named, or all; exits with the known names when one is unknown."""
    known = {model.name: model for model in MODELS}
    for name in names:
        if name not in known:
            raise SystemExit(f"models: no model {name!r}; the models are: {', '.join(known)}")
    return [known[name] for name in names] if names else MODELS


def assert_alive(path, model):
    """A network whose output ignores its input would make every comparison of outputs hollow."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    first, second = model.inputs(1, seed=1), model.inputs(1, seed=2)
    # Pictures also upside down: orientation is all that one of the models tells.
    second = {name: x[..., ::-1, ::-1].copy() if x.ndim == 4 else x for name, x in second.items()}
    a, b = (session.run(None, x)[0] for x in (first, second))
    difference = np.linalg.norm(a - b) / np.linalg.norm(b)
    assert np.isfinite(difference) and difference > 1e-2, (
        f"{model.name}: outputs of different inputs differ by {difference:.1e} only")
    return difference


def ensure(model):
    """The path of the model's file, made if it is not there."""
    if not model.path.exists():
        model.path.parent.mkdir(parents=True, exist_ok=True)
        aside = model.path.with_suffix(".partial")
        model.make(aside)
        difference = assert_alive(aside, model)
        aside.rename(model.path)
        print(f"{model.name}: {model.path.stat().st_size / 1e6:.1f} MB, "
              f"outputs of two inputs differ by {difference:.2f}")
    return model.path


if __name__ == "__main__":
    for row in by_name(sys.argv[1:]):
        ensure(row)
