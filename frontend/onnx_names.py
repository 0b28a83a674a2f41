"""Names and scopes that an ONNX file states: node-name paths, initializer names, metadata."""

from __future__ import annotations

import ast
import keyword
import re
from typing import Any

_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+")
_MADE_UP = re.compile(
    r"(onnx::.*|val_?\d*|_?\d+|[A-Za-z]?\d*|.*[^\w.].*|arg\d+.*|getitem.*|_to_copy.*|const\w*|"
    r"tmp\w*|int64_.*|scalar.*|anonymous.*|[A-Z]\w*|"
    r"(?!(?:cos|sin|key|out|emb|ids|pos|map|mel|bbox)$)[a-z]{1,3})"
)


# torch's newer exporter calls constants that it has folded after the function that made them.
_FUNCTION = re.compile(
    r"_?(unsafe_)?(add|arange|bitwise_and|bitwise_or|bmm|cat|clamp|clone|contiguous|cumsum|detach|"
    r"div|eq|expand|flatten|full|gather|ge|gt|index|le|lift_fresh_copy|logical_(and|not|or)|lt|"
    r"masked_fill|mm|mul|ne|neg|ones|permute|pow|repeat|reshape|roll|scatter|select|slice|"
    r"slice_scatter|squeeze|stack|sub|tril|triu|type_as|unflatten|unsqueeze|view|where|zeros)(_\d+)?"
)


# What tools append to the name of a tensor that they quantize.
_QUANTIZED = re.compile(r"(_quantized|(_DQ)?_Q\d)$")
# The operator that onnxruntime-genai puts between a layer and its weight.
_OPERATOR = re.compile(r"(?<=\w)\.(MatMul|Add)(?=\.(weight|bias)$)")


def readable(initializer: str) -> str:
    """A dotted path for a tensor whose name is one; "" for `onnx::MatMul_331` and the like."""
    initializer = _OPERATOR.sub("", _QUANTIZED.sub("", initializer))
    if _FUNCTION.fullmatch(initializer):
        return ""
    parts = initializer.replace("/", ".").strip(".").split(".")
    if any(not _PART.fullmatch(p) for p in parts) or not parts[-1]:
        return ""
    named = all(not p[0].isdigit() for p in (parts[0], parts[-1]))
    if not named or (len(parts) == 1 and _MADE_UP.fullmatch(initializer)):
        return ""
    return "" if any(keyword.iskeyword(p) for p in parts) else ".".join(parts)


def hint_of(node: Any) -> str:
    """The name of a node's first result, where it is one that a person wrote.

    torch's newer exporter names results after its own functions (`view_3`): those say nothing.
    """
    if any(key.startswith("pkg.torch.") for key in getattr(node, "metadata_props", ())):
        return ""
    name = (node.outputs[0].name or "") if len(node.outputs) else ""
    last = re.split(r"[/:.]", name)[-1]
    last = re.sub(r"_output_\d+$|_(De)?[Qq]uantizeLinear_(In|Out)put$", "", last)
    last = re.sub(r"_\d+$", "", last)
    if not last.isidentifier() or keyword.iskeyword(last) or _MADE_UP.fullmatch(last):
        return ""
    return "" if last.lower() == node.op_type.lower() or len(last) > 30 else last


_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')


def line_of(node: Any) -> str:
    """ "model.py:31" of the source's own code, where the exporter wrote it down; else ""."""
    frames = _FRAME.findall(node.metadata_props.get("pkg.torch.onnx.stack_trace", ""))
    own = [f for f in frames if not re.search(r"torch[/\\](nn|fx|_)", f[0])]
    if not own:
        return ""
    file, line = own[-1]
    return f"{file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{line}"


Path = list[tuple[str, str]]


def scope_path(node: Any) -> Path | None:
    """(path, class) of every module around a node, outermost first; None where nothing is said."""
    listed = _from_metadata(node)
    return listed if listed is not None else _from_name(node.name or "")


def _from_metadata(node: Any) -> Path | None:
    """torch's dynamo exporter writes lists of paths and of classes; the last entry is the call."""
    paths = _list(node.metadata_props.get("pkg.torch.onnx.name_scopes"))
    classes = _list(node.metadata_props.get("pkg.torch.onnx.class_hierarchy"))
    if paths is None or classes is None or len(paths) != len(classes):
        return None
    pairs = [(p, c.rsplit(".", 1)[-1]) for p, c in zip(paths[:-1], classes[:-1], strict=True)]
    return [(_path(p), c) for p, c in pairs if p and _path(p)]


def _list(text: str | None) -> list[str] | None:
    if not text:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, list) and all(isinstance(v, str) for v in value) else None


def _path(text: str) -> str:
    """A dotted path made of identifiers and numbers; "" for anything else."""
    parts = [p for p in text.split(".") if p]
    good = all(_PART.fullmatch(p) and not keyword.iskeyword(p) for p in parts)
    return ".".join(parts) if good else ""


def _from_name(name: str) -> Path | None:
    """`/layers.0/self_attn/q_proj/MatMul`, as the older exporter names nodes."""
    if not name.startswith("/"):
        return None
    out: Path = []
    path = ""
    for part in name.strip("/").split("/")[:-1]:
        if not _path(part):
            return out
        step = part if not path else _step(path, part)
        path = step
        out.append((path, class_of(part)))
    return out


def _step(path: str, part: str) -> str:
    """Items of a list repeat its name: `layers` then `layers.0` is `layers.0`, and so deeper."""
    outer = path.split(".")
    for count in range(len(outer)):
        if part.startswith(".".join(outer[count:]) + "."):
            return ".".join([*outer[:count], part])
    return f"{path}.{part}"


def class_of(part: str) -> str:
    """A class name from an attribute's name: `self_attn` is a SelfAttn, `layers.0` a Layer.

    Attributes that are numbered are of one kind: `layer1.0` and `layer2.0` are each a Layer, and
    so is `model.0`, an item of a list that is the model.
    """
    if re.fullmatch(r"model\.\d+", part):
        return "Layer"
    words = [w for w in re.split(r"[._]", part) if w and not w.isdigit()]
    if words and re.search(r"\.\d+$", part):
        words[-1] = re.sub(r"(?<=[^s])s$", "", words[-1])
    words = [re.sub(r"(?<=[A-Za-z])\d+$", "", w) for w in words]
    return "".join(w[:1].upper() + w[1:] for w in words) or "Block"
