"""Who holds a lease, who must not, who waits, and that a kill ends it."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from promoloop import sources
from promoloop.errors import UserError

_HOLDER = """
import sys, time
from promoloop import sources
with sources.lease(sys.argv[1], False) as lease:
    assert lease.is_held
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_is_refused_by_name_and_the_lease_is_free_afterwards(tmp_path: Path) -> None:
    place = str(tmp_path / "of" / "stream")
    with sources.lease(place, False) as first:
        assert first.is_held
        with pytest.raises(UserError, match=f"process {os.getpid()} follows .*stream already"), sources.lease(place, False):
            pass
    with sources.lease(f"file:{place}", False) as again:
        assert again.is_held


def test_a_standby_goes_on_when_the_holder_is_killed(tmp_path: Path) -> None:
    place = str(tmp_path / "stream")
    with subprocess.Popen([sys.executable, "-c", _HOLDER, place], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with sources.lease(place, True) as lease:
            assert not lease.is_held
            holder.send_signal(signal.SIGKILL)
            lease.wait()
            assert lease.is_held
            assert Path(f"{place}.lease").read_text() == str(os.getpid())


def test_a_standby_waits_for_what_the_holder_left_running(tmp_path: Path) -> None:
    place = str(tmp_path / "stream")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as left:
        numbers = [2**22 + 1, left.pid]  # the first is of no process
        with sources.lease(place, False, lambda: numbers) as holder, sources.lease(place, True) as lease:
            assert holder.file is not None
            fcntl.flock(holder.file, fcntl.LOCK_UN)  # as if it died
            waiting = Thread(target=lease.wait)
            waiting.start()
            waiting.join(0.5)
            assert waiting.is_alive()
            left.kill()
            waiting.join(30)
            assert not waiting.is_alive()
            assert lease.is_held


def test_there_is_no_standing_by_at_an_object_store() -> None:
    with sources.lease("s3a://bucket/stream", False) as lease:
        assert lease.is_held
    with pytest.raises(UserError, match="disk of this machine"), sources.lease("s3a://bucket/stream", True):
        pass
