"""Structure recovery, naming and printing: from the IR to source text."""

from .emitted import Emitted
from .python import emit

__all__ = ["Emitted", "emit"]
