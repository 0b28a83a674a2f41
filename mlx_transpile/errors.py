"""The one error that a user can meet."""

from __future__ import annotations


class TranspileError(Exception):
    """What went wrong, where, and what would work.

    `status` is the exit status: 1 the model cannot be transpiled, 2 the request or the file is bad.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "", status: int = 1):
        super().__init__(what)
        self.what, self.where, self.hint, self.status = what, where, hint, status

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.hint:
            parts.append(f"  what would work: {self.hint}")
        return "\n".join(parts)


class BadRequest(TranspileError):
    """The request or the file is bad (exit status 2)."""

    def __init__(self, what: str, *, where: str = "", hint: str = ""):
        super().__init__(what, where=where, hint=hint, status=2)
