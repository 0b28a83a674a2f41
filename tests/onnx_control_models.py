"""ONNX models whose control flow or shapes depend on data, with inputs for several runs.

What a run gives for an input is its data, or (a tuple) the shape of random floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, parser

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'


@dataclass(frozen=True)
class Model:
    text: str
    runs: list[list[Any]]

    @property
    def proto(self) -> onnx.ModelProto:
        return parser.parse_model(HEAD + self.text)

    def arrays(self, run: int) -> dict[str, np.ndarray]:
        """The inputs of a run by name; behind the last one the first comes again."""
        random = np.random.default_rng(run)
        inputs, given = self.proto.graph.input, self.runs[run % len(self.runs)]
        return {v.name: array_of(v, g, random) for v, g in zip(inputs, given, strict=True)}


def array_of(value: Any, given: Any, random: np.random.Generator) -> np.ndarray:
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    if isinstance(given, tuple):
        return random.standard_normal(given).astype(dtype)
    return np.asarray(given, dtype)


def joined(models: dict[str, Model]) -> onnx.ModelProto:
    """One model that computes all of them side by side."""
    graphs = []
    for name, model in models.items():
        graphs.append(model.proto.graph)
        prefix(graphs[-1], f"{name}_")
    fields = ("node", "input", "output", "initializer")
    node, inputs, outputs, initializers = (
        [v for g in graphs for v in getattr(g, f)] for f in fields
    )
    graph = helper.make_graph(node, "everything", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def prefix(graph: onnx.GraphProto, text: str) -> None:
    """Puts the text before all names, those inside of nodes too."""
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = text + value.name
        for dim in () if isinstance(value, onnx.TensorProto) else value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = text + dim.dim_param
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [text + name if name else "" for name in names]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                prefix(attribute.g, text)


CONTROL: dict[str, Model] = {
    "if_two_results": Model(
        """g (float[B, 3] x, float[3, 3] w) => (float[B, 3] y, float[B, 3] z) <float zero = {0}, float[1] one = {1}> {
          s = ReduceSum <keepdims = 0> (x)
          c = Greater(s, zero)
          y, z = If (c) <
            then_branch = t () => (float[B, 3] a, float[B, 3] k) { m = MatMul(x, w) a = Add(m, one) k = Mul(a, a) },
            else_branch = e () => (float[B, 3] b, float[B, 3] k2) { b = Exp(x) k2 = Identity(x) }>
        }""",
        [[(2, 3), (3, 3)], [(4, 3), (3, 3)], [(5, 3), (3, 3)]],
    ),
    "if_two_shapes": Model(
        """g (float[B, 3] x) => (float[M, 1] y)
          <float zero = {0}, int64[1] first = {0}, int64[1] two = {2}, int64[2] flat = {-1, 1}> {
          s = ReduceSum <keepdims = 0> (x)
          c = Greater(s, zero)
          h = If (c) <then_branch = t () => (float[P, 3] a) { a = Slice(x, first, two) },
                      else_branch = e () => (float[Q, 3] b) { b = Concat <axis = 0> (x, x) }>
          q = Reshape(h, flat)
          y = Exp(q)
        }""",
        [[(2, 3)], [(3, 3)], [(4, 3)]],
    ),
    "while": Model(
        """g (float[B, 3] x, float limit) => (float[B, 3] y, int64 n, float[M, 3] rows)
          <int64 zero = {0}, int64 one = {1}, bool yes = {1}, float[1] half = {0.5}, int64[1] front = {0}> {
          y, n, rows = Loop (, yes, x, zero) <
            body = b (int64 i, bool c, float[B, 3] s, int64 n0) => (bool d, float[B, 3] t, int64 n1, float[3] row) {
              t = Mul(s, half)
              n1 = Add(n0, one)
              a = Abs(t)
              m = ReduceMax <keepdims = 0> (a)
              d = Greater(m, limit)
              row = ReduceSum <keepdims = 0> (t, front)
            }>
        }""",
        [[(2, 3), 0.1], [(4, 3), 0.01]],
    ),
    "while_maybe_never": Model(
        """g (float[B] x, float limit) => (float[B] y) <float[1] half = {0.5}> {
          m0 = ReduceMax <keepdims = 0> (x)
          go = Greater(m0, limit)
          y = Loop (, go, x) <body = b (int64 i, bool c, float[B] s) => (bool d, float[B] t) {
              t = Mul(s, half)
              m = ReduceMax <keepdims = 0> (t)
              d = Greater(m, limit)
            }>
        }""",
        [[[4.0, 1.0], 0.3], [[0.1, 0.2, 0.0], 0.3]],
    ),
    "limit_and_condition": Model(
        """g (float[B] x, int64 n, float limit) => (float[B] y, float[B] z) <float[1] half = {0.5}> {
          m0 = ReduceMax <keepdims = 0> (x)
          go = Greater(m0, limit)
          y, z = Loop (n, go, x, x) <
            body = b (int64 i, bool c, float[B] s, float[B] p) => (bool d, float[B] t, float[B] q) {
              f = Cast <to = 1> (i)
              t = Mul(p, half)
              q = Add(s, f)
              m = ReduceMax <keepdims = 0> (t)
              d = Greater(m, limit)
            }>
        }""",
        [[[4.0, 1.0], 3, 0.3], [[4.0, 1.0, 2.0], 9, 0.3], [[0.1], 4, 0.3]],
    ),
    "for_rows": Model(
        """g (float[B, 3] x, int64 n) => (float[B, 3] y, float[M, B, 3] rows) <bool yes = {1}, float[1] half = {0.5}> {
          y, rows = Loop (n, yes, x) <body = b (int64 i, bool c, float[B, 3] s) => (bool d, float[B, 3] t, float[B, 3] r) {
            d = Identity(c)
            f = Cast <to = 1> (i)
            h = Mul(s, half)
            t = Add(h, f)
            r = Sub(t, x)
          }>
        }""",
        [[(2, 3), 3], [(4, 3), 1]],
    ),
    "greedy_decoding": Model(
        """g (int64[L] ids, float[7, 7] table, int64 n) => (int64[M] y)
          <bool yes = {1}, int64[1] last = {-1}, int64 stop = {3}> {
          y = Loop (n, yes, ids) <body = b (int64 i, bool c, int64[T] s) => (bool d, int64[T2] t) {
            x = Gather(s, last)
            row = Gather(table, x)
            best = ArgMax <axis = -1, keepdims = 0> (row)
            t = Concat <axis = 0> (s, best)
            e0 = Equal(best, stop)
            e = Not(e0)
            d = Squeeze(e)
          }>
        }""",
        [[[1, 2], (7, 7), 4], [[5], (7, 7), 9], [[5, 1, 4], (7, 7), 0]],
    ),
    "scan_free_length": Model(
        """g (float[3] s, float[L, 3] x) => (float[3] y, float[L, 3] rows) {
          y, rows = Scan <num_scan_inputs = 1, body = b (float[3] a, float[3] e) => (float[3] t, float[3] r) {
            t = Add(a, e)
            r = Mul(t, e)
          }> (s, x)
        }""",
        [[(3,), (4, 3)], [(3,), (9, 3)]],
    ),
    "scan_backwards": Model(
        """g (float[3] s, float[3, L] x) => (float[3] y, float[3, L] rows) {
          y, rows = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1],
            scan_output_axes = [1], scan_output_directions = [1],
            body = b (float[3] a, float[3] e) => (float[3] t, float[3] r) {
            m = Mul(a, e)
            t = Add(m, e)
            r = Identity(t)
          }> (s, x)
        }""",
        [[(3,), (3, 4)], [(3,), (3, 7)]],
    ),
    "nested": Model(
        """g (float[B, 3] x, int64 n) => (float[B, 3] y) <bool yes = {1}, float[1] half = {0.5}, float zero = {0}> {
          y = Loop (n, yes, x) <body = b (int64 i, bool c, float[B, 3] s) => (bool d, float[B, 3] t) {
            d = Identity(c)
            m = ReduceSum <keepdims = 0> (s)
            p = Greater(m, zero)
            t = If (p) <
              then_branch = t1 () => (float[B, 3] a) {
                q = ReduceMax <keepdims = 0> (s)
                p2 = Greater(q, half)
                a = If (p2) <then_branch = t2 () => (float[B, 3] u) { u = Sub(s, half) },
                             else_branch = e2 () => (float[B, 3] u2) { u2 = Neg(s) }>
              },
              else_branch = e1 () => (float[B, 3] b2) { b2 = Add(s, half) }>
          }>
        }""",
        [[(2, 3), 3], [(4, 3), 5], [(2, 3), 0]],
    ),
    "loop_in_loop": Model(
        """g (float[B] x, int64 n, int64 m) => (float[B] y, float[B] z) <bool yes = {1}, float[1] half = {0.5}> {
          y, z = Loop (n, yes, x, x) <
            body = b (int64 i, bool c, float[B] s, float[B] r) => (bool d, float[B] t, float[B] r2) {
              d = Identity(c)
              t = Loop (m, c, r) <body = b2 (int64 j, bool c2, float[B] v) => (bool d2, float[B] w) {
                d2 = Identity(c2)
                f = Cast <to = 1> (j)
                g2 = Cast <to = 1> (i)
                o = Mul(v, half)
                p = Add(o, f)
                q = Add(p, s)
                w = Sub(q, g2)
              }>
              r2 = Identity(s)
            }>
        }""",
        [[(2,), 3, 2], [(4,), 2, 0], [(3,), 5, 3]],
    ),
    "long": Model(
        """g (float[B] x) => (float[B] y) <int64 trips = {300}, bool yes = {1}> {
          y = Loop (trips, yes, x) <body = b (int64 i, bool c, float[B] s) => (bool d, float[B] t) {
            d = Identity(c)
            t = Sin(s)
          }>
        }""",
        [[(3,)], [(5,)]],
    ),
}

SIZES: dict[str, Model] = {
    "nonzero": Model(
        """g (float[B, 3] x) => (float[M] y, int64[1] n, float[M] k) <float[1] zero = {0}, int64[1] one = {1}> {
          c = Greater(x, zero)
          p = NonZero(c)
          pt = Transpose(p)
          y = GatherND(x, pt)
          s = Shape(y)
          n = Add(s, one)
          e = Expand(zero, s)
          k = Sub(y, e)
        }""",
        [[(2, 3)], [(5, 3)], [[[-1.0, -2.0, -3.0]]]],
    ),
    "only_the_count": Model(
        """g (float[B] x) => (float[M] y) <float[1] zero = {0}, int64 start = {0}, int64 step = {1}> {
          c = Greater(x, zero)
          p = NonZero(c)
          n = Shape <start = 1, end = 2> (p)
          n0 = Squeeze(n)
          r = Range(start, n0, step)
          y = Cast <to = 1> (r)
        }""",
        [[(4,)], [(9,)], [[-1.0]]],
    ),
    "compress": Model(
        """g (float[B, 4] x) => (float[M, 4] y, float[Q, 2] z) <float zero = {0}, int64[2] pairs = {-1, 2}> {
          m = ReduceMean <axes = [1], keepdims = 0> (x)
          c = Greater(m, zero)
          y = Compress <axis = 0> (x, c)
          t = Reshape(y, pairs)
          z = Exp(t)
        }""",
        [[(4, 4)], [(7, 4)], [[[-1.0] * 4]]],
    ),
    "compress_twice": Model(
        """g (float[B] x, float[B, 2] w) => (float[M, 2] y) <float zero = {0}, int64[1] last = {1}> {
          c = Greater(x, zero)
          a = Compress <axis = 0> (x, c)
          b = Compress <axis = 0> (w, c)
          a1 = Unsqueeze(a, last)
          y = Add(a1, b)
        }""",
        [[(4,), (4, 2)], [(7,), (7, 2)]],
    ),
    "lengths": Model(
        """g (float[B, 6] x, int64[L] lengths) => (float[M] y, float[B, P] z, float[B, Q] w, float[B, R] v)
          <int64 zero = {0}, int64 one = {1}, int64[1] first = {0}, int64[1] step = {1},
           int64[1] all = {9223372036854775807}> {
          n = ReduceMax <keepdims = 1> (lengths)
          n0 = Squeeze(n)
          r = Range(zero, n0, one)
          rf = Cast <to = 1> (r)
          y = Add(rf, rf)
          z = Slice(x, first, n, step)
          s = Shape(x)
          b = Gather(s, first)
          shape = Concat <axis = 0> (b, n)
          o = ConstantOfShape(shape)
          w = Exp(o)
          below = Neg(n)
          v = Slice(x, below, all, step)
        }""",
        [[(2, 6), [2, 3, 1]], [(3, 6), [5]], [(2, 6), [8, 1]]],
    ),
    "ranges": Model(
        """g (float a, float b, int64 c, int64 d) => (float[M] y, int64[Q] z)
          <float step = {0.25}, int64 back = {-2}> {
          y = Range(a, b, step)
          z = Range(c, d, back)
        }""",
        [[0.5, 2.0, 9, 2], [1.0, 0.0, 3, -4]],
    ),
    "reshape": Model(
        """g (float[B, 12] x, int64[2] shape) => (float[P, Q] y) { t = Reshape(x, shape) y = Exp(t) }""",
        [[(2, 12), [4, 6]], [(3, 12), [0, -1]], [(3, 12), [-1, 4]]],
    ),
    "expand_and_tile": Model(
        """g (float[1, 4] x, int64 n) => (float[P, 8] y)
          <int64[2] repeats = {1, 2}, int64[1] four = {4}, int64[1] front = {0}> {
          n1 = Unsqueeze(n, front)
          s = Concat <axis = 0> (n1, four)
          e = Expand(x, s)
          t = Tile(e, repeats)
          y = Exp(t)
        }""",
        [[(1, 4), 3], [(1, 4), 1]],
    ),
    "pad": Model(
        """g (float[B, 4] x, int64 n) => (float[B, P] y) <int64[3] zeros = {0, 0, 0}, int64[1] front = {0}> {
          n1 = Unsqueeze(n, front)
          s = Concat <axis = 0> (zeros, n1)
          y = Pad(x, s)
        }""",
        [[(2, 4), 3], [(5, 4), 0]],
    ),
    "resize": Model(
        """g (float[B, 2, 4, 4] x, int64[2] size) => (float[B, 2, P, Q] y) <int64[2] chosen = {0, 1}> {
          s = Shape <start = 0, end = 2> (x)
          whole = Concat <axis = 0> (s, size)
          y = Resize <mode = "linear"> (x, , , whole)
        }""",
        [[(2, 2, 4, 4), [8, 7]], [(1, 2, 4, 4), [3, 5]]],
    ),
    "unique": Model(
        """g (int64[L] x) => (int64[M] u, int64[M] i, int64[L] v, int64[M] n) { u, i, v, n = Unique <sorted = 0> (x) }""",
        [[[3, 1, 3, 2, 1]], [[5, 5]]],
    ),
    "topk": Model(
        """g (float[B, 8] x, int64[1] k) => (float[B, K] v, int64[B, K] i) { v, i = TopK(x, k) }""",
        [[(2, 8), [3]], [(3, 8), [8]]],
    ),
    "one_hot": Model(
        """g (int64[B] x, int64 depth) => (float[B, D] y) <float[2] v = {0, 1}> { y = OneHot(x, depth, v) }""",
        [[[0, 2, 1], 4], [[1, -1], 3]],
    ),
    "in_a_loop": Model(
        """g (float[B, 3] x, int64 n) => (float[M, 3] y, float[R] rows) <bool yes = {1}, float zero = {0}> {
          y, rows = Loop (n, yes, x) <body = b (int64 i, bool c, float[T, 3] s) => (bool d, float[T2, 3] t, float r) {
            m = ReduceMean <axes = [1], keepdims = 0> (s)
            g2 = Greater(m, zero)
            k = Compress <axis = 0> (s, g2)
            t = Concat <axis = 0> (k, x)
            r = ReduceSum <keepdims = 0> (k)
            d = Identity(c)
          }>
        }""",
        [[(2, 3), 3], [(4, 3), 2], [[[-1.0, -1.0, -1.0]], 2]],
    ),
}
