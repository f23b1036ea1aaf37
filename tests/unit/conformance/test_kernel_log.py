"""Findings in the kernel's log."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import kernel_log
import pytest
from kernel_log import KernelLog, Line, complaint, of_device, parse

LINES = [
    Line(1.0, "pci 0000:01:00.0: keeping the 7 VFs that are enabled"),
    Line(2.0, "igb 0000:01:00.0: adopting 7 VFs that were kept"),
    Line(3.0, "pci 0000:01:00.1: keeping"),
    Line(4.0, "VF at 0000:01:00.0: no prefix"),
]


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ("6,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n", Line(5.1409, "NET: Registered")),
        ("4,1,0,-,caller=T1;a;b\n", Line(0.0, "a;b")),
        ("30,2,7,c;\n", Line(7e-06, "")),
        ("no record", None),
        ("6,1;x", None),
        ("6,1,soon,-;x", None),
    ],
)
def test_a_record(record: str, line: Line | None) -> None:
    assert parse(record) == line


def test_lines_of_one_device_by_any_driver() -> None:
    assert [line.text for line in of_device(LINES, "0000:01:00.0")] == [
        "keeping the 7 VFs that are enabled",
        "adopting 7 VFs that were kept",
    ]
    assert of_device(LINES, "0000:01:00.2") == []


@pytest.mark.parametrize(
    "text",
    ["WARNING: CPU: 0 PID: 1 at x", "BUG: KASAN: use-after-free", "INFO: task a:1 blocked for more than 60 seconds."],
)
def test_the_first_complaint(text: str) -> None:
    assert complaint([*LINES, Line(5.0, text), Line(6.0, "WARNING: another")]) == text
    assert complaint(LINES) == ""


def test_only_new_lines_unless_all_since_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in place of /dev/kmsg.

    Like it, it is read a record at a time, and its end is `BlockingIOError`.
    """
    file = tmp_path / "kmsg"
    file.write_text("4,0,1,-;BUG: old\n")

    def record(handle: int, _size: int) -> bytes:
        data = bytearray()
        while byte := os.pread(handle, 1, os.lseek(handle, 0, os.SEEK_CUR)):
            os.lseek(handle, 1, os.SEEK_CUR)
            data += byte
            if byte == b"\n":
                return bytes(data)
        raise BlockingIOError

    fake = SimpleNamespace(**vars(os) | {"open": lambda _path, flags: os.open(file, flags), "read": record})
    monkeypatch.setattr(kernel_log, "os", fake)
    new, boot = KernelLog(), KernelLog(boot=True)
    with file.open("a") as stream:
        stream.write("4,1,2,-;new\n4,2,3,-;BUG: new\n")
    assert [line.text for line in new.lines()] == ["new", "BUG: new"]
    assert new.lines() == []
    assert boot() == "BUG: old"
    assert boot() == ""
