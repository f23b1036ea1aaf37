# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes with a deadline, for real.

A FIFO without a reader keeps its writer waiting as the kernel keeps one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BlockedError,
    KernelError,
    RefusedError,
    SriovError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import WRITES
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import blocked as _blocked
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process, writer
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

PF = "0000:03:00.0"
OTHER = "0000:04:00.0"
PATH = f"/sys/bus/pci/devices/{PF}/sriov_numvfs"
ROOT = Path(__file__).parents[5]
PROGRAM = """
import sys
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BlockedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
try:
    Sysfs(sys.argv[1]).write_within(sys.argv[2], "0", sys.argv[3], 0.2)
except BlockedError as error:
    print(error)
"""


@pytest.fixture
def sysfs(tmp_path: Path) -> Iterator[Sysfs]:
    """A tree that leaves no writer waiting at its FIFO.

    A test that fails leaves none either.
    """
    (tmp_path / PATH[1:]).parent.mkdir(parents=True)
    sysfs = Sysfs(str(tmp_path))
    yield sysfs
    with contextlib.suppress(OSError):
        os.close(os.open(sysfs.real(PATH), os.O_RDONLY | os.O_NONBLOCK))


def fifo(sysfs: Sysfs) -> str:
    path = sysfs.real(PATH)
    os.mkfifo(path)
    return path


def wait_for(condition: object) -> None:
    assert callable(condition)
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def writer_of(text: str) -> int:
    match = re.search(r"process (\d+)", text)
    assert match
    return int(match.group(1))


def test_a_write_arrives_as_one(sysfs: Sysfs) -> None:
    """Values of any characters, written by the same process."""
    Path(sysfs.real(PATH)).touch()
    seen: list[str] = []
    for value in ("0-3,200", "\n", "ü'\"", ""):
        Path(sysfs.real(PATH)).write_text("")
        sysfs.write_within(PATH, value, PF, 20)
        assert Path(sysfs.real(PATH)).read_text() == value
        seen.append(sysfs.read(f"{WRITES}/{PF}").split(" ")[0])
    assert len(set(seen)) == 1
    assert _blocked.under_way(sysfs) == {}
    pid = int(seen[0])
    sysfs.close()
    assert not os.path.exists(f"/proc/{pid}")
    sysfs.write_within(PATH, "7", PF, 20)
    sysfs.close()


def test_errno_is_that_of_the_write(sysfs: Sysfs, tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=rf"cannot write '0' to {PATH}: ENOENT") as caught:
        sysfs.write_within(PATH, "0", PF, 20)
    assert (caught.value.errno, caught.value.path, caught.value.value) == (errno.ENOENT, PATH, "0")
    (tmp_path / WRITES[1:] / "x").mkdir()
    with pytest.raises(KernelError, match=rf"cannot lock {WRITES}/x: EISDIR"):
        sysfs.write_within(PATH, "0", "x", 20)
    sysfs.close()


def test_errno_of_the_write_itself(tmp_path: Path) -> None:
    """The errno of write(2), as well as of open(2)."""
    writers = writer.Writers()
    answer = writers.write(str(tmp_path / "lock"), "/dev/full", "1", 20)
    assert (answer.what, answer.errno) == ("write", errno.ENOSPC)
    writers.close()


def test_what_does_not_come_back_is_named_and_left_behind(sysfs: Sysfs) -> None:
    path = fifo(sysfs)
    start = time.monotonic()
    with pytest.raises(BlockedError) as caught:
        sysfs.write_within(PATH, "0", PF, 0.2)
    assert time.monotonic() - start < 15
    text = str(caught.value)
    assert re.search(rf"'0' written to {PATH} has not come back after 0\.\d s: process \d+ \(state S", text)
    pid = writer_of(text)
    assert list(_blocked.under_way(sysfs)) == [PF]
    with pytest.raises(
        RefusedError, match=rf"PF {PF}: process {pid} \(state S.*\) has been writing '0' to .* for \d+ s"
    ):
        _blocked.refuse(sysfs, [PF])
    _blocked.refuse(sysfs, ["0000:04:00.0"])
    with open(path) as reader:
        assert reader.read() == "0"
    wait_for(lambda: not _blocked.under_way(sysfs))
    _blocked.refuse(sysfs, [PF])
    wait_for(lambda: process.where(pid) == "gone" or "state Z" in process.where(pid))


