"""Keep the terminal for people: whatever Spark, its workers and the solvers print goes to a log file instead."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console

from promoloop.errors import UserError

_WIDTH = 170  # columns, where the output is no terminal


@contextmanager
def noise_to(log: Path) -> Iterator[Console]:
    """Yield a console on the real standard output while file descriptors 1 and 2, for this process and its children, write to `log`.

    The JVM and native solvers write past Python's `sys.stdout`, so only the descriptors themselves can be turned.
    Raises UserError where `log`, in the output folder, cannot be written.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        sink = log.open("ab")
    except OSError as error:
        raise UserError(f"paths.out: {error.filename} cannot be written ({error.strerror})") from None
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    terminal: IO[str] = os.fdopen(os.dup(saved[0]), "w", encoding="utf-8") if _is_real(sys.stdout) else sys.stdout
    with sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    try:
        yield console(terminal)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, target in zip(saved, (1, 2), strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)
        if terminal is not sys.stdout:
            terminal.close()


def console(file: IO[str] | None = None) -> Console:
    """A console for people; wide where nobody's window limits it, so that tables in a log are whole.

    Text is printed as it is: a promotion may be called "[new] tea", and a limit form:gift:cost.
    """
    out = file or sys.stdout
    return Console(file=out, highlight=False, markup=False, emoji=False, width=None if out.isatty() else _WIDTH)


def _is_real(stream: IO[str]) -> bool:
    try:
        return stream.fileno() == 1
    except (OSError, ValueError):
        return False
