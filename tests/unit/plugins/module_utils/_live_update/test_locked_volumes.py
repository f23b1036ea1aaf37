# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted volumes below the root and the states, as /sys shows them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import facts, locked_volumes, luks_header
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.locked_volumes import Locked
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.luks_header import Token
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.vm.node import NEW, FakeNode

INITRD = f"/boot/initrd.img-{NEW}"
LISTING = "usr/bin/sh\ncryptroot/keyfiles/root.key\nusr/bin/clevis-luks-askpass\n"


class Disks:
    """Block devices below a folder, as /sys has them."""

    def __init__(self, root: Path) -> None:
        self.root, self.listing, self.calls = root, LISTING, list[list[str]]()
        self.sysfs = Sysfs(str(root))
        self.put("/usr/local/sbin/sriovctl", "")

    def put(self, path: str, text: str | bytes) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())

    def disk(self, name: str, number: str, *slaves: str, below: str = "virtual/block", uuid: str = "") -> None:
        """Add a device, perhaps on top of others."""
        self.put(f"/sys/class/block/{name}/dev", f"{number}\n")
        (self.root / "sys/dev/block").mkdir(parents=True, exist_ok=True)
        os.symlink(f"../../devices/{below}/{name}", self.root / f"sys/dev/block/{number}")
        for slave in slaves:
            self.put(f"/sys/class/block/{name}/slaves/{slave}/dev", "")
        if uuid:
            self.put(f"/sys/class/block/{name}/dm/uuid", f"{uuid}\n")
            self.put(f"/sys/class/block/{name}/dm/name", f"{uuid.rpartition('-')[2]}\n")

    def mount(self, *mounts: tuple[str, str]) -> None:
        """Mount devices by number, each at a folder."""
        lines = [f"{n} 0 {number} / {point} rw - ext4 /dev/x rw" for n, (number, point) in enumerate(mounts)]
        self.put("/proc/self/mountinfo", "\n".join(lines))

    def run(self, argv: Sequence[str]) -> str:
        self.calls.append(list(argv))
        if argv[0] != "lsinitramfs" or not self.listing:
            raise ToolError(argv, 127, "not there")
        return self.listing

    def find(self, initrd: str | None = INITRD, cmdline: str = "") -> list[Locked]:
        return locked_volumes.find(self.sysfs, self.run, initrd, cmdline)


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    """A root on LVM, on LUKS, on RAID of two disks."""
    found = Disks(tmp_path)
    for number, disk in enumerate(("sda", "sdb")):
        found.disk(f"{disk}2", f"8:{number * 16 + 2}", below=f"pci0000:00/ata{number}/{disk}")
    found.disk("md0", "9:0", "sda2", "sdb2")
    found.disk("dm-0", "254:0", "md0", uuid="CRYPT-LUKS2-0123-root")
    found.disk("dm-1", "254:1", "dm-0", uuid="LVM-abc-vg")
    found.mount(("254:1", "/"))
    return found


def header(tokens: object, version: int = 2, size: int = 16384) -> bytes:
    """A LUKS header (LUKS2 On-Disk Format Specification, 2.1)."""
    head = b"LUKS\xba\xbe" + version.to_bytes(2, "big") + size.to_bytes(8, "big")
    return (head.ljust(4096, b"\0") + json.dumps({"tokens": tokens}).encode()).ljust(16384, b"\0")


def clevis(pcrs: str) -> dict[str, object]:
    text = json.dumps({"alg": "dir", "clevis": {"pin": "tpm2", "tpm2": {"pcr_ids": pcrs}}})
    protected = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return {"type": "clevis", "keyslots": ["1"], "jwe": {"protected": protected}}


def test_layers_are_followed_down_to_the_key(disks: Disks) -> None:
    disks.put("/etc/crypttab", "root UUID=0123 none luks,tpm2-device=auto\n")
    disks.put("/dev/md0", header({"0": {"type": "systemd-tpm2", "tpm2-pcrs": [7], "tpm2_pubkey_pcrs": [11]}}))
    (found,) = disks.find()
    assert (found.name, found.source, found.early) == ("root", "md0", True)
    assert found.needed_for == ("/", "/var/lib/kvmfleet-sriov/live-update", "/usr/local/sbin/sriovctl")
    assert found.entry is not None
    assert found.options == {"luks": "", "tpm2-device": "auto"}
    assert found.tokens == (Token("systemd-tpm2", (7, 11)),)


def test_a_host_without_encryption_lists_no_initrd(disks: Disks) -> None:
    disks.put("/sys/class/block/dm-0/dm/uuid", "LVM-x\n")
    disks.put("/etc/crypttab", "swap /dev/sda3 /dev/urandom swap,nofail\n")
    assert (disks.find(), disks.calls) == ([], [])


@pytest.mark.parametrize("uuid", ["CRYPT-VERITY-0123-root", "CRYPT-INTEGRITY-0123-root", "LVM-0123-root", ""])
def test_what_needs_no_key_is_no_encrypted_volume(disks: Disks, uuid: str) -> None:
    disks.put("/sys/class/block/dm-0/dm/uuid", uuid)
    assert disks.find() == []


