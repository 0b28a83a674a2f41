"""What the commands share: exit statuses, and errors as one message on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from .errors import TranspileError

DONE, FAILED, BAD_REQUEST, INTERRUPTED = 0, 1, 2, 130


def guarded(program: str, action: Callable[[], int], traceback: bool) -> int:
    """The action's exit status; that of its error, which is told on stderr."""
    try:
        return action()
    except TranspileError as error:
        return fail(program, str(error), error.status, traceback)
    except KeyboardInterrupt:
        return fail(program, "interrupted", INTERRUPTED, traceback)
    except BrokenPipeError:
        # The reader of our output has gone: nothing to tell, and nothing more to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        text = f"internal error: {type(error).__name__}: {error}"
        hint = "\n  what would work: a report of this error with --traceback"
        return fail(program, text + hint, FAILED, traceback)


def fail(program: str, message: str, status: int, traceback: bool = False) -> int:
    if traceback:
        import traceback as module

        module.print_exc()
    print(f"{program}: {printable(message)}", file=sys.stderr)
    return status


def printable(text: str) -> str:
    """Names in models may hold anything; a terminal must not obey them."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def items(text: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]
