"""The constructor of a class: its layers, parts and weights as templates with slots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..ir import Node, Value
from ..ir.tree import Layer, Width
from .bound import Binder, Bound, SlotRef, bind, plain_scalar
from .makers import IDENTITY, MakeLayer, MakePart, Maker, MakeWeight
from .modules import Modules
from .slots import TOKEN, MarkedFloat, MarkedInt, Slot, layer_number, mark_node, token
from .widths import Widths, key


@dataclass
class Repeat:
    """A list: `kinds[i]` is the number of the template that element i is made with."""

    kinds: list[int]
    templates: list[Any]
    count: int  # slot

    @property
    def condition(self) -> tuple[str, int, int] | None:
        """How one of two kinds follows from the index: the first is special, or they alternate."""
        kinds = self.kinds
        if len(self.templates) != 2 or len(kinds) < 3:
            return None
        if kinds[0] != kinds[1] and len(set(kinds[1:])) == 1:
            return "i == 0", kinds[0], kinds[1]
        if len(set(kinds[0::2])) == 1 and len(set(kinds[1::2])) == 1:
            return "i % 2 == 0", kinds[0], kinds[1]
        return None


# Options of convolutions, left out of the constructor at these values. Instances may differ.
OPTIONS = {"stride": 1, "padding": 0, "dilation": 1}

Template = Any  # a Maker, a dict name -> Template, or a Repeat


@dataclass
class Init:
    """Attributes of a class instance in order, with the slots of their constructor arguments."""

    path: str
    attributes: dict[str, Template] = field(default_factory=dict)
    slots: list[Slot] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)


def build_init(path: str, modules: Modules, widths: Widths) -> Init:
    """The constructor of the class instance at a path; the groups of its child classes are known
    already.
    """
    init = Init(path)
    nested: dict[str, Any] = {}
    for rel, entry in modules.tree[path].items():
        parts = rel.split(".")
        at = nested
        for part in parts[:-1]:
            at = at.setdefault(part, {})
        at[parts[-1]] = entry
    for name, tree in nested.items():
        template = _template(tree, (name,), init, modules, widths)
        init.attributes[modules.attribute(path, name)] = template
    return init


def _template(
    tree: Any, at: tuple[str, ...], init: Init, modules: Modules, widths: Widths
) -> Template:
    """The template of an attribute, or of the part of one, at this path below the class."""
    if not isinstance(tree, dict):
        return _constructor(tree, init, modules)
    places = {k: modules.item(init.path, at, k) for k in tree}
    if all(kind == "index" for kind, _ in places.values()):
        return _list(tree, at, init, modules, widths)
    return {places[k][1]: _template(v, (*at, k), init, modules, widths) for k, v in tree.items()}


def _constructor(entry: Any, init: Init, modules: Modules) -> Maker:
    if entry.kind == "layer":
        return _layer(entry.what, init)
    if entry.kind == "class":
        return _instance(entry.what, init, modules)
    param = entry.what
    sizes = (_size(param, axis, size, init) for axis, size in enumerate(param.tensor.shape))
    return MakeWeight(param, tuple(sizes))


def _size(param: Any, axis: int, size: int, init: Init) -> Bound:
    if size == 1:
        return 1
    module, _, attr = param.name.rpartition(".")
    return _add(init, Slot(size, key(param, axis), f"param.{attr}.{axis}", module or attr))


def _add(init: Init, slot: Slot, kind: str = "i") -> SlotRef:
    init.slots.append(slot)
    return SlotRef(len(init.slots) - 1, kind)


def _layer(region: Any, init: Init) -> MakeLayer:
    node: Node = region.items[0]
    layer = node.row.layer(mark_node(node, layer_number))  # type: ignore[misc]
    assert layer is not None
    binder = _layer_binder(node, layer, init, region.path)
    args = tuple(bind(a, binder) for a in layer.args)
    options = _options(node, layer, init, region.path) if layer.cls.startswith("nn.Conv") else ()
    left = dict(options)
    kwargs = tuple((k, bind(v, binder)) for k, v in layer.kwargs if k not in left)
    if layer.cls.startswith("runtime."):
        binder.helper(layer.cls.removeprefix("runtime."))
    return MakeLayer(layer.cls, args, options, kwargs, tuple(name for _, name in layer.params))


def _layer_binder(node: Node, layer: Layer, init: Init, path: str) -> Binder:
    """Sizes and numbers of a layer's constructor as slots of the class."""

    def width(operand: int, axis: int) -> Bound:
        value = node.operands[operand]
        assert isinstance(value, Value)
        size = value.tensor.shape[axis]
        assert isinstance(size, int)
        place = layer.args.index(Width(operand, axis)) if Width(operand, axis) in layer.args else ""
        return _add(init, Slot(size, key(value, axis), f"{layer.cls}.{place}", path))

    def scalar(value: Any, dtype: Any) -> Bound:
        if isinstance(value, MarkedInt | MarkedFloat):
            return _add(init, value.mark.slot(value, path, f"{layer.cls}."))
        return plain_scalar(value, dtype)

    def helper(name: str) -> None:
        if name not in init.helpers:
            init.helpers.append(name)

    return Binder(lambda i: None, lambda e: e, width, scalar, helper)


