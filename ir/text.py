"""Text form of graphs: valid Python syntax, one line a node, typed; and its parser.

    @graph("Net", L=(1, 512))
    def forward(x: f32[B, L, 8]):
        with module("proj", "Linear"):
            h: f32[B, L, 4] = linear(x, param("proj.weight", f32[4, 8]), None, at="net.py:7")
        return h

Several results print as a tuple with `types=[...]`. The graphs inside a node are functions before
it. A name's `__2` suffix only keeps names apart: the hint is what stands before it. Constants are
named by a hash of their data, which travels beside the text.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import recipe as rcp
from .blocks import data_sizes
from .dims import Expr, parse_dim, symbol
from .graph import Graph, Node, Operand, Param, Scope, Source, Value
from .ops import TABLE
from .types import DType, Integer, Tensor, Type


class ParseError(ValueError):
    """The text is no graph: says the line and what is wrong with it."""


# ---- printing


class _Namer:
    """A distinct Python name for every value: its hint, or its op's name."""

    def __init__(self) -> None:
        self.names: dict[Value, str] = {}
        self.blocks: dict[Graph, str] = {}
        self.taken: dict[str, int] = {}

    def __call__(self, value: Value) -> str:
        if value not in self.names:
            base = identifier(value.hint) or (value.node.op if value.node else "x")
            base = re.sub(r"(__\d+)+$", "", base) or "x"
            count = self.taken[base] = self.taken.get(base, 0) + 1
            self.names[value] = base if count == 1 and base not in _RESERVED else f"{base}__{count}"
        return self.names[value]

    def block(self, graph: Graph, attr: str) -> str:
        """The name of a graph inside a node: that of the attribute which holds it."""
        if graph not in self.blocks:
            count = self.taken[attr] = self.taken.get(attr, 0) + 1
            self.blocks[graph] = attr if count == 1 else f"{attr}__{count}"
        return self.blocks[graph]


_RESERVED = {
    "param",
    "module",
    "graph",
    "forward",
    "inf",
    "nan",
    "read",
    "constant",
    *keyword.kwlist,
    *(d.value for d in DType),
}


def identifier(text: str) -> str:
    """The text as a Python identifier, or "" where nothing is left of it."""
    text = re.sub(r"\W", "_", text, flags=re.ASCII).strip("_")
    return f"_{text}" if text[:1].isdigit() else text


def print_graph(graph: Graph) -> str:
    """The graph as text."""
    name = _Namer()
    bounds = "".join(
        f", {s.name}=({s.low}, {s.high})" for s in graph.symbols() if (s.low, s.high) != (1, None)
    )
    bounds += "".join(f", {size}=(0, None)" for size in data_sizes(graph))
    for _, tree in graph.arguments:
        if isinstance(tree, Value):
            name(tree)  # a block must not take it
    arguments = ", ".join(f"{arg}: {_annotation(tree, name)}" for arg, tree in graph.arguments)
    flat = ", 'flat'" if graph.flat else ""
    lines = [f"@graph({graph.name!r}{flat}{bounds})", f"def forward({arguments}):"]
    lines += _body_lines(graph, name)
    return "\n".join(lines) + "\n"


def _body_lines(graph: Graph, name: _Namer) -> list[str]:
    """The nodes by module, and the result."""
    lines: list[str] = []
    stack: list[Scope] = [graph.root]
    shown: set[Scope] = set()
    for node in graph.nodes:
        chain = node.scope.chain()
        keep = next(
            (i for i, (a, b) in enumerate(zip(stack, chain, strict=False)) if a is not b),
            min(len(stack), len(chain)),
        )
        for depth in range(keep, len(chain)):
            lines.append(
                "    " * depth + _module(chain[depth], name, first=chain[depth] not in shown)
            )
            shown.add(chain[depth])
        stack = chain
        blocks = {attr: name.block(node[attr], attr) for attr in node.row.blocks}
        inner = [line for attr in blocks for line in _block(node[attr], blocks[attr], name)]
        lines += ["    " * len(chain) + line for line in [*inner, _node(node, name)]]
    return [*lines, f"    return {_structure(graph.result, name)}"]


def _block(graph: Graph, function: str, name: _Namer) -> list[str]:
    """A graph inside a node, as a function before it."""
    arguments = ", ".join(f"{name(v)}: {v.type}" for v in graph.inputs)
    return [f"def {function}({arguments}):", *_body_lines(graph, name)]


