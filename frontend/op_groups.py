"""Groups of ATen ops that lowering treats alike."""

from __future__ import annotations

# Ops that return their tensor itself where there is nothing to do.
IDENTITIES = frozenset(
    {"to", "type_as", "contiguous", "dropout", "feature_dropout", "alpha_dropout", "expand",
     "real", "cpu", "float", "double", "half", "conj", "resolve_conj", "resolve_neg",
     "cuda", "requires_grad", "reshape", "flatten"}
)  # fmt: skip

# Results that are contiguous whatever the operands are.
DENSE = frozenset(
    {"zeros", "ones", "full", "empty", "arange", "linear", "embedding", "cat", "stack",
     "addmm", "bmm", "layer_norm", "new_zeros", "new_ones", "new_full", "new_empty",
     "contiguous", "tril", "triu", "index_select", "tile", "repeat", "rand", "randn",
     "randint", "multinomial"}
)  # fmt: skip

# Results that are contiguous where all operands are.
DENSE_LIKE = frozenset(
    {"add", "sub", "mul", "div", "neg", "exp", "relu", "gelu", "silu", "sigmoid", "tanh",
     "clone", "to", "where", "zeros_like", "ones_like", "empty_like", "full_like", "pow",
     "rsqrt", "sqrt", "masked_fill", "copy", "rsub", "fill", "zero", "index_put", "clamp",
     "softmax", "log_softmax", "ge", "gt", "le", "lt", "eq", "ne", "rand_like", "randn_like",
     "randint_like", "bernoulli", "view",
     "unsqueeze", "squeeze", "detach", "alias", "unflatten", "view_as", "reshape", "flatten"}
)  # fmt: skip

# Ops that take a 0-d host scalar as a number; for all others it becomes a 0-d tensor.
TAKES_NUMBERS = frozenset(
    {"add", "sub", "mul", "div", "rsub", "pow", "remainder", "fmod", "floor_divide",
     "true_divide", "eq", "ne", "lt", "le", "gt", "ge", "maximum", "minimum", "where",
     "masked_fill", "clamp", "clamp_min", "clamp_max", "atan2", "bitwise_and", "bitwise_or",
     "bitwise_xor", "logical_and", "logical_or", "__and__", "__or__", "addcmul", "addcdiv",
     "lerp", "xor", "arange", "full", "full_like", "new_full", "to", "threshold", "greater",
     "less", "greater_equal", "less_equal", "linspace", "repeat_interleave"}
)  # fmt: skip

# Ops that leave a host scalar as it is.
SAME_SCALAR = frozenset(
    {"detach", "clone", "alias", "contiguous", "lift_fresh", "squeeze", "cpu", "cuda",
     "view_as", "expand_as", "dropout", "lift_fresh_copy", "real"}
)  # fmt: skip

# Ops that return a view where the memory layout allows it, and a copy elsewhere.
RESHAPES = frozenset({"reshape", "flatten", "reshape_as", "ravel", "contiguous"})

# Ops whose number arguments make the shape.
NUMBERS_ARE_SIZES = frozenset({"arange", "linspace", "logspace", "range"})
