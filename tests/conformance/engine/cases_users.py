# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for VFs in use: holders named, nothing written.

A step that blocks all the same has a deadline.

Left out: a mounted disk of an NVMe VF. The emulated controllers give their VFs no namespaces, so there is none; and
libvirt, which is not in the lab: its files are the whole interface, and unit tests have those.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from typing import Any

from cases_engine import ENGINE, VFIO, declare, fails, needs_vfio, tools
from cases_presence import change
from harness import DEVICES, Pf, SkippedError, case, require, wait_for
from kvmfleet_sriov._document import document as _document
from kvmfleet_sriov._engine import apply, converge, execute
from kvmfleet_sriov._model import errors
from kvmfleet_sriov._report import info
from kvmfleet_sriov._system import blocked

UIO = "uio_pci_generic"
NAME = "kvmfleet-case"
"""Of whatever a case makes; interface names have at most 15 bytes."""
BLOCKED_S = 3.0
"""Shorter than the kernel's own patience with tasks that hang."""


def ip(pf: Pf, *words: str) -> None:
    tools(pf)(["ip", *words])


def interface_of(pf: Pf, number: int) -> str:
    """The network interface of VF ``number``.

    VFs 0 and 1 are added while drivers are probed.
    """
    if not pf.files.names(f"{pf.path}/net"):
        raise SkippedError("needs a PF with a network interface")
    declare(pf, {"hardware_vfs": 2, "present_vfs": "0-1", "drivers_autoprobe": True})
    names = pf.files.names(f"{DEVICES}/{pf.vf(number)}/net")
    if not names:
        raise SkippedError(f"no driver gives VFs of {pf.driver} a network interface here")
    return names[0]


def bring_up(pf: Pf) -> None:
    """Set the PF's interface up for this case.

    Its driver answers VFs only then; otherwise they have no MAC address.
    """
    for netdev in pf.files.names(f"{pf.path}/net")[:1]:
        if not int(pf.files.read(f"{pf.path}/net/{netdev}/flags"), 16) & 1:
            ip(pf, "link", "set", "dev", netdev, "up")
            pf.undo.append(partial(ip, pf, "link", "set", "dev", netdev, "down"))


def stays(pf: Pf, user: str) -> None:
    """Require a refusal of all that would remove VF 1.

    It names the holder; `sriov_info` names it too.
    """
    words = f"VF 1 of PF {pf.address} by {user}"
    off: dict[str, Any] = {"hardware_vfs": 0, "present_vfs": "none"}
    for check in (True, False):
        fails(errors.RefusedError, words, partial(declare, pf, off, check=check))
        fails(errors.RefusedError, words, partial(change, pf, 1, driver=VFIO, check=check))
        if pf.interface == "vf-id":
            fails(errors.RefusedError, words, partial(change, pf, "0-1", "absent", check=check))
    pf.is_state(2, (0, 1))
    rows = {vf["id"]: vf for vf in info.gather(pf.files, tools(pf), [pf.address], properties=False)[0]["vfs"]}
    require(rows[1].get("held_by") == user, f"sriov_info says {rows[1]}")
    require("held_by" not in rows[0], f"sriov_info says {rows[0]}")


def goes(pf: Pf) -> None:
    """Require that VF 1 is removed without its holder."""
    while pf.undo:
        pf.undo.pop()()
    declare(pf, {"hardware_vfs": 0, "present_vfs": "none"})
    pf.is_state(0, ())


@case(interfaces=ENGINE)
def case_users_in_another_namespace(pf: Pf) -> None:
    """A VF whose network interface is in another, named, network namespace."""
    netdev = interface_of(pf, 1)
    ip(pf, "netns", "add", NAME)
    pf.undo.append(partial(ip, pf, "netns", "del", NAME))
    ip(pf, "link", "set", "dev", netdev, "netns", NAME)
    pf.undo.append(partial(ip, pf, "-n", NAME, "link", "set", "dev", netdev, "netns", str(os.getpid())))
    stays(pf, f"network namespace {NAME}, as interface {netdev}")
    goes(pf)


@case(interfaces=ENGINE)
def case_users_bridge(pf: Pf) -> None:
    """A VF whose network interface is a port of a bridge.

    A bridge takes only interfaces with a MAC address.
    """
    bring_up(pf)
    netdev = interface_of(pf, 1)
    try:
        ip(pf, "link", "add", "dev", NAME, "type", "bridge")
    except errors.ToolError as error:
        raise SkippedError(f"needs a kernel with bridges: {error}") from error
    pf.undo.append(partial(ip, pf, "link", "del", "dev", NAME))
    ip(pf, "link", "set", "dev", netdev, "master", NAME)
    stays(pf, f"bridge {NAME} above its network interface")
    goes(pf)


@case(interfaces=ENGINE)
def case_users_vlan(pf: Pf) -> None:
    """A VF whose network interface has a VLAN interface above it."""
    bring_up(pf)
    netdev = interface_of(pf, 1)
    try:
        ip(pf, "link", "add", "link", netdev, "name", NAME, "type", "vlan", "id", "5")
    except errors.ToolError as error:
        raise SkippedError(f"needs a VF driver that takes a VLAN interface above: {error}") from error
    pf.undo.append(partial(ip, pf, "link", "del", "dev", NAME))
    stays(pf, f"vlan {NAME} above its network interface")
    goes(pf)


