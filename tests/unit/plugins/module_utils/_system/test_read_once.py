# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cached read: each file and program once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, SriovError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.read_once import ReadOnce, once
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

READS = {
    "exists": ("/a",),
    "read": ("/a",),
    "read_all": (["/a"],),
    "read_bytes": ("/a", 1),
    "names": ("/",),
    "listings": (["/"],),
    "entries": ("/",),
    "device_number": ("/dev/null",),
    "regular": ("/a",),
    "target": ("/link",),
    "link": ("/link",),
    "locked": ("/a",),
    "claimed": ("/a",),
    "interface_ioctl": (0x8946, "eth0", b"\3"),
}


class Counted(Sysfs):
    """Sysfs that counts its calls, and has an interface."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.calls = 0

    def __getattribute__(self, name: str) -> object:
        if name in READS:
            self.calls += 1
        return super().__getattribute__(name)

    def interface_ioctl(self, request: int, netdev: str, data: bytes) -> bytes:
        return b"%d %s %s" % (request, netdev.encode(), data)


@pytest.fixture
def files(tmp_path: Path) -> Counted:
    (tmp_path / "a").write_text("text\n")
    (tmp_path / "link").symlink_to("b/c")
    return Counted(str(tmp_path))


def test_every_method_that_reads_is_known() -> None:
    """Every method of `Sysfs`; a new one would bypass the cache."""
    public = {name for name in vars(Sysfs) if not name.startswith("_")}
    assert public == {*READS, "real", "write", "write_within", "close"}


@pytest.mark.parametrize("name", READS)
def test_reads(files: Counted, name: str) -> None:
    cached = ReadOnce(files)
    answer = getattr(cached, name)(*READS[name])
    times = 2 if name == "read_all" else 1  # which reads the file by `read`
    assert files.calls == times
    assert getattr(cached, name)(*READS[name]) == answer == getattr(files, name)(*READS[name])
    assert files.calls == (3 if name == "link" else 2 * times)  # which calls the method for the target itself


def test_what_was_seen_stays(files: Counted, tmp_path: Path) -> None:
    cached = ReadOnce(files)
    assert cached.read("/a") == "text"
    with pytest.raises(KernelError, match="ENOENT"):
        cached.read("/b")
    (tmp_path / "a").write_text("other")
    (tmp_path / "b").write_text("there")
    assert cached.read("/a") == "text"
    with pytest.raises(KernelError, match="ENOENT"):
        cached.read("/b")


def test_nothing_is_written(files: Counted, tmp_path: Path) -> None:
    cached = ReadOnce(files)
    with pytest.raises(SriovError, match="'1' is not written to /a"):
        cached.write("/a", "1")
    with pytest.raises(SriovError, match="'1' is not written to /a"):
        cached.write_within("/a", "1", "pf", 1.0)
    assert (tmp_path / "a").read_text() == "text\n"


def test_programs() -> None:
    ran: list[list[str]] = []

    def run(argv: Sequence[str]) -> str:
        ran.append(list(argv))
        if argv[0] == "bad":
            raise ToolError(argv, 1, "no")
        return argv[0]

    cached = once(run)
    assert [cached(["a"]), cached(["a"]), cached(["a", "b"])] == ["a", "a", "a"]
    for _time in range(2):
        with pytest.raises(ToolError, match="'bad' ended with status 1"):
            cached(["bad"])
    assert ran == [["a"], ["a", "b"], ["bad"]]
