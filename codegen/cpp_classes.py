"""One C++ class: its declaration for model.h, its constructor and method for model.cpp."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..ir import Graph, Value
from .bound import Bound, SlotRef
from .bound import Member as Access
from .classes import ClassPrinter
from .cpp_fields import Member, kind_of, leads_to, members
from .cpp_functions import Parameter, helper_parameters, layers
from .cpp_methods import Method, MethodPrinter
from .cpp_names import KEYWORDS, cpp_string, safe_cpp
from .cpp_render import Names, number, render_cpp
from .init import OPTIONS, Repeat
from .makers import MakeLayer, MakePart, Maker, MakeWeight
from .slots import TOKEN
from .statements import For
from .structure import Group
from .widths import key

COUNTERS = "ijk"


@dataclass
class CppClass:
    name: str
    declaration: str
    definition: str


class CppClassPrinter(ClassPrinter):
    """Resolves the tokens of one class into C++."""

    keywords = KEYWORDS

    def __init__(self, group: Group, printers: dict[int, CppClassPrinter], *rest: Any):
        """`printers` holds those of all classes by group, as far as they are made."""
        super().__init__(group, *rest)
        self.printers = printers
        self.opened: dict[str, str] = {}  # method -> the member that others reach through it
        loops = [s for s in group.bodies[0].statements if isinstance(s, For)]
        self.members = members(group.inits[0].attributes, loops)
        self.taken |= {m.name.removesuffix("_") for m in self.members}

    def _member(
        self, steps: tuple[tuple[str, str], ...], part: tuple[int, int] | None = None
    ) -> Member | None:
        """The member that holds a module or weight, or that part of the list at these steps."""
        for member in self.members:
            first, behind = member.range or (0, sys.maxsize)
            fits = leads_to(steps, member.path) and all(
                first <= int(name) < behind
                for p, (_, name) in zip(member.path, steps, strict=False)
                if p is None
            )
            if part is None:
                fits = fits and len(member.path) == len(steps)
            else:
                fits = fits and member.path[len(steps) :] == (None,)
                fits = fits and first <= part[0] and part[1] <= behind
            if fits:
                return member
        return None

    def list_of(self, loop: For) -> Member:
        """The member that a loop runs over."""
        member = self._member(loop.list.steps, (loop.start, loop.stop))
        if member is None:
            raise KeyError(loop.list)
        return member

    def access(self, of: Access) -> str:
        """`layers_[0]`, or `decoder_.embed_tokens()` for what a part holds."""
        for count in range(len(of.steps), 0, -1):
            member = self._member(of.steps[:count])
            if member is not None:
                first = member.range[0] if member.range else 0
                code = member.name + "".join(
                    f"[{int(name) - first}]"
                    for p, (_, name) in zip(member.path, of.steps[:count], strict=False)
                    if p is None
                )
                rest = of.steps[count:]
                return f"{code}.{self._of_part(member, rest)}" if rest else code
        raise KeyError(of.steps)

    def _of_part(self, member: Member, steps: tuple[tuple[str, str], ...]) -> str:
        """What a part gives access to: the part's class gets a method for it."""
        maker = member.makers[0]
        if isinstance(maker, MakeLayer):
            return f"{steps[0][1]}()"
        assert isinstance(maker, MakePart)
        part = self.printers[maker.group]
        inner = part.access(Access(steps))
        name, _, rest = inner.partition(".")
        own, bracket, index = name.partition("[")
        method = safe_cpp(own.removesuffix("_"))
        part.opened.setdefault(method, own)
        return f"{method}(){bracket}{index}" + (f".{rest}" if rest else "")

    # ---- how C++ writes it

    def literal(self, value: Any) -> str:
        return number(value)

    def field(self, element: Any) -> str:
        return re.sub(r"args\.(\w+)", lambda m: f"args.{safe_cpp(m[1])}", super().field(element))

    def parameter(self, name: str) -> str:
        return safe_cpp(name)

    def power(self, base: str, exponent: str) -> str:
        return f"std::pow({base}, {exponent})"

    def own(self, name: str) -> str:
        return f"{safe_cpp(name)}_"

    def static(self, value: Value, axis: int) -> str:
        """As in Python; a width that is no field there is a number."""
        root = self.structure.widths.find(key(value, axis))
        parts = self.fields.product(root) or [root]
        names = [self.fields.names.get(p, "") for p in parts if not isinstance(p, int)]
        if all(n.partition("[")[0] in self.used for n in names):
            return super().static(value, axis)
        return str(value.tensor.shape[axis])

    # ---- types and constructions

    def type_of(self, member: Member) -> str:
        kinds = dict.fromkeys(map(self._type, member.makers))
        inner = next(iter(kinds)) if len(kinds) == 1 else f"std::variant<{', '.join(kinds)}>"
        for _ in member.lists:
            inner = f"std::vector<{inner}>"
        return inner

    def _type(self, maker: Maker) -> str:
        match maker:
            case MakeLayer(cls):
                return f"nn::{cls.rpartition('.')[2]}"
            case MakePart(group):
                return safe_cpp(self.structure.groups[group].name)
            case MakeWeight():
                return "mx::array"

    def construction(self, maker: Maker, path: str) -> str:
        """The arguments that make a member; `path` is the C++ expression of its place."""
        match maker:
            case MakeLayer():
                return ", ".join(["weights", path, *self._layer(maker)])
            case MakePart(_, needs_args, parameters):
                given = ["args"] if needs_args else []
                given += [self.value(slot) for _, slot in parameters]
                return ", ".join(["weights", _with_dot(path), *given])
            case MakeWeight(param, shape):
                sizes = "{" + ", ".join(map(self.value, shape)) + "}"
                dtype = param.tensor.dtype
                kind = [] if dtype.value == "f32" else [f"mx::{dtype.mlx}"]
                return f"weights.get({', '.join([path, sizes, *kind])})"

    def _layer(self, maker: MakeLayer) -> list[str]:
        name = maker.cls.removeprefix("runtime.")
        own = maker.cls.startswith("runtime.")
        parameters = helper_parameters(name) if own else layers()[maker.cls]
        given = dict(zip((p.name for p in parameters), maker.args, strict=False))
        given |= dict(maker.kwargs)
        given |= {n: s for n, s in maker.options if not self._is_default(n, s)}
        last = max((i for i, p in enumerate(parameters) if p.name in given), default=-1)
        return [self._argument(p, given) for p in parameters[: last + 1]]

    def _is_default(self, name: str, slot: SlotRef) -> bool:
        return self.group.init_slots[slot.index] == ("literal", OPTIONS[name])

    def _argument(self, parameter: Parameter, given: dict[str, Bound]) -> str:
        code = self.value(given[parameter.name]) if parameter.name in given else parameter.default
        named = re.fullmatch(r"true|false|std::nullopt|[\d.e-]+f?|\{.*\}", code)
        return f"/* {parameter.name} = */ {code}" if named else code

    def value(self, tree: Bound) -> str:
        """A number or list of them in a constructor."""
        code = render_cpp(tree, Names()).code
        return TOKEN.sub(lambda m: self.init_slot(int(m[2])), code)


