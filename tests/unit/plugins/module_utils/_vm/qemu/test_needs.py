# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM needs of its host is awaited, or refused beforehand."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import needs, paths
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.needs import Need
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import claim, jump, live, request, result

ROOT = "/dev/vda / ext4 rw 0 0\n"
MOUNTS = (
    ROOT + "nas:/vms /srv/vms nfs4 rw 0 0\nhuge /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\ntmpfs /run tmpfs rw 0 0\n"
)
UNIX = "Num       RefCount Protocol Flags    Type St Inode Path\n"
FREE = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
IMAGE = ("-drive", "file=/srv/vms/a.qcow2,if=none,id=d0")
HUGE = ("-object", "memory-backend-file,id=m0,size=64M,mem-path=/dev/hugepages/web1")
HELPER = ("-chardev", "socket,id=c0,path=/run/swtpm/s")


def listener(path: str, inode: int = 55) -> str:
    return UNIX + f"0000: 00000002 00000000 00010000 0001 01 {inode} {path}\n"


def start(node: FakeNode, *words: str) -> None:
    """The VM with these words; the host has all it needs."""
    qemu = live(node)
    qemu.argv += words
    node.put(f"/proc/{qemu.pid}/cmdline", "\0".join([*qemu.argv, ""]))
    node.put("/proc/mounts", MOUNTS)
    for image in ("/srv/vms/a.qcow2", "/run/a.img"):
        node.put(image, "image")
    node.open_images(qemu.pid, qemu.argv)
    node.put("/dev/hugepages/web1", "")
    node.put(FREE, "0\n")
    node.put("/sys/class/net/br7/flags", "0x1003\n")
    node.put("/proc/net/unix", listener("/run/swtpm/s"))
    node.put("/run/swtpm/s", "")
    node.process("swtpm", group="/system.slice/swtpm.service", holds=["socket:[55]"])
    node.systemd.unit_files["swtpm.service"] = "enabled"


@pytest.mark.parametrize("forged", ["a b c zz e f 5 /x", "0000: 2 0 10000 1 1 5 /x", "\u2028", "x" * 5000], ids=ascii)
def test_a_socket_whose_path_has_line_ends(node: FakeNode, forged: str) -> None:
    """Any user can bind one, and the kernel escapes nothing."""
    node.put("/proc/net/unix", f"{listener('/tmp/a', 7)}{forged}\n{listener('/run/swtpm/s')[len(UNIX) :]}")
    assert needs._listeners(node.live.sysfs) == {"/tmp/a": "7", "/run/swtpm/s": "55"}


def boot(node: FakeNode) -> None:
    """The new kernel, before anything of the host has started."""
    jump(node)
    node.put("/proc/net/unix", UNIX)
    (node.host.root / "sys/class/net/br7/flags").unlink()
    (node.host.root / "srv/vms").rename(node.host.root / "srv/later")
    (node.host.root / "sys/class/net/br7").rmdir()


def images(node: FakeNode) -> None:
    (node.host.root / "srv/later").rename(node.host.root / "srv/vms")


def mounts(node: FakeNode) -> None:
    node.put("/proc/mounts", MOUNTS)


def pages(node: FakeNode) -> None:
    node.put(FREE, "32\n")


def helper(node: FakeNode) -> None:
    node.put("/proc/net/unix", listener("/run/swtpm/s"))


def bridge(node: FakeNode) -> None:
    node.put("/sys/class/net/br7/flags", "0x1003\n")


ALL: tuple[Callable[[FakeNode], None], ...] = (images, mounts, pages, helper, bridge)
WORDS = (*IMAGE, *HUGE, *HELPER, "-netdev", "bridge,id=n0,br=br7")


def test_all_is_awaited(node: FakeNode, pf: FakePf) -> None:
    start(node, *WORDS)
    boot(node)
    for number, act in enumerate(ALL):
        threading.Timer(0.1 * (number + 1), act, (node,)).start()
    assert resume.resume(node.live) == "done"
    assert live(node).status == "running"