def test_every_member_of_a_btrfs_counts(disks: Disks) -> None:
    disks.disk("sdc", "8:32", below="pci0000:00/ata3")
    disks.put("/sys/fs/btrfs/1234/devices/sdc/dev", "8:32\n")
    disks.put("/sys/fs/btrfs/1234/devices/dm-0/dev", "254:0\n")
    disks.mount(("8:32", "/"))
    assert [one.name for one in disks.find()] == ["root"]


def test_states_on_a_volume_of_their_own(disks: Disks) -> None:
    disks.put("/sys/class/block/dm-0/dm/uuid", "LVM-x\n")
    disks.disk("dm-2", "254:2", "sda2", uuid="CRYPT-LUKS1-0123-states")
    disks.mount(("254:1", "/"), ("254:2", "/var"))
    disks.put("/var/x", "")
    disks.put("/etc/crypttab", "states /dev/sda2 /etc/states.key luks\n")
    disks.put("/etc/states.key", "k")
    (found,) = disks.find()
    assert (found.needed_for, found.early, found.key_there) == (("/var/lib/kvmfleet-sriov/live-update",), False, True)
    assert disks.calls == []


@pytest.mark.parametrize(
    ("listing", "initrd", "there"),
    [
        (LISTING, INITRD, (True, True)),
        ("etc/root.key", INITRD, (True, False)),
        ("-rw-r--r-- 1 root root 9 Jan 1 1970 etc/root.key", INITRD, (True, False)),
        ("etc/other.key", INITRD, (False, False)),
        ("", INITRD, (None, None)),
        (LISTING, None, (False, False)),
    ],
)
def test_the_initrd_is_looked_into(
    disks: Disks, listing: str, initrd: str | None, there: tuple[bool | None, bool | None]
) -> None:
    """Without an initrd there is nothing that could open the root."""
    disks.put("/etc/crypttab", "root UUID=0123 /etc/root.key luks\n")
    disks.listing = listing
    (found,) = disks.find(initrd)
    assert (found.key_there, found.clevis) == there


def test_a_boot_waits_for_volumes_that_nobody_needs(disks: Disks) -> None:
    disks.put("/etc/crypttab", "root UUID=0123 none\nmore UUID=ab none\nlater UUID=cd none nofail\n")
    disks.put("/sys/class/block/sdd/dev", "8:48")
    (disks.root / "dev/disk/by-uuid").mkdir(parents=True)
    os.symlink("../../sdd", disks.root / "dev/disk/by-uuid/ab")
    disks.put("/dev/sdd", header({"0": clevis("7")}))
    assert [(one.name, one.source, one.needed_for, one.tokens) for one in disks.find()][1:] == [
        ("more", "sdd", (), (Token("clevis", (7,)),))
    ]


@pytest.mark.parametrize(
    ("cmdline", "key", "options"),
    [
        ("rd.luks.key=/k rd.luks.options=tpm2-device=auto", "/k", {"tpm2-device": "auto"}),
        ('rd.luks.key="/a k" x="b rd.luks.key=/c"', "/a k", {}),
        (f"luks.options={'a' * 36}=tpm2-device=auto,x", None, {"tpm2-device": "auto", "x": ""}),
        ("luks.name=x quiet", None, {}),
    ],
)
def test_words_of_the_command_line(disks: Disks, cmdline: str, key: str | None, options: dict[str, str]) -> None:
    (found,) = disks.find(cmdline=cmdline)
    assert (found.key, found.options) == (key, options)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (header({"0": clevis("0, 7")}), (Token("clevis", (0, 7)),)),
        (header({"0": {"type": "clevis", "jwe": {"protected": "!"}}}), (Token("clevis"),)),
        (header({"0": {"type": "clevis", "jwe": "x"}}), (Token("clevis"),)),
        (
            header({"0": {"type": "systemd-tpm2", "tpm2-pcrs": ["x", 7, 1e9], "tpm2-pin": True}}),
            (Token("systemd-tpm2", (7,), True),),
        ),
        (header({"0": 5, "1": {}}), (Token(""),)),
        (header([]), ()),
        (header({"0": clevis("7")}, version=1), ()),
        (header({"0": clevis("7")}, size=1 << 40), ()),
        (b"LUKS\xba\xbe\x00\x02" + (16384).to_bytes(8, "big") + bytes(9000), ()),
        (b"[" * 16384, ()),
        (b"", ()),
    ],
)
def test_tokens_are_read_as_far_as_they_are_some(tmp_path: Path, data: bytes, expected: tuple[Token, ...]) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/sda").write_bytes(data)
    assert luks_header.tokens(Sysfs(str(tmp_path)), "sda") == expected
    assert luks_header.tokens(Sysfs(str(tmp_path)), "sdb") == ()


def test_the_preflight_has_them(node: FakeNode) -> None:
    assert facts.gather(node.host.sysfs, node.run, [], NEW).locked == ()
    node.put("/etc/crypttab", "more /dev/sdd none\n")
    (found,) = facts.gather(node.host.sysfs, node.run, [], NEW).locked
    assert found.name == "more"
