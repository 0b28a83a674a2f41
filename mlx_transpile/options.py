"""What may be asked for, and the refusal of what may not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BadRequest

DTYPES = {"float16": "f16", "bfloat16": "bf16", "float32": "f32"}
TARGETS = ("python", "cpp")
BITS = (8, 6, 5, 4, 3, 2)
GROUP_SIZES = (64, 32, 128)
FLOATS = "none"  # of --quantize: floats, whatever the source holds


@dataclass(frozen=True)
class Quantization:
    """Bits and group size of quantized weights; the layers to keep float: "embeddings", "head",
    or names in which * stands for any text.
    """

    bits: int
    group_size: int = GROUP_SIZES[0]
    keep_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """What was asked for, besides the source and the folder."""

    emit: tuple[str, ...] = ("python",)
    dtype: str | None = None
    level: int = 1
    validate: bool = False
    rtol: float | None = None
    atol: float | None = None
    benchmark: bool = False
    no_weights: bool = False
    name: str | None = None
    check: bool = False
    dump_ir: bool = False
    print_after: str | None = None
    stop_after: str | None = None
    disable_pass: tuple[str, ...] = ()
    verify_each: bool = False
    quantize: str | None = None
    keep_float: tuple[str, ...] = ()
    explain_fusions: bool = False

    def recorded(self) -> dict[str, Any]:
        """The options that decide what is emitted, for the manifest."""
        names = ("emit", "dtype", "quantize", "keep_float", "level", "name", "stop_after",
                 "disable_pass")  # fmt: skip
        return {n: list(v) if isinstance(v := getattr(self, n), tuple) else v for n in names}

    @property
    def quantization(self) -> Quantization | None:
        """`quantize` and `keep_float`; None where nothing is quantized that the source has in
        floats. BadRequest where they say nothing that can be done.
        """
        if self.quantize in (None, FLOATS):
            if self.keep_float and self.quantize == FLOATS:
                raise self.all_float()
            return None
        assert self.quantize is not None
        found = re.fullmatch(r"([0-9]{1,4})(?::([0-9]{1,4}))?", self.quantize)
        bits, group = (int(found[1]), int(found[2] or GROUP_SIZES[0])) if found else (0, 0)
        if bits not in BITS or group not in GROUP_SIZES:
            raise BadRequest(
                f"{self.quantize!r} is no BITS or BITS:GROUP that MLX has",
                where="--quantize",
                hint=f"bits {_listed(BITS)}; groups of {_listed(GROUP_SIZES)}, as in 4:32; or none",
            )
        return Quantization(bits, group, self.keep_float)

    @property
    def quantize_text(self) -> str | None:
        """`quantize` in full: "4:64", "none"; None where it was not asked for."""
        wanted = self.quantization
        return f"{wanted.bits}:{wanted.group_size}" if wanted else self.quantize

    @property
    def keeps_packed(self) -> bool:
        """Whether weights that the source holds as whole numbers stay so where they can."""
        return self.quantize is None

    @staticmethod
    def all_float() -> BadRequest:
        """Said where there is nothing to keep float."""
        return BadRequest("all stays float", where="--keep-float", hint="--quantize BITS")


def _listed(numbers: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, sorted(numbers)[:-1]))} or {max(numbers)}"


def check_options(options: Options, out: Any) -> None:
    for target in options.emit:
        if target not in TARGETS:
            raise BadRequest(
                f"nothing emits {target!r}", where="--emit", hint="--emit python, cpp or python,cpp"
            )
    if not options.emit:
        raise BadRequest("nothing to emit", where="--emit", hint="--emit python, cpp or python,cpp")
    if options.dtype is not None and options.dtype not in DTYPES:
        raise BadRequest(
            f"unknown dtype {options.dtype!r}", where="--dtype", hint=f"one of {', '.join(DTYPES)}"
        )
    _ = options.quantization
    if options.level not in (0, 1, 2):
        raise BadRequest(
            f"there is no level {options.level}", where="-O", hint="-O 0, -O 1 or -O 2"
        )
    for name, value in (("--rtol", options.rtol), ("--atol", options.atol)):
        if value is not None and not 0 <= value < float("inf"):
            raise BadRequest(f"{value} is no tolerance", where=name, hint="a number from 0 on")
    _check_pass_names(options)
    if options.check:
        return
    if out is None:
        raise BadRequest("no output folder is given", where="-o", hint="-o OUT, or --check")
    from .codegen.project import check_target

    check_target(Path(out).resolve())


def _check_pass_names(options: Options) -> None:
    asked = [
        n for n in (*options.disable_pass, options.print_after, options.stop_after) if n is not None
    ]
    if not asked:
        return
    from .passes.pipeline import list_passes

    known = [p.name for p in list_passes()]
    for name in asked:
        if name not in known:
            raise BadRequest(
                f"no pass is called {name!r}", hint=f"one of {', '.join(known)} (--list-passes)"
            )
