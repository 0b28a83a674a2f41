"""Library models through .pt2 archives: saved, read again, captured, interpreted at other sizes."""

import warnings

import pytest

torch = pytest.importorskip("torch")
from export_cases import check, exported, saved, shapes  # noqa: E402

from mlx_transpile.frontend import capture  # noqa: E402

pytestmark = pytest.mark.zoo
torch.set_num_threads(1)

MODELS = {
    "llama": ["i64[B, L]", "i64[B, L]"],
    "llama32": ["i64[B, L]", "i64[B, L]"],
    "qwen3": ["i64[B, L]", "i64[B, L]"],
    "gpt2": ["i64[B, L]", "i64[B, L]"],
    "bert": ["i64[B, L]", "i64[B, L]"],
    "albert": ["i64[B, L]", "i64[B, L]"],
    "vit": ["f32[B, 3, 64, 64]"],
    "vit_hf": ["f32[B, 3, 64, 64]"],
    "resnet": ["f32[B, 3, H, W]"],
    "mobilenet_v3": ["f32[B, 3, H, W]"],
    "nn_mha": ["f32[B, L, 32]", "f32[B, T, 32]"],
    "nn_transformer": ["f32[B, L, 32]", "f32[B, T, 32]"],
    "whisper_encoder": ["f32[B, 128, 80]"],
    "nllb_m2m100": ["i64[B, L]", "i64[B, L]", "i64[B, T]"],
    "opus_marian": ["i64[B, L]", "i64[B, L]", "i64[B, T]"],
    "t5": ["i64[B, L]", "i64[B, L]", "i64[B, T]"],
    "clip": None,
    "wake_melspec": ["f32[1, L]"],  # its batch of 1 is fixed by torch.export
    "wake_embedding": None,
    "wake_classifier_dnn": ["f32[B, 16, 96]"],
    "wake_classifier_rnn": ["f32[B, 16, 96]"],
    "lstm": ["i64[B, 9]"],  # exporting nn.LSTM and nn.GRU fixes their length ...
    "gru": ["f32[9, L, 16]", "f32[2, L, 24]"],
}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", MODELS)
def test_archive(zoo, tmp_path, name):
    module, args, kwargs, _ = zoo.ZOO[name]()
    found = capture(saved(tmp_path / "model.pt2", exported(module, args, kwargs)))
    if MODELS[name] is not None:
        assert shapes(found) == MODELS[name]
    check(found)


@pytest.mark.parametrize("name", ["lstm", "gru", "wake_melspec", "wake_classifier_rnn", "bert"])
def test_module(zoo, name):
    """... unless the export is made here."""
    module, args, kwargs, _ = zoo.ZOO[name]()
    found = capture(module, example_inputs=(args, kwargs))
    wanted = {
        "lstm": ["i64[B, L]"],
        "gru": ["f32[B, L, 16]", "f32[2, L, 24]"],
        "wake_melspec": ["f32[B, L]"],
        "wake_classifier_rnn": ["f32[B, L, 96]"],
        "bert": ["i64[B, L]", "i64[B, L]"],
    }
    assert shapes(found) == wanted[name]
    check(found)