@pytest.mark.parametrize(
    ("absent", "text"),
    [
        (images, "file /srv/vms/a.qcow2"), (mounts, "file system /srv/vms (nfs4)"),
        (pages, "huge pages 2048kB (67108864 bytes)"), (helper, "listener at socket /run/swtpm/s"),
        (bridge, "bridge br7"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(node: FakeNode, pf: FakePf, absent: Callable[[FakeNode], None], text: str) -> None:
    """Nothing was started, so the state is good for another try."""
    start(node, *WORDS)
    boot(node)
    for act in ALL:
        if act is not absent:
            act(node)
    assert resume.resume(node.live) == "failed"
    assert f"gave up waiting for {text} of VM web1" in result(node)["vms"][0]["error"]
    assert (claim(node).state, node.live_vm("web1")) == ("saved", None)


def test_a_backing_file_is_on_its_file_system(node: FakeNode, pf: FakePf) -> None:
    """Of the files that are open, the command line names the uppermost."""
    start(node)
    folder = node.host.root / f"proc/{live(node).pid}/fd"
    folder.mkdir(exist_ok=True)
    (folder / "9").symlink_to("/srv/vms/base.qcow2")
    (folder / "10").symlink_to("/run/x.log")
    jump(node)
    assert resume.resume(node.live) == "failed"
    assert "gave up waiting for file system /srv/vms (nfs4) of VM web1" in result(node)["vms"][0]["error"]


def refusals(node: FakeNode) -> list[str]:
    return [str(item) for item in _live_arm.examine(node.live, request())[1].refusals]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("-chardev", "socket,id=c1,path=/run/a,server=on"), "it waits at its start until somebody connects (/run/a)"),
        (("-chardev", "socket,id=c1,host=h,port=4,server=on"), "until somebody connects (h:4)"),
        (("-serial", "unix:/run/b,server"), "until somebody connects (/run/b)"),
        (("-monitor", "telnet:localhost:99,server=on"), "until somebody connects (localhost:99)"),
        (("-chardev", "socket,id=c1,path=/run/none"), "nobody listens at its socket /run/none"),
        (("-serial", "unix:/run/none"), "nobody listens at its socket /run/none"),
        (("-drive", "file=/run/a.img,if=none"), "is on tmpfs, which a kexec empties"),
    ],
)
def test_what_does_not_come_back_by_itself(node: FakeNode, pf: FakePf, words: tuple[str, ...], text: str) -> None:
    start(node, *words)
    (found,) = refusals(node)
    assert text in found


@pytest.mark.parametrize("state", ["", "disabled", "transient", "enabled-runtime"])
def test_a_helper_that_no_boot_starts(node: FakeNode, pf: FakePf, state: str) -> None:
    start(node, *HELPER)
    assert refusals(node) == []
    node.systemd.unit_files["swtpm.service"] = state
    (found,) = refusals(node)
    assert "(swtpm, swtpm.service) listens at its socket /run/swtpm/s, and no boot starts that again" in found


@pytest.mark.parametrize(
    "words",
    [
        ("-chardev", "socket,id=c1,path=/run/a,server=on,wait=off"), ("-serial", "unix:/run/b,server,nowait"),
        ("-serial", "stdio"), ("-bios", "bios-256k.bin"),
        ("-blockdev", "driver=qcow2,node-name=d,file=f0"), ("-netdev", "user,id=n0"),
    ],
)  # fmt: skip
def test_what_needs_nothing(node: FakeNode, pf: FakePf, words: tuple[str, ...]) -> None:
    start(node, *words)
    assert refusals(node) == []


def test_an_image_on_a_network_needs_no_file(node: FakeNode, pf: FakePf) -> None:
    start(node, "-drive", "file=nbd://10.0.0.1/x,if=none")
    (found,) = refusals(node)
    assert "set confirm_not_elsewhere" in found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("-drive", "file=a.raw"), ["/vms/a.raw"]), (("-drive", "file.filename=/a"), ["/a"]),
        (("-drive", "file=/a,,b"), ["/a,b"]), (("-cdrom", "/c.iso"), ["/c.iso"]), (("-hda", "file:/d"), ["/d"]),
        (("-blockdev", '{"driver":"qcow2","file":{"driver":"file","filename":"/e"}}'), ["/e"]),
        (("-drive", 'file=json:{"driver":"raw",,"file":{"filename":"/f"}}'), ["/f"]),
        (("-device", "virtio-net-pci,romfile=/g"), ["/g"]), (("-device", "virtio-net-pci,romfile="), []),
        (("-object", "secret,id=s,file=/h"), ["/h"]), (("-netdev", "tap,id=n,ifname=t"), ["/etc/qemu-ifup"]),
        (("-netdev", "tap,id=n,script=/i"), ["/i"]), (("-netdev", "tap,id=n,script=no"), []),
        (("-drive", "file=rbd:pool/x"), []),
    ],
)  # fmt: skip
def test_files_of_a_command_line(words: tuple[str, ...], found: list[str]) -> None:
    assert paths.files(["qemu", *words], "/vms") == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("-blockdev", '{"driver":"nbd","server":{"type":"unix","path":"/n"}}'), ["/n"]),
        (("-drive", "file=nbd+unix:///x?socket=/n"), ["/n"]), (("-drive", "file=nbd:unix:/n:exportname=x"), ["/n"]),
        (("-netdev", "stream,id=n,addr.type=unix,addr.path=/p,server=off"), ["/p"]),
        (("-chardev", "socket,id=c,path=/v,server=on"), []), (("-qmp", "unix:/q,server=on,wait=off"), []),
        (("-chardev", "socket,id=c,fd=3"), []),
    ],
)  # fmt: skip
def test_sockets_of_a_command_line(words: tuple[str, ...], found: list[str]) -> None:
    assert paths.client_sockets(["qemu", *words]) == found


def test_needs_of_a_manifest() -> None:
    need = {"kind": "file", "what": "/a", "detail": ""}
    assert Need.parse([need], "x") == (Need("file", "/a"),)
    wrongs: tuple[object, ...] = ({}, [1], [{**need, "kind": "shell"}], [{"kind": "file"}])
    for wrong in wrongs:
        with pytest.raises(BadInputError, match=r"x(\[0\])?: expected"):
            Need.parse(wrong, "x")
