"""How C++ calls what Python's `mx` and `nn` name: one row an overload, read top to bottom.

A call takes the first row of its name in which every given argument has a place. A parameter is
`kind name`, `kind name = value` (the C++ default) or `kind name := value` (Python's default, which
C++ lacks and which is therefore always printed). `mx::f|nn::f` is mx's for arrays alone and ours
as soon as a number stands among the arguments. Functions without a row go by their Python name:
`mx.f` is `mx::f`, `nn.f` is `nn::f`, with positional arguments.
"""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass

_FUNCTIONS = """
mx.conj             mx::conjugate(array x)
mx.maximum          mx::maximum|nn::maximum(arg a, arg b)
mx.minimum          mx::minimum|nn::minimum(arg a, arg b)
mx.arctan2          mx::arctan2|nn::arctan2(arg a, arg b)
mx.logaddexp        mx::logaddexp|nn::logaddexp(arg a, arg b)
mx.bitwise_and      mx::bitwise_and|nn::bitwise_and(arg a, arg b)
mx.bitwise_or       mx::bitwise_or|nn::bitwise_or(arg a, arg b)
mx.bitwise_xor      mx::bitwise_xor|nn::bitwise_xor(arg a, arg b)
mx.left_shift       mx::left_shift|nn::left_shift(arg a, arg b)
mx.right_shift      mx::right_shift|nn::right_shift(arg a, arg b)
mx.where            mx::where|nn::where(array condition, arg x, arg y)
mx.clip             mx::clip|nn::clip(array a, arg a_min, arg a_max)
mx.arange           mx::arange(int stop)
mx.arange           mx::arange(int stop, dtype dtype)
mx.arange           mx::arange(int start, int stop)
mx.arange           mx::arange(int start, int stop, dtype dtype)
mx.arange           mx::arange(int start, int stop, int step)
mx.arange           mx::arange(int start, int stop, int step, dtype dtype)
mx.arange           mx::arange(double stop, dtype dtype := mx::float32)
mx.arange           mx::arange(double start, double stop, dtype dtype := mx::float32)
mx.arange           mx::arange(double start, double stop, double step, dtype dtype := mx::float32)
mx.full             mx::full(shape shape, value vals, dtype dtype)
mx.full             mx::full(shape shape, value vals)
mx.zeros            mx::zeros(shape shape, dtype dtype = mx::float32)
mx.ones             mx::ones(shape shape, dtype dtype = mx::float32)
mx.array            mx::array(items value)
mx.array            mx::array(items value, dtype dtype)
mx.eye              mx::eye(int n)
mx.eye              mx::eye(int n, dtype dtype)
mx.eye              mx::eye(int n, int m, int k = 0, dtype dtype = mx::float32)
mx.linspace         mx::linspace(double start, double stop, int num = 50, dtype dtype = mx::float32)
mx.random.normal    mx::random::normal(shape shape, dtype dtype = mx::float32, float loc = 0.0f, float scale = 1.0f)
mx.random.uniform   mx::random::uniform(shape shape, dtype dtype := mx::float32)
mx.random.uniform   mx::random::uniform(float low, float high, shape shape, dtype dtype = mx::float32)
mx.random.randint   mx::random::randint(int low, int high, shape shape, dtype dtype = mx::int32)
mx.random.categorical mx::random::categorical(array logits, int axis := -1, int num_samples)
mx.random.bernoulli mx::random::bernoulli(float p)
mx.random.bernoulli mx::random::bernoulli(float p, extent shape)
mx.concatenate      mx::concatenate(arrays arrays, int axis := 0)
mx.stack            mx::stack(arrays arrays, int axis := 0)
mx.broadcast_to     mx::broadcast_to(array a, shape shape)
mx.expand_dims      mx::expand_dims(array a, axes axis)
mx.flip             mx::flip(array a, axes axis)
mx.pad              nn::pad(array x, list pad_width, string mode = "constant", arg constant_values = nn::Scalar(0))
mx.repeat           mx::repeat(array x, int repeats, int axis)
mx.roll             mx::roll(array a, shape shift, axes axis)
mx.tile             mx::tile(array a, shape reps)
mx.diagonal         mx::diagonal(array a, int offset = 0, int axis1 = 0, int axis2 = 1)
mx.sum              mx::sum(array a, axes axis, bool keepdims = false)
mx.sum              mx::sum(array a, bool keepdims = false)
mx.mean             mx::mean(array a, axes axis, bool keepdims = false)
mx.mean             mx::mean(array a, bool keepdims = false)
mx.max              mx::max(array a, axes axis, bool keepdims = false)
mx.max              mx::max(array a, bool keepdims = false)
mx.min              mx::min(array a, axes axis, bool keepdims = false)
mx.min              mx::min(array a, bool keepdims = false)
mx.prod             mx::prod(array a, axes axis, bool keepdims = false)
mx.prod             mx::prod(array a, bool keepdims = false)
mx.all              mx::all(array a, axes axis, bool keepdims = false)
mx.all              mx::all(array a, bool keepdims = false)
mx.any              mx::any(array a, axes axis, bool keepdims = false)
mx.any              mx::any(array a, bool keepdims = false)
mx.logsumexp        mx::logsumexp(array a, axes axis, bool keepdims = false)
mx.logsumexp        mx::logsumexp(array a, bool keepdims = false)
mx.var              mx::var(array a, axes axis, bool keepdims = false, int ddof = 0)
mx.var              mx::var(array a)
mx.var              mx::var(array a, bool keepdims := false, int ddof := 0)
mx.std              mx::std(array a, axes axis, bool keepdims = false, int ddof = 0)
mx.std              mx::std(array a)
mx.std              mx::std(array a, bool keepdims := false, int ddof := 0)
mx.argmax           mx::argmax(array a, int axis, bool keepdims = false)
mx.argmax           mx::argmax(array a, bool keepdims = false)
mx.argmin           mx::argmin(array a, int axis, bool keepdims = false)
mx.argmin           mx::argmin(array a, bool keepdims = false)
mx.argsort          mx::argsort(array a, int axis := -1)
mx.tril             mx::tril(array x, int k = 0)
mx.triu             mx::triu(array x, int k = 0)
mx.cumsum           mx::cumsum(array a, int axis, bool reverse = false, bool inclusive = true)
mx.cumprod          mx::cumprod(array a, int axis, bool reverse = false, bool inclusive = true)
mx.logcumsumexp     mx::logcumsumexp(array a, int axis, bool reverse = false, bool inclusive = true)
mx.softmax          mx::softmax(array a, axes axis, bool precise = false)
mx.searchsorted     mx::searchsorted(array edges, array values, string side = "left")
mx.take             mx::take(array a, array indices, int axis)
mx.take_along_axis  mx::take_along_axis(array a, array indices, int axis := -1)
mx.linalg.norm      mx::linalg::norm(array a)
mx.linalg.norm      mx::linalg::norm(array a, int axis, bool keepdims = false)
mx.linalg.norm      mx::linalg::norm(array a, vector axis, bool keepdims = false)
mx.gather_mm        mx::gather_mm(array a, array b, array lhs_indices = std::nullopt, array rhs_indices = std::nullopt)
mx.addmm            mx::addmm(array c, array a, array b, float alpha = 1.0f, float beta = 1.0f)
mx.fft.fft          nn::fft(array a, int n = std::nullopt, int axis = -1, string norm = "backward")
mx.fft.ifft         nn::ifft(array a, int n = std::nullopt, int axis = -1, string norm = "backward")
mx.fft.rfft         nn::rfft(array a, int n = std::nullopt, int axis = -1, string norm = "backward")
mx.fft.irfft        nn::irfft(array a, int n = std::nullopt, int axis = -1, string norm = "backward")
mx.fft.fftn         nn::fftn(array a, extent s = std::nullopt, vector axes = std::nullopt, string norm = "backward")
mx.fft.ifftn        nn::ifftn(array a, extent s = std::nullopt, vector axes = std::nullopt, string norm = "backward")
mx.fft.rfftn        nn::rfftn(array a, extent s = std::nullopt, vector axes = std::nullopt, string norm = "backward")
mx.fft.irfftn       nn::irfftn(array a, extent s = std::nullopt, vector axes = std::nullopt, string norm = "backward")
mx.fft.stft         nn::stft(array x, int n_fft = 2048, int hop_length = std::nullopt, int win_length = std::nullopt, array window = std::nullopt, bool center = true, string pad_mode = "reflect", string norm = "backward", bool onesided = std::nullopt)
mx.fft.istft        nn::istft(array stft_matrix, int n_fft = std::nullopt, int hop_length = std::nullopt, int win_length = std::nullopt, array window = std::nullopt, bool center = true, string norm = "backward", bool onesided = std::nullopt, int length = std::nullopt)
mx.conv1d           nn::conv1d(array x, array weight, list stride = 1, list padding = 0, list dilation = 1, int groups = 1)
mx.conv2d           nn::conv2d(array x, array weight, list stride = 1, list padding = 0, list dilation = 1, int groups = 1)
mx.conv3d           nn::conv3d(array x, array weight, list stride = 1, list padding = 0, list dilation = 1, int groups = 1)
mx.conv_transpose1d nn::conv_transpose1d(array x, array weight, list stride = 1, list padding = 0, list dilation = 1, list output_padding = 0, int groups = 1)
mx.conv_transpose2d nn::conv_transpose2d(array x, array weight, list stride = 1, list padding = 0, list dilation = 1, list output_padding = 0, int groups = 1)
mx.conv_transpose3d nn::conv_transpose3d(array x, array weight, list stride = 1, list padding = 0, list dilation = 1, list output_padding = 0, int groups = 1)
mx.fast.layer_norm  mx::fast::layer_norm(array x, array weight, array bias, float eps)
mx.fast.rms_norm    mx::fast::rms_norm(array x, array weight, float eps)
mx.fast.rope        mx::fast::rope(array x, int dims, bool traditional, float base, float scale, int offset, array freqs = std::nullopt)
nn.glu              nn::glu(array x, int axis = -1)
nn.leaky_relu       nn::leaky_relu(array x, float negative_slope = 0.01f)
nn.log_softmax      nn::log_softmax(array x, int axis = -1)
nn.celu             nn::celu(array x, float alpha = 1.0f)
nn.elu              nn::elu(array x, float alpha = 1.0f)
"""  # noqa: E501

