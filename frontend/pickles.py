"""Facts about a pickle, from its opcodes alone: nothing in it is run or imported."""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass


@dataclass(frozen=True)
class PickleFacts:
    """`module` is the class of a pickled nn.Module, if any; `foreign` are other classes."""

    module: str = ""
    tensors: bool = False
    foreign: tuple[str, ...] = ()
    truncated: bool = False


_STRINGS = {
    "SHORT_BINUNICODE",
    "BINUNICODE",
    "BINUNICODE8",
    "UNICODE",
    "SHORT_BINSTRING",
    "BINSTRING",
    "STRING",
}
_PUTS = {"BINPUT", "LONG_BINPUT", "PUT"}
_GETS = {"BINGET", "LONG_BINGET", "GET"}
_PLAIN = (
    "torch.",
    "torch ",
    "collections OrderedDict",
    "numpy.",
    "_codecs encode",
    "builtins set",
    "builtins dict",
)
_MODULE_MARKS = {"_parameters", "_buffers", "_modules"}


def pickle_facts(data: bytes) -> PickleFacts:
    """What the pickle (or several, one after the other) would build."""
    names, marks, truncated = _globals(data)
    classes = [n for n in names if not n.startswith(_PLAIN) or n.startswith("torch.nn.modules")]
    tensors = any(
        "_rebuild_tensor" in n or "_rebuild_parameter" in n or n.endswith("Storage") for n in names
    )
    module = _dotted(classes[0]) if classes and marks >= _MODULE_MARKS else ""
    foreign = tuple(_dotted(n) for n in classes)
    return PickleFacts(
        module, tensors, () if module else foreign, truncated and not (module or tensors)
    )


def _dotted(name: str) -> str:
    return name.replace(" ", ".")


def _globals(data: bytes) -> tuple[list[str], set[str], bool]:
    """Names of globals as "module name", strings that mark modules, whether it is cut."""
    names: list[str] = []
    marks: set[str] = set()
    stream = io.BytesIO(data)
    while stream.tell() < len(data):
        before = stream.tell()
        try:
            _read_one(stream, names, marks)
        except Exception:
            # torch.save of old puts raw tensor data behind its pickles
            return names, marks, before == 0
    return names, marks, False


def _read_one(stream: io.BytesIO, names: list[str], marks: set[str]) -> None:
    memo: dict[int, str] = {}
    strings: list[str] = []
    for op, arg, _ in pickletools.genops(stream):
        if op.name == "GLOBAL":
            names.append(str(arg))
            strings.append("")
        elif op.name == "STACK_GLOBAL":
            names.append(" ".join(strings[-2:]))
        elif op.name in _STRINGS:
            strings.append(str(arg))
            if arg in _MODULE_MARKS:
                marks.add(str(arg))
        elif op.name in _PUTS and isinstance(arg, int):
            memo[arg] = strings[-1] if strings else ""
        elif op.name == "MEMOIZE":
            memo[len(memo)] = strings[-1] if strings else ""
        elif op.name in _GETS and isinstance(arg, int):
            strings.append(memo.get(arg, ""))
