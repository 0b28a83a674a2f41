"""Runs model.py on reference.safetensors: inputs and outputs of the model that it was made from.

Quantized weights give other outputs than the source's: a quantized model is compared with itself
on the float weights that they stand for.

python test_model.py        or: pytest test_model.py
"""

import importlib.util
import json
import sys
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

HERE = Path(__file__).resolve().parent


def load_model():
    if not (HERE / "weights.safetensors").exists():
        raise FileNotFoundError(
            "make the weights first: python remap_weights.py CHECKPOINT"
        )
    spec = importlib.util.spec_from_file_location("model", HERE / "model.py")
    module = sys.modules["model"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def dequantized(model):
    """The model with float layers in the place of the quantized ones; None where there are none."""
    layers = []
    for name, old in model.named_modules():
        if not isinstance(old, (nn.QuantizedLinear, nn.QuantizedEmbedding)):
            continue
        linear = isinstance(old, nn.QuantizedLinear)
        new = nn.Linear(1, 1, bias=False) if linear else nn.Embedding(1, 1)
        new.weight = mx.dequantize(
            old.weight, old.scales, old.biases, old.group_size, old.bits, old.mode
        )
        if "bias" in old:
            new.bias = old.bias
        layers.append((name, new))
    return model.update_modules(tree_unflatten(layers)) if layers else None


def tolerance(model, stated):
    """What is stated for the narrowest floating-point type among the weights."""
    found = {v.dtype for _, v in tree_flatten(model.parameters())}
    kinds = [k for k in ("bfloat16", "float16") if getattr(mx, k) in found]
    return stated[kinds[0] if kinds else "float32"]


def build(tree, arrays):
    """The arguments or the result that `tree` describes."""
    ((kind, value),) = tree.items()
    if kind == "array":
        return arrays[value]
    if kind == "dict":
        return {k: build(v, arrays) for k, v in value.items()}
    if kind in ("tuple", "list"):
        return {"tuple": tuple, "list": list}[kind](build(v, arrays) for v in value)
    return value


def leaves(tree, path="result"):
    """Every array of a nested result, with where it stands."""
    if isinstance(tree, dict):
        return [leaf for k, v in tree.items() for leaf in leaves(v, f"{path}[{k!r}]")]
    if isinstance(tree, (tuple, list)):
        return [leaf for i, v in enumerate(tree) for leaf in leaves(v, f"{path}[{i}]")]
    return [(path, tree)]


def compare(path, got, want, atol, rtol):
    """The largest absolute error; raises where it is too large.

    Floats may differ by atol times the largest magnitude (0.01 at the least) plus rtol times the value.
    """
    if not isinstance(want, mx.array):
        assert got == want, f"{path} is {got!r}, expected {want!r}"
        return 0.0
    assert isinstance(got, mx.array), f"{path} is {got!r}, expected an array"
    assert (
        got.shape == want.shape
    ), f"{path} has the shape {got.shape}, expected {want.shape}"
    if not mx.issubdtype(want.dtype, mx.inexact):
        assert mx.array_equal(got, want), f"{path} differs"
        return 0.0
    if mx.issubdtype(want.dtype, mx.complexfloating):
        parts = [(mx.real(a), mx.imag(a)) for a in (got, want)]
        return max(compare(path, g, w, atol, rtol) for g, w in zip(*parts))
    got, want = got.astype(mx.float32), want.astype(mx.float32)
    finite = mx.isfinite(want)
    same = mx.array_equal(
        mx.where(finite, 0.0, got), mx.where(finite, 0.0, want), equal_nan=True
    )
    assert same, f"{path} differs where infinite or not a number"
    got, want = mx.where(finite, got, 0.0), mx.where(finite, want, 0.0)
    if want.size == 0:
        return 0.0
    error = mx.abs(got - want)
    limit = atol * mx.maximum(mx.abs(want).max(), 0.01) + rtol * mx.abs(want)
    worst = error.max().item()
    assert mx.all(error <= limit).item(), f"{path} differs by {worst:.3g}"
    return worst


def run_cases():
    """Each case's sizes and its largest absolute error."""
    arrays, metadata = mx.load(
        str(HERE / "reference.safetensors"), return_metadata=True
    )
    model, plain = load_model(), dequantized(load_model())
    atol, rtol = tolerance(model, json.loads(metadata["tolerance"]))
    for case in json.loads(metadata["cases"]):
        inputs = [build(tree, arrays) for tree in case["arguments"]]
        got = leaves(model(*inputs))
        want = leaves(plain(*inputs) if plain else build(case["result"], arrays))
        assert [p for p, _ in got] == [
            p for p, _ in want
        ], "the result has another structure"
        yield case["sizes"], max(
            [compare(p, g, w, atol, rtol) for (p, g), (_, w) in zip(got, want)],
            default=0.0,
        )


def test_model():
    assert list(run_cases())


if __name__ == "__main__":
    for sizes, error in run_cases():
        print(
            "ok ",
            ", ".join(f"{k}={v}" for k, v in sizes.items()) or "fixed sizes",
            f" max error {error:.2g}",
        )