# Constructors of mlx.nn's layers, after the weights and the name.
_LAYERS = """
nn.Linear           input_dims, output_dims, bias = true
nn.Embedding        num_embeddings, dims
nn.LayerNorm        dims, eps = 1e-5f, affine = true, bias = true
nn.RMSNorm          dims, eps = 1e-5f
nn.RoPE             dims, traditional = false, base = 10000.0f, scale = 1.0f
nn.BatchNorm        num_features, eps = 1e-5f, momentum = 0.1f, affine = true
nn.GroupNorm        num_groups, dims, eps = 1e-5f, affine = true, pytorch_compatible = false
nn.InstanceNorm     dims, eps = 1e-5f, affine = false
nn.Conv1d           in_channels, out_channels, kernel_size, stride = 1, padding = 0, dilation = 1, groups = 1, bias = true
nn.Conv2d           in_channels, out_channels, kernel_size, stride = 1, padding = 0, dilation = 1, groups = 1, bias = true
nn.Conv3d           in_channels, out_channels, kernel_size, stride = 1, padding = 0, dilation = 1, bias = true
nn.ConvTranspose1d  in_channels, out_channels, kernel_size, stride = 1, padding = 0, dilation = 1, output_padding = 0, bias = true
nn.ConvTranspose2d  in_channels, out_channels, kernel_size, stride = 1, padding = 0, dilation = 1, output_padding = 0, bias = true
nn.ConvTranspose3d  in_channels, out_channels, kernel_size, stride = 1, padding = 0, dilation = 1, output_padding = 0, bias = true
nn.MaxPool1d        kernel_size, stride = std::nullopt, padding = 0
nn.MaxPool2d        kernel_size, stride = std::nullopt, padding = 0
nn.MaxPool3d        kernel_size, stride = std::nullopt, padding = 0
nn.AvgPool1d        kernel_size, stride = std::nullopt, padding = 0
nn.AvgPool2d        kernel_size, stride = std::nullopt, padding = 0
nn.AvgPool3d        kernel_size, stride = std::nullopt, padding = 0
"""  # noqa: E501