def _annotation(tree: Any, name: _Namer) -> str:
    """The type of an argument; nested arguments name their values: `(a := f32[B], b := f32[B])`."""
    if isinstance(tree, Value):
        return str(tree.type)
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {_named(v, name)}" for k, v in tree.items()) + "}"
    if isinstance(tree, tuple | list):
        inner = ", ".join(_named(v, name) for v in tree) + (
            "," if isinstance(tree, tuple) and len(tree) == 1 else ""
        )
        return f"({inner})" if isinstance(tree, tuple) else f"[{inner}]"
    return repr(tree)


def _named(tree: Any, name: _Namer) -> str:
    return f"({name(tree)} := {tree.type})" if isinstance(tree, Value) else _annotation(tree, name)


def _module(scope: Scope, name: _Namer, first: bool) -> str:
    call = f", call={scope.call}" if scope.call else ""
    names = (
        {name(v): k for v, k in scope.names.items() if not isinstance(v, Param)} if first else {}
    )
    extra = f", names={names!r}" if names else ""
    return f"with module({scope.path!r}, {scope.cls!r}{call}{extra}):"


def _node(node: Node, name: _Namer) -> str:
    args = [_operand(o, name) for o in node.operands]
    args += [
        f"{k}={name.blocks[v] if isinstance(v, Graph) else _attr(v)}"
        for k, v in node.attrs.items()
        if v != node.row.attrs[k].default
    ]
    if len(node.results) > 1 or node.row.several:
        args.append(f"types=[{', '.join(str(r.type) for r in node.results)}]")
        target = ", ".join(name(r) for r in node.results) + ("," if len(node.results) == 1 else "")
    else:
        target = f"{name(node.out)}: {node.out.type}"
    if node.by:
        args.append(f"by={list(node.by)!r}")
    if node.via:
        args.append(f"via={list(node.via)!r}")
    if node.source:
        args.append(f"at={list(node.source.lines) if node.source.also else node.source.at!r}")
    return f"{target} = {node.op}({', '.join(args)})"


def _operand(operand: Operand, name: _Namer) -> str:
    if isinstance(operand, Param):
        return _param(operand)
    return name(operand) if isinstance(operand, Value) else _attr(operand)


def _param(param: Param) -> str:
    recipe = "" if param.recipe == rcp.Read(param.name) else f", recipe={param.recipe}"
    return f"param({param.name!r}, {param.type}{recipe}{', buffer=True' if param.buffer else ''})"


def _attr(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_attr, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, DType | Expr):
        return str(value)
    return repr(value)


def _structure(tree: Any, name: _Namer) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {_structure(v, name)}" for k, v in tree.items()) + "}"
    if isinstance(tree, list):
        return f"[{', '.join(_structure(v, name) for v in tree)}]"
    if isinstance(tree, tuple):
        return f"({', '.join(_structure(v, name) for v in tree)}{',' if len(tree) == 1 else ''})"
    return _operand(tree, name)


# ---- parsing


def parse_graph(text: str, constants: Mapping[str, np.ndarray] | None = None) -> Graph:
    """The graph that the text describes; `constants` maps hashes to data. ParseError if it is
    none.
    """
    try:
        function = ast.parse(text).body[0]
    except (SyntaxError, IndexError) as error:
        raise ParseError(f"not a graph: {error}") from None
    if not isinstance(function, ast.FunctionDef) or not function.decorator_list:
        raise ParseError("expected @graph(...) def forward(...)")
    return _Parser(constants or {}).graph(function)