def _options(node: Node, layer: Layer, init: Init, path: str) -> tuple[tuple[str, SlotRef], ...]:
    """Options that are one number stand as slots, so that instances may have them or not."""
    given = dict(layer.kwargs)
    slots = []
    for name, default in OPTIONS.items():
        value = given.get(name, default)
        number = getattr(value, "value", value)
        if isinstance(number, int):
            slot = Slot(int(number), (node, name, 0), f"{layer.cls}.{name}", path, literal=True)
            slots.append((name, _add(init, slot, "o")))
    return tuple(slots)


def _instance(path: str, init: Init, modules: Modules) -> MakePart:
    group = modules.groups[path]
    parameters = []
    for parameter in group.parameters:
        value, element = parameter.of(path)
        slot = Slot(value, element, f"arg.{parameter.name}", path, parameter.literal)
        parameters.append((parameter.name, _add(init, slot)))
    return MakePart(group.index, group.needs_args, tuple(parameters))


def _list(
    tree: dict[str, Any], at: tuple[str, ...], init: Init, modules: Modules, widths: Widths
) -> Template:
    """A list: like elements share a template, and their slots are one."""
    size = max(map(int, tree)) + 1
    kinds: list[int] = []
    templates: list[Any] = []
    shapes: list[tuple[Any, list[Any]]] = []
    for i in range(size):
        start = len(init.slots)
        template = (
            _template(tree[str(i)], (*at, str(i)), init, modules, widths)
            if str(i) in tree
            else IDENTITY
        )
        shape = (_normal(template, start), [s.value for s in init.slots[start:]])
        kind = next((k for k, s in enumerate(shapes) if s == shape), None)
        if kind is None:
            shapes.append(shape)
            templates.append((template, start))
            kinds.append(len(shapes) - 1)
        else:
            _join(init, start, templates[kind][1], widths)
            del init.slots[start:]
            kinds.append(kind)
    name = ".".join(at)
    count = Slot(
        size, (init.path, name, "count"), "count", f"{init.path}.{name}" if init.path else name
    )
    init.slots.append(count)
    return Repeat(kinds, [t for t, _ in templates], len(init.slots) - 1)


def _normal(template: Template, start: int) -> Any:
    """The template with its slots counted from 0."""
    if isinstance(template, dict):
        return {k: _normal(v, start) for k, v in template.items()}
    if not isinstance(template, Repeat):
        return TOKEN.sub(
            lambda m: token(m[1], int(m[2]) - start) if m[1] in "io" else m[0], template.text
        )
    return (
        tuple(template.kinds),
        tuple(repr(_normal(t, start)) for t in template.templates),
        template.count - start,
    )


def _join(init: Init, start: int, first: int, widths: Widths) -> None:
    """The slots from `start` on stand for the same widths as those from `first` on."""
    for offset, slot in enumerate(init.slots[start:]):
        widths.join(init.slots[first + offset].element, slot.element)


def template_key(template: Template) -> Any:
    """What two instances of one class must agree in; the length of a list of like elements is
    free.
    """
    if isinstance(template, dict):
        return tuple((k, template_key(v)) for k, v in template.items())
    if isinstance(template, Repeat):
        kinds = (0,) if set(template.kinds) == {0} else tuple(template.kinds)
        return kinds, tuple(map(template_key, template.templates))
    return template.text


def counts(template: Template) -> list[int]:
    """The slots of the list lengths that a template prints."""
    if isinstance(template, dict):
        return [c for t in template.values() for c in counts(t)]
    if isinstance(template, Repeat):
        inner = [c for t in template.templates for c in counts(t)]
        alike = len(template.templates) == 1 and len(template.kinds) > 1
        return [template.count, *inner] if alike or template.condition else inner
    return []