@dataclass(frozen=True)
class Parameter:
    """`default` is "" for what must be given; `printed` is a default that C++ lacks."""

    kind: str
    name: str
    default: str = ""
    printed: bool = False


@dataclass(frozen=True)
class Function:
    """`callee` for arrays alone; `mixed` where a number stands in place of one."""

    callee: str
    mixed: str
    parameters: tuple[Parameter, ...]


@functools.cache
def functions() -> dict[str, tuple[Function, ...]]:
    """The overloads of each Python name."""
    table: dict[str, tuple[Function, ...]] = {}
    for line in _FUNCTIONS.strip().splitlines():
        name, _, prototype = line.partition(" ")
        table[name] = (*table.get(name, ()), _function(prototype.strip()))
    return table


def _function(prototype: str) -> Function:
    callees, _, inside = prototype.removesuffix(")").partition("(")
    callee, _, mixed = callees.partition("|")
    return Function(callee, mixed or callee, tuple(map(_parameter, _commas(inside))))


def _commas(text: str) -> list[str]:
    return [p for p in re.split(r", ", text) if p]


def _parameter(text: str) -> Parameter:
    declared, sign, default = re.fullmatch(r"(.*?)(?: (:?=) (.*))?", text).groups()  # type: ignore[union-attr]
    kind, _, name = declared.rpartition(" ")
    return Parameter(kind or "auto", name, default or "", sign == ":=")