class _Parser:
    def __init__(self, constants: Mapping[str, np.ndarray]):
        self.constants = constants
        self.symbols: dict[str, int | Expr] = {}
        self.values: dict[str, Value] = {}
        self.blocks: dict[str, Graph] = {}
        self.scopes: dict[tuple[Scope, str, int], Scope] = {}

    def graph(self, function: ast.FunctionDef) -> Graph:
        head = function.decorator_list[0]
        if not isinstance(head, ast.Call):
            raise ParseError("expected @graph(...)")
        for bound in head.keywords:
            low, high = ast.literal_eval(bound.value)
            self.symbols[str(bound.arg)] = symbol(str(bound.arg), low, high)
        self.out = Graph(ast.literal_eval(head.args[0]))
        self.out.flat = len(head.args) > 1
        for arg in function.args.args:
            self.out.arguments.append((arg.arg, self._argument(arg.arg, arg.annotation)))
        self._body(function.body, self.out.root)
        return self.out

    def _argument(self, name: str, node: ast.expr | None) -> Any:
        match node:
            case ast.NamedExpr(target=ast.Name(id=inner), value=value):
                return self._argument(inner, value)
            case ast.Dict(keys=keys, values=values):
                return {
                    ast.literal_eval(k): self._argument(name, v)
                    for k, v in zip(keys, values, strict=True)
                    if k
                }
            case ast.Tuple(elts=elts):
                return tuple(self._argument(name, e) for e in elts)
            case ast.List(elts=elts):
                return [self._argument(name, e) for e in elts]
            case ast.Constant(value=value):
                return value
        self.values[name] = Value(self._type(node), _hint(name))
        return self.values[name]

    def _body(self, body: list[ast.stmt], scope: Scope) -> None:
        for statement in body:
            match statement:
                case ast.With(items=[ast.withitem(context_expr=ast.Call() as call)], body=inner):
                    self._body(inner, self._scope(call, scope))
                case ast.AnnAssign(
                    target=ast.Name(id=name), annotation=kind, value=ast.Call() as call
                ):
                    self._node(call, [name], [self._type(kind)], scope)
                case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Call() as call):
                    names = [ast.unparse(target) for target in targets]
                    self._node(call, names, self._types(call), scope)
                case ast.FunctionDef():
                    self._block(statement, scope)
                case ast.Return(value=value):
                    self.out.result = self._structure(value)
                case _:
                    raise ParseError(
                        f"line {statement.lineno}: not part of a graph: {ast.unparse(statement)}"
                    )

    def _block(self, function: ast.FunctionDef, scope: Scope) -> None:
        """A graph inside the node that follows: it names the function."""
        outer, self.out = self.out, Graph(function.name, Scope(scope.path, scope.cls))
        for arg in function.args.args:
            self.out.arguments.append((arg.arg, self._argument(arg.arg, arg.annotation)))
        self._body(function.body, self.out.root)
        self.blocks[function.name] = self.out
        self.out = outer

    def _scope(self, call: ast.Call, parent: Scope) -> Scope:
        path, cls = (ast.literal_eval(a) for a in call.args)
        extra = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
        key = (parent, path, extra.get("call", 0))
        if key not in self.scopes:
            self.scopes[key] = Scope(path, cls, parent, extra.get("call", 0))
        for value, name in extra.get("names", {}).items():
            self.scopes[key].names[self.values[value]] = name
        return self.scopes[key]

    def _node(self, call: ast.Call, names: list[str], types: list[Type], scope: Scope) -> None:
        op = call.func.id if isinstance(call.func, ast.Name) else ""
        if op not in TABLE:
            raise ParseError(f"line {call.lineno}: unknown op {ast.unparse(call.func)}")
        extra = {str(k.arg): k.value for k in call.keywords if k.arg != "types"}
        at, by, via = (extra.pop(k, None) for k in ("at", "by", "via"))
        attrs = {k: self._attr(v) for k, v in extra.items()}
        node = Node(
            op, [self._operand(a) for a in call.args], TABLE[op].complete(attrs), types, scope
        )
        node.source = _source(ast.literal_eval(at)) if at else None
        node.by = tuple(ast.literal_eval(by)) if by else ()
        node.via = tuple(ast.literal_eval(via)) if via else ()
        for name, result in zip(names, node.results, strict=True):
            result.hint = "" if _hint(name) == op else _hint(name)
            self.values[name] = result
        self.out.nodes.append(node)

    def _operand(self, node: ast.expr) -> Operand:
        match node:
            case ast.Name(id=name) if name in self.values:
                return self.values[name]
            case ast.Call(func=ast.Name(id="param"), args=[name, kind], keywords=keywords):
                extra = {k.arg: k.value for k in keywords}
                recipe = (
                    self._recipe(extra["recipe"])
                    if "recipe" in extra
                    else rcp.Read(ast.literal_eval(name))
                )
                tensor = self._type(kind)
                assert isinstance(tensor, Tensor)
                return self.out.param(ast.literal_eval(name), tensor, recipe, "buffer" in extra)
        operand: Operand = self._attr(node)
        return operand

    def _types(self, call: ast.Call) -> list[Type]:
        """The types of several results."""
        for given in call.keywords:
            if given.arg == "types" and isinstance(given.value, ast.List):
                return [self._type(t) for t in given.value.elts]
        raise ParseError(f"line {call.lineno}: several results need types=[...]")

    def _attr(self, node: ast.expr) -> Any:
        match node:
            case ast.Tuple(elts=elts):
                return tuple(map(self._attr, elts))
            case ast.Name(id=("inf" | "nan") as name):
                return float(name)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
                return float("-inf")
            case ast.Name(id=name) if name in DType.__members__:
                return DType(name)
            case ast.Name(id=name) if name in self.blocks:
                return self.blocks[name]
        try:
            return ast.literal_eval(node)
        except ValueError:
            return self._dim(node)

    def _structure(self, node: ast.expr | None) -> Any:
        match node:
            case ast.Dict(keys=keys, values=values):
                return {
                    ast.literal_eval(k): self._structure(v)
                    for k, v in zip(keys, values, strict=True)
                    if k
                }
            case ast.List(elts=elts):
                return list(map(self._structure, elts))
            case ast.Tuple(elts=elts):
                return tuple(map(self._structure, elts))
        assert node is not None
        return self._operand(node)

    def _type(self, node: ast.expr | None) -> Type:
        match node:
            case ast.Subscript(value=ast.Name(id="int"), slice=value):
                return Integer(self._dim(value))
            case ast.Subscript(value=ast.Name(id=dtype), slice=ast.Tuple(elts=dims)) if (
                dtype in DType.__members__
            ):
                return Tensor(DType(dtype), tuple(map(self._dim, dims)))
            case ast.Subscript(value=ast.Name(id=dtype), slice=dim) if dtype in DType.__members__:
                return Tensor(DType(dtype), (self._dim(dim),))
        raise ParseError(f"not a type: {ast.unparse(node) if node else node}")

    def _dim(self, node: ast.expr) -> int | Expr:
        try:
            return parse_dim(node, self.symbols)
        except ValueError as error:
            raise ParseError(f"line {node.lineno}: {error}") from None

    def _recipe(self, node: ast.expr) -> rcp.Recipe:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ParseError(f"not a recipe: {ast.unparse(node)}")
        args = node.args
        match node.func.id:
            case "read":
                return rcp.Read(ast.literal_eval(args[0]))
            case "constant":
                digest = ast.literal_eval(args[0])
                return rcp.Constant(self.constants.get(digest, np.zeros(0)), digest)
            case "permute":
                return rcp.Permute(self._recipe(args[0]), ast.literal_eval(args[1]))
            case "reshape":
                return rcp.Reshape(self._recipe(args[0]), ast.literal_eval(args[1]))
            case "cast":
                return rcp.Cast(self._recipe(args[0]), self._attr(args[1]))
            case "slice":
                return rcp.Slice(self._recipe(args[0]), *(ast.literal_eval(a) for a in args[1:]))
            case "number":
                return rcp.Number(self._attr(args[0]))
            case "zeros":
                return rcp.Zeros(ast.literal_eval(args[0]), self._attr(args[1]))
            case "rsqrt":
                return rcp.Rsqrt(self._recipe(args[0]))
            case "norm":
                return rcp.Norm(self._recipe(args[0]), ast.literal_eval(args[1]))
            case "unpack":
                return rcp.Unpack(self._recipe(args[0]), ast.literal_eval(args[1]))
            case "dequantize":
                of, scales, zeros = map(self._recipe, args[:3])
                return rcp.Dequantize(of, scales, zeros, *map(ast.literal_eval, args[3:]))
            case name if name in _INFIX:
                return _INFIX[name](self._recipe(args[0]), self._recipe(args[1]))
            case "concatenate":
                assert isinstance(args[0], ast.List)
                return rcp.Concatenate(
                    tuple(map(self._recipe, args[0].elts)), ast.literal_eval(args[1])
                )
        raise ParseError(f"unknown recipe {node.func.id}")


_INFIX: dict[str, type[rcp.Infix]] = {
    "add": rcp.Add,
    "subtract": rcp.Subtract,
    "multiply": rcp.Multiply,
    "divide": rcp.Divide,
    "product": rcp.Product,
}


def _source(at: str | list[str]) -> Source:
    return Source(at) if isinstance(at, str) else Source(at[0], at[1:])


def _hint(name: str) -> str:
    return re.sub(r"__\d+$", "", name)


def constants_of(graph: Graph) -> dict[str, np.ndarray]:
    """The data of the graph's constants by hash: what must travel beside the text."""
    found: dict[str, np.ndarray] = {}

    def walk(recipe: rcp.Recipe) -> None:
        if isinstance(recipe, rcp.Constant):
            found[recipe.digest] = recipe.data
        for part in rcp.parts(recipe):
            walk(part)

    for param in graph.params.values():
        walk(param.recipe)
    return found
