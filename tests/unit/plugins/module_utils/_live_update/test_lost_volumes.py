# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States and images on volumes whose contents no later boot can read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import boot_rules, facts, lost_volumes
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import LIVE_UPDATE
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.images import Image
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import VmFacts
from tests.fake.vm.node import NEW, FakeNode
from tests.unit.plugins.module_utils._live_update.test_locked_volumes import Disks

SCRATCH = "/dev/mapper/scratch"
FIX = "move it to a disk, or to an encrypted volume whose key is kept (cryptsetup luksFormat)"
EMPTY = "after the kexec it is empty"


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    """A root on a partition, the states on dm-crypt on another one."""
    found = Disks(tmp_path)
    for number in (1, 2, 3):
        found.disk(f"sda{number}", f"8:{number}", below="pci0000:00/ata1/sda")
    found.put("/sys/class/block/sda/dev", "8:0\n")
    found.disk("dm-0", "254:0", "sda2", uuid="CRYPT-PLAIN-scratch")
    found.mount(("8:1", "/"), ("254:0", "/var/lib/kvmfleet-sriov"))
    found.put("/vm/a.img", "")
    found.put("/dev/sda2", "")
    (tmp_path / LIVE_UPDATE.lstrip("/")).mkdir(parents=True)
    return found


def refusals(disks: Disks, *images: Image) -> list[str]:
    vms = [VmFacts("web1", "qemu", 9, 90, "u", None, images=images)] if images else []
    found = list(lost_volumes.check(tuple(lost_volumes.find(disks.sysfs, vms))))
    assert {one.code for one in found} <= {"volume-lost"}
    return [str(one) for one in found]


def line(number: int, how: str) -> str:
    on = f"{LIVE_UPDATE} is on {SCRATCH}, which line {number} of /etc/crypttab (scratch) opens"
    return f"{on} {how}: {EMPTY}: {FIX}"


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("scratch /dev/sda2 /dev/urandom", "with a new key at each boot (/dev/urandom)"),
        ("scratch /dev/sda2 /dev/random plain,cipher=aes-xts-plain64", "with a new key at each boot (/dev/random)"),
        ("scratch\tUUID=none-now\t/dev/hwrng", "with a new key at each boot (/dev/hwrng)"),
        ("scratch PARTUUID=x /dev/hw_random noauto", "with a new key at each boot (/dev/hw_random)"),
        ("scratch LABEL=x /dev/../dev/urandom nofail", "with a new key at each boot (/dev/../dev/urandom)"),
        ("scratch /srv/a\\040file /dev/urandom swap", "with a new key at each boot (/dev/urandom)"),
        ("scratch /dev/sda2 /etc/keys/a swap", "and formats at each boot (option swap)"),
        ("scratch /dev/sda2 - x-initrd.attach,tmp=xfs", "and formats at each boot (option tmp)"),
        ("scratch /dev/sda2 none tmp", "and formats at each boot (option tmp)"),
    ],
)
def test_a_volume_that_each_boot_makes_anew_is_refused(disks: Disks, text: str, how: str) -> None:
    """The volume, the line and the fix are named."""
    disks.put("/etc/crypttab", f"# scratch /dev/sda2 /etc/key luks\n\n{text}\n")
    assert refusals(disks) == [line(3, how)]


@pytest.mark.parametrize(
    "text",
    [
        "scratch /dev/sda2 /etc/keys/a plain\n",
        "scratch /dev/sda2 none\n",
        "scratch /dev/sda2\n",
        "scratch /dev/sda2 - luks,discard\nswap /dev/sda3 /dev/urandom swap\n",
        "other UUID=gone /dev/random tmp\n#scratch /dev/sda2 /dev/urandom\nscratch /dev/sda2 k\n",
        "scratch /dev/sda2 /\\000/dev/urandom\n",
        'odd\n\\999 x\n\x00\n=\n"" "" /dev/urandom\nscratch /dev/sda2 /dev/urandom-not plain,swapped,tmp-not\n',
    ],
)  # fmt: skip
def test_lines_that_do_not_concern_it_refuse_nothing(disks: Disks, text: str) -> None:
    disks.put("/etc/crypttab", text)
    disks.put("/dev/sda3", "")
    assert refusals(disks) == []


@pytest.mark.parametrize("source", ["/dev/sda2", "UUID=u-1", 'UUID="u-1"', "/dev/disk/by-uuid/u-1", "/dev/sda"])
def test_a_device_that_a_boot_will_take_is_refused(disks: Disks, source: str) -> None:
    """Whatever is on it today: a volume of another name, or none."""
    disks.put("/etc/crypttab", f"swap {source} /dev/urandom swap\n")
    disks.put("/dev/sda", "")
    disks.put("/dev/disk/by-uuid/x", "")
    os.symlink("../../sda2", disks.root / "dev/disk/by-uuid/u-1")
    disks.put("/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-0123-scratch\n")
    device = "sda" if source == "/dev/sda" else "sda2"
    problem = f"{LIVE_UPDATE} is on /dev/{device}, on which line 1 of /etc/crypttab (swap) makes a volume with a new"
    assert problem in refusals(disks)[0]
    disks.mount(("8:1", "/"), ("8:2", "/var/lib/kvmfleet-sriov"))
    assert problem in refusals(disks)[0]
    if device == "sda2":
        disks.mount(("8:1", "/"), ("8:3", "/var/lib/kvmfleet-sriov"))
        assert refusals(disks) == []