@functools.cache
def layers() -> dict[str, tuple[Parameter, ...]]:
    """The constructor parameters of each layer of mlx.nn."""
    rows = (line.split(None, 1) for line in _LAYERS.strip().splitlines())
    return {name: tuple(map(_parameter, _commas(rest))) for name, rest in rows}


@functools.cache
def helper_parameters(name: str) -> tuple[Parameter, ...]:
    """The parameters of a runtime helper, or of the constructor of one that is a layer.

    They are those of its Python form: C++ has the same order and defaults.
    """
    from ..runtime import helper_source

    tree = ast.parse(helper_source(name).source)
    found = next(n for n in tree.body if getattr(n, "name", "") == name)
    if isinstance(found, ast.ClassDef):
        init = next((n for n in found.body if getattr(n, "name", "") == "__init__"), None)
        if init is None:
            return helper_parameters(ast.unparse(found.bases[0]))
        found = init
    assert isinstance(found, ast.FunctionDef)
    args = [a for a in found.args.args if a.arg != "self"]
    defaults: list[ast.expr | None] = [None] * (len(args) - len(found.args.defaults))
    return tuple(
        Parameter(_kind(a), a.arg, _default(a, d))
        for a, d in zip(args, [*defaults, *found.args.defaults], strict=True)
    )


_KINDS = {
    "mx.array": "array",
    "mx.array | None": "array",
    "mx.array | float": "arg",
    "float": "float",
    "mx.Dtype": "dtype",
    "tuple[float | None, ...] | None": "doubles",
}


def _kind(argument: ast.arg) -> str:
    return _KINDS.get(ast.unparse(argument.annotation) if argument.annotation else "", "list")


def _default(argument: ast.arg, default: ast.expr | None) -> str:
    """A Python default as C++."""
    if default is None:
        return ""
    annotation = ast.unparse(argument.annotation) if argument.annotation else ""
    if isinstance(default, ast.Attribute):
        return ast.unparse(default).replace(".", "::")
    value = ast.literal_eval(default)
    match value:
        case None:
            return "{}" if annotation.startswith(("tuple", "list")) else "std::nullopt"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case tuple():
            return "{" + ", ".join(map(str, value)) + "}"
    return f"{float(value)!r}f" if _kind(argument) == "float" else repr(value)