def test_another_pf_goes_on_meanwhile(sysfs: Sysfs) -> None:
    path = fifo(sysfs)
    other = f"{PATH}_no_scan"
    Path(sysfs.real(other)).touch()
    with pytest.raises(BlockedError):
        sysfs.write_within(PATH, "0", PF, 0.1)
    sysfs.write_within(other, "8", "0000:04:00.0", 20)
    assert sysfs.read(other) == "8"
    sysfs.close()
    with open(path) as reader:
        reader.read()


def test_time_begins_anew_with_each_answer_to_another(sysfs: Sysfs) -> None:
    """A deadline that begins anew with each answer to another.

    A write in the kernel's queue is not given up while those before it come back.
    """
    path = fifo(sysfs)
    other = PATH.replace(PF, OTHER)
    Path(sysfs.real(other)).parent.mkdir(parents=True)
    Path(sysfs.real(other)).touch()
    sysfs.write_within(other, "1", OTHER, 20)
    waiting = threading.Thread(target=sysfs.write_within, args=(PATH, "0", PF, 0.8))
    waiting.start()
    for _number in range(8):
        time.sleep(0.2)
        sysfs.write_within(other, "1", OTHER, 0.1)
    assert waiting.is_alive()
    with open(path) as reader:
        assert reader.read() == "0"
    waiting.join()
    sysfs.close()
    assert _blocked.under_way(sysfs) == {}


def test_none_is_given_up_before_the_one_that_may_take_longest(sysfs: Sysfs) -> None:
    path = fifo(sysfs)
    long = PATH.replace(PF, OTHER)
    Path(sysfs.real(long)).parent.mkdir(parents=True)
    os.mkfifo(sysfs.real(long))
    waited: list[float] = []

    def blocked(path: str, owner: str, seconds: float) -> None:
        with pytest.raises(BlockedError) as caught:
            sysfs.write_within(path, "0", owner, seconds)
        waited.append(float(re.findall(r"after (\d+\.\d) s", str(caught.value))[0]))

    threads = []
    for one in ((long, OTHER, 1.5), (PATH, PF, 0.1)):
        threads.append(threading.Thread(target=blocked, args=one))
        threads[-1].start()
        wait_for(lambda: len(_blocked.under_way(sysfs)) == len(threads))
    for thread in threads:
        thread.join()
    assert len(waited) == 2
    assert min(waited) > 1
    for each in (path, sysfs.real(long)):
        with open(each) as reader:
            assert reader.read() == "0"


IN_A_ZIP = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from mu._system import writer
meet = threading.Barrier(16)
def write(number):
    meet.wait()
    writers = writer.Writers()
    assert writers.write(f"{sys.argv[1]}.{number}", "/dev/null", "0", 30).errno == 0
    writers.close()
    done.append(number)