def test_plain_volumes_of_no_line_are_refused(disks: Disks) -> None:
    """LUKS has a header, so somebody can open it."""
    (found,) = refusals(disks)
    assert found == (
        f"{LIVE_UPDATE} is on {SCRATCH}, plain dm-crypt that no line of /etc/crypttab opens: after the kexec nobody "
        f"may know its key: {FIX}; or write such a line, with its key, and noauto where something else opens it"
    )
    disks.put("/etc/crypttab", "scratch /dev/sda2 /etc/key plain,noauto\n")
    assert refusals(disks) == []
    disks.put("/etc/crypttab", "other-name /dev/sda2 /etc/key plain\n")
    assert refusals(disks) == []
    disks.put("/etc/crypttab", "")
    disks.put("/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS1-0123-scratch\n")
    assert refusals(disks) == []


@pytest.mark.parametrize("above", ["lvm", "partition", "loop", "loop on lvm", "bind mount", "btrfs"])
def test_what_is_on_such_a_volume_is_refused(disks: Disks, above: str) -> None:
    """States and images; whatever is between."""
    disks.put("/etc/crypttab", "scratch /dev/sda2 /dev/urandom tmp\n")
    disks.disk("dm-1", "254:1", "dm-0", uuid="LVM-abc-vg")
    disks.disk("dm-2", "254:2", "dm-1", uuid="part1-LVM-abc-vg")
    disks.disk("loop7", "7:7")
    disks.disk("loop7p1", "259:1", below="virtual/block/loop7")
    disks.put("/sys/class/block/loop7/loop/backing_file", "/scratch/a.img\n")
    disks.put("/sys/fs/btrfs/1234/devices/a/dev", "8:3\n")
    disks.put("/sys/fs/btrfs/1234/devices/b/dev", "254:0\n")
    scratch, number = {
        "lvm": ("254:0", "254:1"), "partition": ("254:0", "254:2"), "loop": ("254:0", "7:7"),
        "loop on lvm": ("254:2", "259:1"), "bind mount": ("8:1", "254:0"), "btrfs": ("8:1", "8:3"),
    }[above]  # fmt: skip
    disks.mount(("8:1", "/"), (scratch, "/scratch"), (number, "/vm"), (number, "/var/lib/kvmfleet-sriov"))
    one, other = refusals(disks, Image("/vm/a.img", "file", "local"), Image("nbd://x", "unchecked", "shared"))
    assert one == line(1, "with a new key at each boot (/dev/urandom)")
    assert other.startswith(f"VM web1 (process 9): image /vm/a.img is on {SCRATCH}, which line 1 of /etc/crypttab")


def test_an_image_that_is_a_block_device(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    disks.put("/etc/crypttab", "scratch /dev/sda2 /dev/urandom tmp\n")
    disks.mount(("8:1", "/"))
    disks.put(SCRATCH, "")
    known = type(disks.sysfs).device_number
    monkeypatch.setattr(
        type(disks.sysfs), "device_number", lambda self, path: "b 254:0" if path == SCRATCH else known(self, path)
    )
    (found,) = refusals(disks, Image(SCRATCH, "block", "unknown"))
    assert found.startswith(f"VM web1 (process 9): image {SCRATCH} is on {SCRATCH}, which line 1")


def test_a_circle_of_devices_has_an_end(disks: Disks) -> None:
    disks.put("/sys/class/block/sda2/slaves/dm-0/dev", "")
    disks.disk("loop7", "7:7")
    disks.put("/sys/class/block/loop7/loop/backing_file", "/vm/a.img\n")
    disks.mount(("8:1", "/"), ("7:7", "/vm"))
    disks.put("/etc/crypttab", "scratch /dev/sda2 /dev/urandom\n")
    assert refusals(disks, Image("/vm/a.img", "file", "local")) == []


def test_the_preflight_of_a_node_refuses_it(node: FakeNode) -> None:
    """Read and judged with the rest."""
    disks = Disks(node.host.root)
    disks.disk("dm-5", "254:5", uuid="CRYPT-PLAIN-scratch")
    node.put("/etc/crypttab", "scratch /dev/vdz /dev/urandom tmp\n")
    disks.mount(("8:1", "/"), ("254:5", "/var/lib"))
    (node.host.root / "var/lib").mkdir(parents=True, exist_ok=True)
    found = facts.gather(node.host.sysfs, node.run, [node.qemu], NEW)
    assert "volume-lost" in [one.code for one in boot_rules.check(found, Options())]