@case(interfaces=ENGINE)
def case_users_address_of_the_host(pf: Pf) -> None:
    """A VF whose interface has an address of the host's own network."""
    netdev = interface_of(pf, 1)
    try:
        ip(pf, "address", "add", "192.0.2.77/32", "dev", netdev)
    except errors.ToolError as error:
        raise SkippedError(f"needs a kernel with IPv4: {error}") from error
    pf.undo.append(partial(ip, pf, "address", "del", "192.0.2.77/32", "dev", netdev))
    stays(pf, f"this host's own network: address 192.0.2.77/32 on interface {netdev}")
    goes(pf)


@case(interfaces=ENGINE, real_only=True)
def case_users_registers(pf: Pf) -> None:
    """A VF whose registers this process has open."""
    declare(pf, {"hardware_vfs": 2, "present_vfs": "0-1", "drivers_autoprobe": True})
    path = f"{DEVICES}/{pf.vf(1)}/resource0"
    if not os.path.exists(path) or not pf.files.link(f"{DEVICES}/{pf.vf(1)}/driver"):
        raise SkippedError("needs a VF with registers and a driver")
    handle = os.open(path, os.O_RDWR)
    pf.undo.append(partial(os.close, handle))
    command = pf.files.read(f"/proc/{os.getpid()}/comm")
    stays(pf, f"process {os.getpid()} ({command}), which has its registers open")
    goes(pf)


@case(interfaces=ENGINE, real_only=True)
def case_users_character_device(pf: Pf) -> None:
    """A VF whose character device of UIO this process has open.

    Under a name of its own, as in a container: the device number decides.
    """
    try:
        tools(pf)(["modprobe", UIO])
    except errors.SriovError as error:
        raise SkippedError(f"needs {UIO}: {error}") from error
    declare(pf, {"hardware_vfs": 2, "present_vfs": "0-1", "vfs": [{"ids": 1, "driver": UIO}]})
    (name,) = pf.files.names(f"{DEVICES}/{pf.vf(1)}/uio")
    node = f"/dev/{NAME}-{name}"
    os.mknod(node, 0o600 | stat.S_IFCHR, os.stat(f"/dev/{name}").st_rdev)
    pf.undo.append(partial(os.unlink, node))
    handle = os.open(node, os.O_RDWR)
    pf.undo.append(partial(os.close, handle))
    command = pf.files.read(f"/proc/{os.getpid()}/comm")
    stays(pf, f"process {os.getpid()} ({command}), which has /dev/{name} open")
    goes(pf)


@case(interfaces=ENGINE, real_only=True)
def case_users_that_block_the_kernel(pf: Pf) -> None:
    """A forced unbind of a VF that this process has open.

    The engine returns in time and reports the holder; the PF is refused, and shown as blocked, until the VF is closed.
    Then the kernel completes the unbind.
    """
    needs_vfio(pf)
    declare(pf, {"hardware_vfs": 2, "present_vfs": "0-1", "vfs": [{"ids": 1, "driver": VFIO}]})
    handle = opened(pf, 1)
    closed = False

    def released() -> None:
        nonlocal closed
        if not closed:
            os.close(handle)
            closed = True
        wait_for(lambda: pf.address not in blocked.under_way(pf.files), "the blocked write has come back")

    pf.undo.append(released)
    patient, execute.WRITE_S = execute.WRITE_S, BLOCKED_S
    pf.undo.append(lambda: setattr(execute, "WRITE_S", patient))
    spec = {"pf": pf.address, "vfs": [{"ids": 1, "driver": "default"}]}
    document = _document.validate({"pfs": [spec]})
    call = partial(converge.converge, pf.files, tools(pf), document, force=True)
    fails(apply.ApplyError, "/driver/unbind has not come back after", call)
    fails(errors.RefusedError, f"PF {pf.address}: process ", call)
    rows = info.gather(pf.files, tools(pf), [pf.address])
    require("/driver/unbind" in rows[0].get("blocked", ""), f"sriov_info says {rows}")
    released()
    declare(pf, {"vfs": [{"ids": 1, "driver": "default"}]})
    pf.is_state(2, (0, 1))
    require(pf.files.link(f"{DEVICES}/{pf.vf(1)}/driver") is None, "VF 1 is bound")


def opened(pf: Pf, number: int) -> int:
    """The VF's VFIO device, open, which keeps it registered.

    After drivers/vfio/device_cdev.c, its fops_cdev_open.
    """
    for name in pf.files.names(f"{DEVICES}/{pf.vf(number)}/vfio-dev"):
        with suppress(FileNotFoundError):
            return os.open(f"/dev/vfio/devices/{name}", os.O_RDWR)
    raise SkippedError("needs CONFIG_VFIO_DEVICE_CDEV")