done = []
threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(done))
"""


def test_several_at_once_out_of_a_zip_file(tmp_path: Path) -> None:
    """A writer's program in a zip file, as Ansible runs modules."""
    archive = tmp_path / "modules.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for package in ("mu", "mu/_model", "mu/_system"):
            file.writestr(f"{package}/__init__.py", "")
        for name in ("_model/deadlines", "_model/errors", "_system/process", "_system/writer", "_system/writer_child"):
            file.write(ROOT / f"plugins/module_utils/{name}.py", f"mu/{name}.py")
    for _number in range(3):  # by chance: not each one fails where threads disturb each other
        done = subprocess.run([sys.executable, "-c", IN_A_ZIP, archive], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("16\n", "")


def test_several_at_once_each_have_a_process(sysfs: Sysfs) -> None:
    names = [f"{PATH}{number}" for number in range(4)]
    for name in names:
        Path(sysfs.real(name)).touch()
    threads = [threading.Thread(target=sysfs.write_within, args=(name, name, name[-1], 30)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sysfs.read(name) for name in names] == names
    sysfs.close()


def test_the_program_ends_and_keeps_nobody_waiting(sysfs: Sysfs) -> None:
    """A writer that outlives the program without holding it up.

    It is in a session of its own, and has none of the program's pipes.
    """
    path = fifo(sysfs)
    argv = [sys.executable, "-c", PROGRAM, sysfs.root, PATH, PF]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "build/src")}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment, check=True)
    pid = writer_of(done.stdout)
    assert "has not come back" in done.stdout
    assert os.getsid(pid) == pid
    assert os.readlink(f"/proc/{pid}/fd/2") == "/dev/null"
    assert list(_blocked.under_way(sysfs)) == [PF]
    with open(path) as reader:
        reader.read()
    wait_for(lambda: process.where(pid) == "gone" or "state Z" in process.where(pid))


def test_a_writer_that_is_killed_is_reported(sysfs: Sysfs) -> None:
    fifo(sysfs)

    def kill() -> None:
        wait_for(lambda: _blocked.under_way(sysfs))
        os.kill(int(sysfs.read(f"{WRITES}/{PF}").split(" ")[0]), 9)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(SriovError, match=r"writer process \d+ ended with status -9"):
        sysfs.write_within(PATH, "0", PF, 30)
    thread.join()
    assert _blocked.under_way(sysfs) == {}


def test_a_python_that_cannot_be_run(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    with pytest.raises(KernelError, match="cannot run /nowhere/python3: ENOENT"):
        sysfs.write_within(PATH, "0", PF, 1)


# status, stack, wchan; words
STATES = [
    ("Name:\tx\nState:\tD (disk sleep)\n", "", "vfio_unregister_group_dev", "state D, in vfio_unregister_group_dev"),
    ("State:\tS (sleeping)\n", "", "0", "state S"),
    (
        "State:\tD (disk sleep)\n",
        "[<0>] vfio_unregister_group_dev+0x1/0x2 [vfio]\n[<0>] a.isra.0+0x1/0x2\n[<0>] b+0\n[<0>] c+0\n[<0>] d+0\n",
        "x",
        "state D, in vfio_unregister_group_dev < a.isra.0 < b < c",
    ),
    ("", "", "", "gone"),
]


@pytest.mark.parametrize(("status", "stack", "wchan", "words"), STATES)
def test_where_a_process_waits(
    monkeypatch: pytest.MonkeyPatch, status: str, stack: str, wchan: str, words: str
) -> None:
    files = {"status": status, "stack": stack, "wchan": wchan}
    monkeypatch.setattr(process, "_read", lambda pid, name: files[name])
    assert process.where(1) == words


def test_only_root_may_read_locks(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str) -> bool:
        raise KernelError("open", path, number)

    (Path(sysfs.real(WRITES)) / PF).parent.mkdir(parents=True)
    (Path(sysfs.real(WRITES)) / PF).touch()
    monkeypatch.setattr(sysfs, "locked", denied)
    number = errno.EACCES
    assert _blocked.under_way(sysfs) == {}
    number = errno.EIO
    with pytest.raises(KernelError):
        _blocked.under_way(sysfs)


def test_a_writer_that_was_killed_meanwhile(sysfs: Sysfs) -> None:
    """A writer killed by the kernel, for its memory.

    The run that used it before must know.
    """
    Path(sysfs.real(PATH)).touch()
    sysfs.write_within(PATH, "1", PF, 20)
    pid = int(sysfs.read(f"{WRITES}/{PF}").split(" ")[0])
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "state Z" in process.where(pid))
    with pytest.raises(SriovError, match=f"writer process {pid} (takes no more: Broken pipe|ended with status -9)"):
        sysfs.write_within(PATH, "2", PF, 20)
    assert Path(sysfs.real(PATH)).read_text() == "1"
    sysfs.write_within(PATH, "3", PF, 20)
    sysfs.close()
