"""Runs a helper beside torch: conversion of values, and one comparison for all tests."""

import importlib
import importlib.util
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch


def _runtime():
    """The installed package, or the folder of this checkout where nothing is installed."""
    try:
        return importlib.import_module("mlx_transpile.runtime")
    except ImportError:
        folder = Path(__file__).parents[2] / "runtime"
        spec = importlib.util.spec_from_file_location(
            "checkout_runtime", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


runtime = _runtime()


def helper(name):
    """The function or class of runtime/python/`name`.py."""
    return getattr(importlib.import_module(f"{runtime.__name__}.python.{name}"), name)


def to_mx(value):
    """torch tensors, also inside lists and tuples, as MLX arrays of the same dtype."""
    if isinstance(value, (list, tuple)):
        return type(value)(to_mx(v) for v in value)
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach()
    if value.dtype == torch.bfloat16:
        return mx.array(value.float().numpy()).astype(mx.bfloat16)
    return mx.array(value.numpy())


def to_numpy(value):
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.array(value.astype(mx.float32) if value.dtype == mx.bfloat16 else value)


def dtype_name(value):
    return str(value.dtype).rpartition(".")[2].rstrip("_")


def channels_last(x):
    """[N, C, *spatial] to [N, *spatial, C]."""
    return x.movedim(1, -1)


def check(actual, expected, rtol=1e-5, atol=1e-6):
    """Compare dtype, shape and values, of one result or of several."""
    if isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected):
            check(a, e, rtol, atol)
        return
    assert dtype_name(actual) == dtype_name(expected)
    assert tuple(actual.shape) == tuple(expected.shape)
    np.testing.assert_allclose(to_numpy(actual), to_numpy(expected), rtol=rtol, atol=atol)
