"""One process follows a checkpoint at a time: who holds its lease. Another may stand by, and goes on when the first is gone.

The lease is a lock of the operating system on a file beside the checkpoint, which ends with the Python process that took it: no time-out
to wait for, nothing to clean up. The Java process beside it, in which a write may still be under way, is waited for by its number. So
holder and standby run on one machine. Where checkpoints lie elsewhere there is no lease, and a cluster's manager starts a fallen driver.
"""

import fcntl
import os
import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from promoloop.errors import UserError
from promoloop.sources.checkpoint import path_here

_SECONDS_TO_END = 60.0


@dataclass
class Lease:
    """A lease that is held, or that somebody else holds. `numbers`: gives those of the processes that act under it."""

    file: IO[str] | None
    is_held: bool
    numbers: Callable[[], list[int]]

    def wait(self) -> None:
        """Return once it is held: when the processes that acted under it have ended."""
        if self.file is not None and not self.is_held:
            fcntl.flock(self.file, fcntl.LOCK_EX)
            for number in set(_signed(self.file)) - set(self.numbers()):
                _wait_for_end(number)
            self.sign()
        self.is_held = True

    def sign(self) -> None:
        """Say in the file who holds it."""
        if self.file is not None:
            self.file.truncate(0)
            self.file.write(" ".join(map(str, self.numbers())))
            self.file.flush()


@contextmanager
def lease(checkpoint: str, is_standby: bool, numbers: Callable[[], list[int]] = lambda: [os.getpid()]) -> Iterator[Lease]:
    """The lease of `checkpoint`, held unless another process has it; given back at the end.

    Raises UserError where another has it and this one is not to stand by, or is to stand by where no lease can be had.
    """
    folder = path_here(checkpoint)
    with ExitStack() as closing:
        try:
            file = closing.enter_context(_opened(folder.with_name(f"{folder.name}.lease"))) if folder is not None else None
            is_free = file is None or _is_locked(file)
        except OSError:  # a mount that knows no locks
            file, is_free = None, True
        if is_standby and file is None:
            raise UserError(f"nobody can stand by at {checkpoint}: a lease needs checkpoints on a disk of this machine")
        if file is not None and not is_free and not is_standby:
            holder = next(iter(_signed(file)), "?")
            raise UserError(f"process {holder} follows {checkpoint} already: stop it first, or stand by")
        found = Lease(file, is_free, numbers)
        if is_free:
            found.sign()
        yield found


def _opened(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a+")


def _is_locked(file: IO[str]) -> bool:
    """Whether it could be locked at once."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signed(file: IO[str]) -> list[int]:
    file.seek(0)
    return [int(number) for number in file.read().split()]


def _wait_for_end(number: int) -> None:
    """Return when the process has ended, or is not there; after a minute in any case."""
    try:
        process = os.pidfd_open(number)
    except (AttributeError, OSError):  # not on Linux; or it is gone
        return
    select.select([process], [], [], _SECONDS_TO_END)
    os.close(process)
