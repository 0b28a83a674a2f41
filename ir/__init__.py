"""The typed intermediate representation. Imports no framework."""

from .graph import Builder, Graph, Node, Param, Program, Scope, Source, Value
from .op import InferError, Op, Unequal
from .ops import TABLE
from .types import DType, Integer, Tensor

__all__ = [
    "TABLE",
    "Builder",
    "DType",
    "Graph",
    "InferError",
    "Integer",
    "Node",
    "Op",
    "Param",
    "Program",
    "Scope",
    "Source",
    "Tensor",
    "Unequal",
    "Value",
]