# ---- the class as text


def print_cpp_class(printer: CppClassPrinter, method: Method, root: bool) -> CppClass:
    """The class; every method of the model has been printed, so that all accesses are known."""

    def safe(code: str) -> str:  # a constructor argument by its own name
        return safe_cpp(code) if code.isidentifier() else code

    numbers = [
        (f"{_number_type(printer.kinds[name])} {printer.own(name)}", printer.own(name), safe(code))
        for name, code in printer.attributes.items()
    ]
    entries = [f"{printer.type_of(m)} {m.name}" for m in printer.members]
    construction = _constructor(printer, numbers, root)
    declaration = _declaration(printer, method, [*(d for d, *_ in numbers), *entries], root)
    name = safe_cpp(printer.group.name)
    definition = "\n\n".join([construction, _method(name, method)])
    return CppClass(name, declaration, definition)


def print_method(printer: CppClassPrinter, graph: Graph) -> Method:
    root = graph if "" in printer.group.paths else None
    return MethodPrinter(printer.group.bodies[0], printer, root).print()


def _number_type(kind: type) -> str:
    return "float" if kind is float else "int"


def _parameters(printer: CppClassPrinter, root: bool) -> list[str]:
    group = printer.group
    own = [
        f"{_number_type(type(next(iter(p.values.values()))[0]))} {safe_cpp(p.name)}"
        for p in group.parameters
    ]
    prefix = [] if root else ["const std::string& prefix"]
    args = ["const ModelArgs& args"] if group.needs_args or root else []
    return ["const nn::Weights& weights", *prefix, *args, *own]


def _constructor(printer: CppClassPrinter, numbers: list[Any], root: bool) -> str:
    initialisers = [f"{name}({code})" for _, name, code in numbers]
    body: list[str] = []
    for member in printer.members:
        if member.lists:
            body += _fill(printer, member, root)
        else:
            made = printer.construction(member.makers[0], _path(member.path, (), root))
            initialisers.append(f"{member.name}({made})")
    if root:
        initialisers.append("check_indices_(check_indices)")
    text = "\n".join([*initialisers, *body])
    parameters = _parameters(printer, root) + (["bool check_indices"] if root else [])
    parameters = [_named_if_used(p, text) for p in parameters]
    name = safe_cpp(printer.group.name)
    head = f"{name}::{name}({', '.join(parameters)})"
    inits = f"\n    : {', '.join(initialisers)}" if initialisers else ""
    return f"{head}{inits} {{\n" + "".join(f"{line}\n" for line in body) + "}"


