"""Take what is new from a stream, exactly once: a checkpoint remembers what was taken, a handler's writes name the take."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from promoloop.errors import UserError
from promoloop.sources.checkpoint import plan_anew

_UNREAD_FILE = re.compile(r"FAILED_READ_FILE[^\n]*?reading file (\S+?)\.?(?:\s|$)")
Handler = Callable[[DataFrame, int], None]


@dataclass
class Take:
    """A running query, whether it ends by itself, and the user's error its handler ended with, if any."""

    query: StreamingQuery
    is_endless: bool
    errors: list[UserError] = field(default_factory=list)

    def wait(self, seconds: int | None = None) -> None:
        """Wait for the end, at most `seconds`. Raises the handler's UserError as it was, not wrapped in a traceback of the JVM."""
        try:
            self.query.awaitTermination(seconds)
        except StreamingQueryException as error:
            if self.errors:
                raise self.errors[0] from None
            unread = _UNREAD_FILE.search(str(error))
            if unread:
                raise UserError(f"file {unread[1]} cannot be read to its end: put a whole one in its place and run again") from None
            raise

    def settle(self) -> None:
        """Wait for the end, however it ends, of one that ends by itself.

        Stopped amid a commit, it may leave the session with another view of a table than what the table's log says.
        """
        if not self.is_endless:
            with suppress(StreamingQueryException):
                self.query.awaitTermination()


def take(stream: DataFrame, checkpoint: str, handle: Handler, every_seconds: int | None = None, is_by_key: bool = False) -> Take:
    """Start giving `handle` what is new as (rows, number of the take); without `every_seconds` it ends when nothing is left.

    After a kill the same rows come again under the same number, for a handler that writes with that number (append_once). One that
    writes by key (merge), so that no matter which rows come together, says `is_by_key`: then those that came since come with them.
    """
    if is_by_key:
        plan_anew(checkpoint)
    errors: list[UserError] = []

    def guarded(rows: DataFrame, number: int) -> None:
        try:
            handle(rows, number)
        except UserError as error:
            errors.append(error)
            raise

    writer = stream.writeStream.option("checkpointLocation", checkpoint).foreachBatch(guarded)
    writer = writer.trigger(availableNow=True) if every_seconds is None else writer.trigger(processingTime=f"{every_seconds} seconds")
    return Take(writer.start(), every_seconds is not None, errors)


def wait_for(takes: Sequence[Take]) -> None:
    """Wait for the end of all; once one fails the endless ones are stopped, the others come to their end. Raises as `Take.wait`."""
    try:
        while any(one.query.isActive for one in takes):
            for one in takes:
                one.wait(1)
        for one in takes:
            one.wait()
    except (UserError, StreamingQueryException):
        for one in takes:
            one.settle()
        raise
    finally:
        for one in takes:
            one.query.stop()
