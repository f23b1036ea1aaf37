"""The SR-IOV capability in configuration space, and its registers."""

from __future__ import annotations

from pathlib import Path

import pytest
import sriov_config
from sriov_config import CONTROL, NUM_VFS, PAGE_SIZE, VF_BAR, find_sriov, sriov


def space(*capabilities: tuple[int, int, int], size: int = 4096) -> bytes:
    """A configuration space with (offset, id, next) in its extended part."""
    data = bytearray(b"\xee" * 0x100 + bytes(size - 0x100))
    for offset, number, following in capabilities:
        data[offset : offset + 4] = (following << 20 | 1 << 16 | number).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("config", "offset"),
    [
        (space((0x100, 0x10, 0)), 0x100),
        (space((0x100, 1, 0x150), (0x150, 0x0E, 0x160), (0x160, 0x10, 0)), 0x160),
        (space((0x100, 1, 0)), None),
        (space((0x100, 1, 0x150), (0x150, 2, 0x100)), None),
        (space((0x100, 1, 0x40)), None),
        (space((0x100, 1, 0xFFC), size=0x200), None),
        (b"\xff" * 4096, None),
        (bytes(256), None),
        (bytes(64), None),
    ],
    ids=("first", "third", "none", "endless", "into the header", "beyond", "no answer", "conventional", "not root"),
)
def test_where_the_capability_is(config: bytes, offset: int | None) -> None:
    assert find_sriov(config) == offset


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_bytes(space((0x100, 1, 0x160), (0x160, 0x10, 0)))
    return path


def test_registers_are_where_the_specification_has_them(file: Path) -> None:
    capability = sriov(str(file))
    for register, value in ((CONTROL, 0x19), (NUM_VFS, 300), (PAGE_SIZE, 1), (VF_BAR, 0xFE80000C)):
        capability.put(register, value)
        assert capability.get(register) == value
    data = file.read_bytes()
    assert (data[0x168:0x16A], data[0x170:0x172]) == (b"\x19\x00", b"\x2c\x01")
    assert (data[0x180:0x184], data[0x184:0x188]) == (b"\x01\x00\x00\x00", b"\x0c\x00\x80\xfe")
    untouched = [index for index in range(0x164, 0x1A0) if data[index]]
    assert untouched == [0x168, 0x170, 0x171, 0x180, 0x184, 0x186, 0x187]
    assert len(data) == 4096


def test_the_header_needs_no_capability(file: Path) -> None:
    header = sriov_config.Space(str(file))
    header.put(sriov_config.COMMAND, 6)
    assert file.read_bytes()[4:6] == b"\x06\x00"
    assert header.get(sriov_config.COMMAND) == 6


def test_a_flip_shows_whether_the_hardware_takes_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capability = sriov(str(file))
    capability.put(CONTROL, 0x9)
    assert capability.flip(CONTROL, 0x10)
    assert capability.get(CONTROL) == 0x19
    monkeypatch.setattr(capability, "put", lambda *_unused: None)
    assert not capability.flip(CONTROL, 0x4)


def test_a_function_without_it_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(bytes(256))
    with pytest.raises(ValueError, match="no SR-IOV capability"):
        sriov(str(tmp_path / "config"))
