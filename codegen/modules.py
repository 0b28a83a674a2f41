"""The emitted module tree: which attribute holds which layer, class or weight, and how code reaches
it.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from typing import Any

from ..ir import Param
from ..ir.text import identifier
from .bound import Member
from .regions import Plan, Region, is_number, relative, under

# Attributes of mlx.nn.Module and of dict, which it is: a child of that name would not be reached.
RESERVED = frozenset(
    [
        "apply",
        "apply_to_modules",
        "children",
        "clear",
        "copy",
        "eval",
        "filter_and_map",
        "freeze",
        "fromkeys",
        "get",
        "items",
        "keys",
        "leaf_modules",
        "load_weights",
        "modules",
        "named_modules",
        "parameters",
        "pop",
        "popitem",
        "save_weights",
        "set_dtype",
        "setdefault",
        "state",
        "train",
        "trainable_parameter_filter",
        "trainable_parameters",
        "training",
        "unfreeze",
        "update",
        "update_modules",
        "valid_child_filter",
        "valid_parameter_filter",
        "values",
        "is_module",
        "args",
    ]
)


@dataclass(frozen=True)
class Entry:
    """An attribute: `kind` is layer, class or param; `what` the region, the class path or the
    parameter.
    """

    kind: str
    what: Any


class Modules:
    """Ownership of layers, classes and weights by path, and the code that reaches them."""

    def __init__(self, plan: Plan):
        regions = list(plan.root.walk())
        self.plan = plan
        self.layers: dict[str, Region] = {r.path: r for r in regions if r.layer}
        self.classes: dict[str, list[Region]] = {}
        for region in regions:
            if not region.layer:
                self.classes.setdefault(region.path, []).append(region)
        self.groups: dict[str, Any] = {}
        self.tree: dict[str, dict[str, Entry]] = {path: {} for path in self.classes}
        self._names: dict[tuple[str, str], str] = {}
        self._taken: dict[str, set[str]] = {}
        self._lists: dict[str, dict[tuple[str, ...], bool]] = {}
        self._fill(regions)

    def _fill(self, regions: list[Region]) -> None:
        """Entries in the order of the checkpoint where it names them, then in call order."""
        used = {
            v.name: v for r in regions for n in r.nodes() for v in n.values if isinstance(v, Param)
        }
        used |= {v.name: v for v in self.plan.graph.outputs if isinstance(v, Param)}
        for name in self.plan.graph.params:
            if name in used:
                self._declare(used[name])
        for path in [*self.layers, *self.classes]:
            if path:
                self._add(path)

    def _declare(self, param: Param) -> None:
        module = param.name.rpartition(".")[0]
        parts = module.split(".") if module else []
        for i in range(1, len(parts) + 1):
            if ".".join(parts[:i]) in self.classes or ".".join(parts[:i]) in self.layers:
                self._add(".".join(parts[:i]))
        if module not in self.layers:
            owner = self.owner(param.name)
            self.tree[owner].setdefault(self.relative(owner, param.name), Entry("param", param))

    def _add(self, path: str) -> None:
        owner = self.owner(path)
        entry = Entry("layer", self.layers[path]) if path in self.layers else Entry("class", path)
        self.tree[owner].setdefault(self.relative(owner, path), entry)

    def relative(self, owner: str, name: str) -> str:
        """The name below its owner; the numbered parts of a model that is itself a list stand in
        `layers`.
        """
        name = relative(owner, name)
        return f"layers.{name}" if is_number(name.split(".")[0]) else name

    def owner(self, name: str) -> str:
        """The path of the class that holds the module or weight of that name."""
        parts = name.split(".")[:-1]
        while parts and ".".join(parts) not in self.classes:
            parts.pop()
        return ".".join(parts)

    def group(self, region: Region) -> Any:
        return self.groups.get(region.path)

    def attribute(self, owner: str, name: str) -> str:
        """The attribute's name in the emitted class: the checkpoint's, unless Python or MLX forbids
        it.
        """
        if (owner, name) not in self._names:
            taken = self._taken.setdefault(owner, set())
            safe = identifier(name).lstrip("_")  # MLX keeps `_names` out of the parameters
            if not safe.isidentifier():
                safe = f"unnamed_{safe}".rstrip("_")
            while (
                safe in RESERVED
                or keyword.iskeyword(safe)
                or safe in taken
                or (safe != name and self._exists(owner, safe))
            ):
                safe += "_"
            self._names[owner, name] = safe
            taken.add(safe)
        return self._names[owner, name]

    def item(self, owner: str, container: tuple[str, ...], part: str) -> tuple[str, str]:
        """How a container in the class at `owner` holds a part: a list if all are numbered."""
        if owner not in self._lists:
            self._lists[owner] = self._containers(owner)
        if self._lists[owner].get(container, True):
            return "index", part
        return "item", self.attribute(".".join(["", owner, *container]), part)

    def _containers(self, owner: str) -> dict[tuple[str, ...], bool]:
        """The containers in a class, and whether all their parts are numbered."""
        found: dict[tuple[str, ...], bool] = {}
        for rel in self.tree[owner]:
            parts = tuple(rel.split("."))
            for i in range(1, len(parts)):
                found[parts[:i]] = found.get(parts[:i], True) and is_number(parts[i])
        return found

    def _exists(self, owner: str, name: str) -> bool:
        return any(rel.split(".")[0] == name for rel in self.tree.get(owner, ()))

    def steps(self, name: str) -> list[tuple[str, str]]:
        """How to go from the root to a module or weight: ("attr" | "index" | "item", name) for each
        component.
        """
        out: list[tuple[str, str]] = []
        owner = ""
        container: list[str] = []
        path: list[str] = []
        for part in name.split("."):
            if not container and is_number(part):
                out.append(("attr", self.attribute(owner, "layers")))
                container.append("layers")
            if not container:
                out.append(("attr", self.attribute(owner, part)))
            else:
                out.append(self.item(owner, tuple(container), part))
            container.append(part)
            path.append(part)
            here = ".".join(path)
            if here in self.classes or here in self.layers:
                owner, container = here, []
        return out

    def emitted(self, name: str) -> str:
        """The path of a module or weight in the emitted module tree."""
        return ".".join(step for _, step in self.steps(name)) if name else ""

    def member(self, path: str, name: str) -> Member:
        """How a method of the class at `path` reaches a module or weight."""
        return Member(tuple(self.steps(name)[len(self.steps(path)) if path else 0 :]))

    def list_size(self, container: str) -> int:
        """The number of elements of the list at that path."""
        owner = self.owner(f"{container}.0" if container else "0")
        prefix = self.relative(owner, f"{container}.0" if container else "0").removesuffix("0")
        indices = [
            int(rel[len(prefix) :].split(".")[0])
            for rel in self.tree[owner]
            if rel.startswith(prefix)
        ]
        return max(indices) + 1 if indices else 0

    def class_children(self, path: str) -> list[str]:
        """Paths of the classes that the class at `path` holds or calls."""
        held = [e.what for e in self.tree[path].values() if e.kind == "class"]
        called = [c.path for r in self.classes[path] for c in r.children if not c.layer]
        return list(dict.fromkeys(held + called))


__all__ = ["Entry", "Modules", "under"]
