"""Library models: captured with their free dims, equal to the source at several sizes, in seconds."""

from typing import Any

import numpy as np
import pytest
import torch
from captures import arrays, assert_same_as_source, kinds
from torch import nn

from mlx_transpile.frontend.inputs import parse_inputs
from mlx_transpile.frontend.torchscript import capture_archive

pytestmark = pytest.mark.zoo

_MASKED = ["input_ids.0=B", "input_ids.1=L", "attention_mask.0=B", "attention_mask.1=L"]
_SEQ2SEQ = [*_MASKED, "decoder_input_ids.0=B", "decoder_input_ids.1=T"]
_IMAGE = ["0=B", "1=3", "2=64", "3=64"]

MODELS: dict[str, list[str]] = {
    "llama": _MASKED,
    "llama32": _MASKED,
    "qwen3": _MASKED,
    "gemma2": _MASKED,
    "hunyuan_mt": _MASKED,
    "gpt2": _MASKED,
    "csm_backbone": _MASKED,
    "csm_depth": ["input_ids.0=B", "input_ids.1=3", "h.0=B", "h.1=64"],  # its positions are a Python loop
    "bert": _MASKED,
    "albert": _MASKED,
    "nllb_m2m100": _SEQ2SEQ,
    "opus_marian": _SEQ2SEQ,
    "t5": _SEQ2SEQ,
    "madlad_t5": _SEQ2SEQ,
    "clip": ["input_ids.0=B", "input_ids.1=L", "pixel_values.0=N", "pixel_values.1=3", "pixel_values.2=64",
             "pixel_values.3=64", "attention_mask.0=B", "attention_mask.1=L"],
    "vit": [f"x.{d}" for d in _IMAGE],
    "vit_hf": [f"pixel_values.{d}" for d in _IMAGE],
    "resnet": ["x.0=B", "x.1=3", "x.2=H", "x.3=W"],
    "mobilenet_v3": ["x.0=B", "x.1=3", "x.2=H", "x.3=W"],
    "swin": ["x.0=B", "x.1=3", "x.2=H", "x.3=W"],
    "whisper_encoder": ["input_features.0=B", "input_features.1=128", "input_features.2=80"],
    "whisper_large_v3": ["input_features.0=B", "input_features.1=128", "input_features.2=80",
                         "decoder_input_ids.0=B", "decoder_input_ids.1=L"],
    "lstm": ["x.0=B", "x.1=L"],
    "gru": ["x.0=B", "x.1=L", "x.2=16", "h.0=2", "h.1=L", "h.2=24"],
    "nn_mha": ["q.0=B", "q.1=L", "q.2=32", "k.0=B", "k.1=T", "k.2=32"],
    "nn_transformer": ["s.0=B", "s.1=L", "s.2=32", "t.0=B", "t.1=T", "t.2=32"],
    "wake_melspec": ["x.0=B", "x.1=L"],
    "wake_embedding": ["x.0=B", "x.1=H", "x.2=W", "x.3=1"],
    "wake_classifier_dnn": ["x.0=B", "x.1=16", "x.2=96"],
    "wake_classifier_rnn": ["x.0=B", "x.1=L", "x.2=96"],
    "mimi_encode": ["x.0=B", "x.1=1", "x.2=L"],
    "mimi_decode": ["codes.0=B", "codes.1=4", "codes.2=L"],
    "unet_diffusers": ["sample.0=B", "sample.1=4", "sample.2=2*H", "sample.3=2*W", "timestep.0=B",
                       "ctx.0=B", "ctx.1=L", "ctx.2=32"],
    "ecapa_tdnn": ["x.0=2", "x.1=L", "x.2=80"],
    "kokoro_f0n": ["en.0=B", "en.1=192", "en.2=L", "s.0=B", "s.1=128"],
}  # fmt: skip


class Flat(nn.Module):
    """Outputs in which tensors and other objects are mixed cannot be traced: the tensors alone."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, pixel_values: Any, attention_mask: Any) -> Any:
        out = self.model(
            input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask
        )
        return out.logits_per_image, out.text_embeds, out.image_embeds


def saved(zoo, name, path):
    module, args, kwargs, _ = zoo.ZOO[name]()
    if name == "clip":
        module = Flat(module).eval()
    given = {"example_kwarg_inputs": kwargs} if kwargs else {"example_inputs": args}
    with torch.no_grad():
        torch.jit.trace(module, strict=False, check_trace=False, **given).save(str(path))
    return path


@pytest.mark.parametrize("name", MODELS)
def test_library_model_is_captured(name, zoo, tmp_path):
    path = saved(zoo, name, tmp_path / "m.pt")
    captured = capture_archive(path)
    assert kinds(captured) == MODELS[name]
    assert_same_as_source(captured)
    assert all(np.isfinite(a).all() for a in arrays(captured.run(captured.example_inputs)))


SCRIPTED: dict[str, list[str]] = {
    "resnet": ["x=B,3,64,64"],
    "mobilenet_v3": ["x=B,3,64,64"],
    "vit": ["x=B,3,64,64"],
    "swin": ["x=B,3,64,64"],
    "lstm": ["x=B,S:int64"],
    "gru": ["x=S,B,16", "h=2,B,24"],
    "nn_mha": ["q=B,T,32", "k=B,S,32"],
    "nn_transformer": ["s=B,S,32", "t=B,T,32"],
    "wake_melspec": ["x=1,S"],
    "wake_embedding": ["x=B,76,32,1"],
}


@pytest.mark.parametrize("name", SCRIPTED)
def test_scripted_library_model_is_captured(name, zoo, tmp_path):
    module, *_ = zoo.ZOO[name]()
    torch.jit.script(module).save(str(tmp_path / "m.pt"))
    specs = parse_inputs(SCRIPTED[name])
    captured = capture_archive(tmp_path / "m.pt", specs)
    assert kinds(captured) == [f"{s.name}.{i}={d}" for s in specs for i, d in enumerate(s.dims)]
    assert_same_as_source(captured)
