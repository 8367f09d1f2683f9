"""One process follows a checkpoint at a time: who holds its lease. Another may stand by, and goes on at once when the first is gone.

The lease is a lock of the operating system on a file beside the checkpoint, which ends with the process however it dies: no time-out to
wait for, nothing to clean up. So holder and standby run on one machine; on a cluster, its manager starts a fallen driver again.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from promoloop.errors import UserError


@dataclass
class Lease:
    """A lease that is held, or that somebody else holds."""

    file: IO[str] | None
    is_held: bool

    def wait(self) -> None:
        """Return once it is held: when the process that had it has ended."""
        if self.file is not None and not self.is_held:
            fcntl.flock(self.file, fcntl.LOCK_EX)
            _sign(self.file)
        self.is_held = True


@contextmanager
def lease(checkpoint: str, is_standby: bool) -> Iterator[Lease]:
    """The lease of `checkpoint`, held unless another process has it; given back at the end.

    Raises UserError where another has it and this one is not to stand by, or is to stand by at a checkpoint that is not on this machine.
    """
    place = urlsplit(checkpoint)
    if place.scheme not in ("", "file"):
        if is_standby:
            raise UserError(f"nobody can stand by at {checkpoint}: a lease needs checkpoints on a file system of this machine")
        yield Lease(None, is_held=True)
        return
    path = Path(place.path.rstrip("/") + ".lease")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_standby:
                file.seek(0)
                raise UserError(f"process {file.read() or '?'} follows {checkpoint} already: stop it first, or stand by") from None
            yield Lease(file, is_held=False)
        else:
            _sign(file)
            yield Lease(file, is_held=True)


def _sign(file: IO[str]) -> None:
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