def _named_if_used(parameter: str, text: str) -> str:
    kind, _, name = parameter.rpartition(" ")
    return parameter if re.search(rf"\b{name}\b", text) else f"{kind} /* {name} */"


def _path(path: tuple[str | None, ...], indices: tuple[str, ...], root: bool) -> str:
    """`prefix + "layers." + std::to_string(i)`."""
    pieces: list[str] = [] if root else ["prefix"]
    text, left = "", list(indices)
    for number_, part in enumerate(path):
        dot = "." if number_ else ""
        if part is not None:
            text += dot + part
            continue
        index = left.pop(0)
        if index.isdigit():
            text += dot + index
        else:
            pieces += [cpp_string(text + dot), f"std::to_string({index})"]
            text = ""
    pieces += [cpp_string(text)] if text else []
    return " + ".join(pieces)


def _with_dot(path: str) -> str:
    """The prefix of the names below a path."""
    return f'{path[:-1]}."' if path.endswith('"') else f'{path} + "."'


def _fill(printer: CppClassPrinter, member: Member, root: bool, depth: int = 0) -> list[str]:
    """Statements that fill the vectors of a member, list by list."""
    outer = member.lists[:depth]
    here = member.name + ".back()" * len(outer)
    indices = tuple(COUNTERS[d] for d in range(depth))
    repeat, counter = member.lists[depth], COUNTERS[depth]
    last = depth + 1 == len(member.lists)

    def element(maker: Maker | None, index: str) -> list[str]:
        if not last:
            return [f"{here}.emplace_back();", *_fill(printer, member, root, depth + 1)]
        assert maker is not None
        path = _path(member.path, (*indices, index), root)
        made = printer.construction(maker, path)
        if isinstance(maker, MakeWeight):
            return [f"{here}.push_back({made});"]
        mixed = len({kind_of(m) for m in member.makers}) > 1
        value = f"{printer._type(maker)}({made})" if mixed else made
        return [f"{here}.emplace_back({value});"]

    return _loop(printer, repeat, counter, member, last, element)


def _loop(
    printer: CppClassPrinter,
    repeat: Repeat,
    counter: str,
    member: Member,
    last: bool,
    element: Callable[[Maker | None, str], list[str]],
) -> list[str]:
    makers = member.makers if last else ()
    size = len(repeat.kinds)
    varies = printer.group.init_slots[repeat.count][0] == "param"
    one = len(repeat.templates) == 1
    if ((one and (size > 1 or varies)) or repeat.condition) and not (member.range and last):
        count = printer.init_slot(repeat.count)
        head = f"for (int {counter} = 0; {counter} < {count}; ++{counter}) {{"
        if one:
            inner = element(makers[0] if makers else None, counter)
        else:
            pick, first, other = repeat.condition  # type: ignore[misc]
            pick = pick.replace("i", counter, 1)
            inner = [f"if ({pick}) {{", *element(makers[first], counter), "} else {",
                     *element(makers[other], counter), "}"]  # fmt: skip
        return [head, *inner, "}"]
    lines = []
    if member.range and last:
        for place, maker in enumerate(member.makers, member.range[0]):
            lines += element(maker, str(place))
        return lines
    for place, kind in enumerate(repeat.kinds):
        lines += element(member.makers[kind] if last else None, str(place))
    return lines


def _declaration(printer: CppClassPrinter, method: Method, fields: list[str], root: bool) -> str:
    name = safe_cpp(printer.group.name)
    head = [f"class {name} {{", " public:"]
    parameters = _parameters(printer, root)
    if root:
        head += _root_interface(name)
        parameters.append("bool check_indices = true")
        fields = [*fields, "bool check_indices_"]
    head.append(f"  {name}({', '.join(parameters)});")
    head.append(f"  {method.result} operator()({', '.join(method.arguments)}) const;")
    types = {m.name: printer.type_of(m) for m in printer.members}
    head += [
        f"  const {types[member]}& {name}() const {{\n    return {member};\n  }}"
        for name, member in printer.opened.items()
    ]
    private = ["", " private:", *(f"  {f};" for f in fields)] if fields else []
    return "\n".join([*head, *private, "};"])


def _root_interface(name: str) -> list[str]:
    return [
        "  // Reads weights.safetensors, or the folder that holds it. With",
        "  // check_indices, every call looks at its integer inputs before they index.",
        f"  static {name} load(const std::string& path, bool check_indices = true);",
        "",
        "  // The model on arrays by name, as `operator()` has them in order.",
        "  nn::Tensors run(const nn::Tensors& inputs) const;",
        "  static std::vector<std::string> input_names();",
        "",
    ]


def _method(name: str, method: Method) -> str:
    lines = "\n".join(method.lines)
    arguments = [_named_if_used(a, lines) for a in method.arguments]
    return f"{method.result} {name}::operator()({', '.join(arguments)}) const {{\n{lines}\n}}"
