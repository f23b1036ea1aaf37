# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake host: PFs in a tree below a folder, and programs.

The programs are `ip`, `modprobe` and others, as far as the engine uses them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import WRITES

from ..scenarios.faults import KILL, KILL_AFTER, Killed
from ..tools.tools import FakeTools
from .kernel import FakeKernel
from .pci import config
from .pf import IPOIB_MTU, FakePf, FakeVf
from .sysfs import FakeSysfs


class FakeHost:
    """A fake host, with the ``sysfs`` and ``run`` that the engine takes.

    ``faults``: how which action (from 1) fails: a write, or a program that changes something; with an errno, or with
    one of `faults`. ``wrong``: the same for programs that only read. ``actions`` and ``asked`` count both. ``kinds``:
    of each action, one of within (a deadline), write, program. ``struck``: the files and programs that failed.

    ``drivers`` are registered on the PCI bus, ``reluctant`` ones take no device. ``namespaces``: by path of a network
    namespace, its interfaces by PCI address (see `users`). ``addresses`` of interfaces by name and ``routes`` are
    those of the host's own network, as `ip` shows them.
    """

    def __init__(self, root: Path, interface: str = "vf-id", drivers: Iterable[str] = ("igb", "igbvf", "nvme")) -> None:
        self.root = root
        self.pfs: dict[str, FakePf] = {}
        self.drivers = set(drivers)
        self.reluctant: set[str] = set()
        self.lock = threading.RLock()
        self.faults: Mapping[int, int | str] = {}
        self.wrong: Mapping[int, str] = {}
        self.actions = self.asked = 0
        self.kinds: list[str] = []
        self.struck: list[str] = []
        self.dead = False
        self._groups = 0
        self.namespaces: dict[str, dict[str, str]] = {}
        self.locks: dict[str, TextIO] = {}
        self.addresses: dict[str, list[str]] = {}
        self.routes: list[dict[str, Any]] = []
        self._nodes: dict[str, str] = {}
        self.kernel = FakeKernel(self, interface)
        self.sysfs = FakeSysfs(self)
        self.run = FakeTools(self)
        self._drawn: dict[str, str] = {}
        self.draw()

    def igb(self, address: str = "0000:03:00.0", netdev: str = "eth0", total: int = 7) -> FakePf:
        """A network PF whose VFs have properties (intel/igb/igb_main.c, igb_ndo_*)."""
        missing = frozenset({"link_state", "query_rss", "min_tx_rate"})
        return self.add(
            FakePf(
                address,
                total,
                netdev=netdev,
                unreported=frozenset({"query_rss"}),
                vlan_protos=("802.1q",),
                rejects=dict.fromkeys(missing, errno.EOPNOTSUPP) | {"min_tx_rate": errno.EINVAL},
                drvinfo=("6.12.0", "3.25, 0x800005cf"),
            )
        )

    def nvme(self, address: str = "0000:04:00.0", total: int = 8) -> FakePf:
        """A PF without a network interface."""
        ids = ("0x1b36", "0x0010", "0x1af4", "0x1100")
        pf = FakePf(address, total, "nvme", vf_driver="nvme", offset=1, stride=1, ids=ids, pci_class="0x010802")
        pf.controller = ("QEMU NVMe Ctrl", "8.2.0")
        return self.add(pf)

    def mlx5(self, address: str = "0000:05:00.0", total: int = 8, **changes: Any) -> FakePf:  # noqa: ANN401 - fields of several types
        """A network PF with an eswitch and MSI-X vectors to share out."""
        more = {"netdev": "eth0", "offset": 2, "stride": 1, "total_msix": 256, **changes}
        more = {"drvinfo": ("6.12.0", "22.41.1000 (MT_0000000359)"), **more}
        more = {"versions": {"fw.version": "22.41.1000", "fw": "22.41.1000"}, **more}
        return self.add(
            FakePf(address, total, driver="mlx5_core", vf_driver="mlx5_core", devlink=True, eswitch="legacy", **more)
        )

    def ice(self, address: str = "0000:06:00.0", total: int = 8, **changes: Any) -> FakePf:  # noqa: ANN401 - fields of several types
        more = {"netdev": "eth0", "offset": 8, "stride": 1, "total_msix": 256, **changes}
        return self.add(FakePf(address, total, driver="ice", vf_driver="iavf", devlink=True, eswitch="legacy", **more))

    def ipoib(self, address: str = "0000:07:00.0", total: int = 8) -> FakePf:
        """An InfiniBand PF of mlx5; its interface is ipoib's."""
        address_20 = "00:00:00:08:fe:80:00:00:00:00:00:00:52:54:00:c0:fe:12:34:55"
        return self.mlx5(address, total, netdev="ib0", link_type="infiniband", mac=address_20, mtu=IPOIB_MTU)

    def add(self, pf: FakePf) -> FakePf:
        self.pfs[pf.address] = pf
        self.draw()
        return pf

    def setup(self, pf: FakePf, enabled: int, present: Iterable[int] = (), driver: str | None = None) -> None:
        """Bring a PF to a state, without the kernel's files.

        Present VFs are bound to ``driver``, by override.
        """
        self.kernel._enable(pf, enabled)
        if driver:
            self.drivers.add(driver)
        for vf_id in present:
            pf.vfs[vf_id] = FakeVf(pf.vf_address(vf_id), self.next_group(), driver, driver)
        self.draw()

    def hold(self, pf: FakePf, vf_id: int, pid: int = 4711, name: str = "web1") -> None:
        """Start a QEMU process that has the VF's VFIO group open."""
        command = "qemu-system-x86_64"
        pf.vfs[vf_id].in_use = True
        proc = self.root / "proc" / str(pid)
        (proc / "fd").mkdir(parents=True)
        (proc / "comm").write_text(command[:15] + "\n")
        (proc / "cmdline").write_text("\0".join([command, "-name", f"guest={name},debug-threads=on", ""]))
        os.symlink(f"/dev/vfio/{pf.vfs[vf_id].group}", proc / "fd" / "31")

    @property
    def nodes(self) -> dict[str, str]:
        """Numbers of character devices by path, VFIO groups among them."""
        groups = {f"/dev/vfio/{vf.group}": f"c 235:{vf.group}" for pf in self.pfs.values() for vf in pf.vfs.values()}
        return {**groups, **self._nodes}

    def node(self, path: str, number: str) -> None:
        """Have the node of a character device at ``path``."""
        self._nodes[path] = f"c {number}"

    def block(self, pf: FakePf, path: str, value: str) -> None:
        """Leave a writer process waiting in the kernel, with its lock.

        The process is `_writer_child`.
        """
        pf.pending = (path, value)
        lock = self.root / WRITES.lstrip("/") / pf.address
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text(f"{os.getpid()} 0 {value} {path}")
        self.locks[pf.address] = lock.open()
        fcntl.flock(self.locks[pf.address], fcntl.LOCK_EX)

    def end_holders(self, pf: FakePf) -> None:
        """End the holders of the PF's VFs, and unblock the kernel."""
        for vf in pf.vfs.values():
            vf.in_use = False
        for proc in (self.root / "proc").glob("[0-9]*"):
            shutil.rmtree(proc)
        self.unblock()

    def unblock(self) -> None:
        """Complete all writes that the kernel has blocked, one by one."""
        waiting = [(one, one.pending) for one in (self.pfs[address] for address in self.locks) if one.pending]
        for one, _write in waiting:
            one.pending = None
        for one, write in waiting:
            self.sysfs.write(*write)
            self.locks.pop(one.address).close()

    def count(self, what: str, kind: str) -> str:
        """Count an action; return its fault, empty for none.

        Raises an injected OSError, or `Killed`.
        """
        if self.dead:
            raise Killed(what)
        self.actions += 1
        self.kinds.append(kind)
        fault = self.faults.get(self.actions, "")
        self.struck += [what] if fault else []
        if isinstance(fault, int):
            raise OSError(fault, what)
        self.dead = fault in (KILL, KILL_AFTER)
        return fault

    def next_group(self) -> int:
        self._groups += 1
        return self._groups

    def picture(self) -> dict[str, object]:
        return {address: pf.picture() for address, pf in self.pfs.items()}

    def draw(self) -> None:
        """Bring the tree up to date with the state.

        Files that differ are written, those that are gone are removed.
        """
        wanted = self._files()
        for path in sorted(set(self._drawn) - set(wanted), reverse=True):
            target = self.root / path
            if target.is_symlink() or target.is_file():
                target.unlink()
            _remove_empty(target if path.endswith("/") else target.parent, self.root)
        for path, text in wanted.items():
            if path.endswith("/"):
                (self.root / path).mkdir(parents=True, exist_ok=True)
            elif self._drawn.get(path) != text:
                _put(self.root / path, text)
        self._drawn = wanted

    def _files(self) -> dict[str, str]:
        """Texts of files, by path.

        A text that starts with "-> " is a link, a path that ends with "/" an empty folder.
        """
        bus = "sys/bus/pci"
        files = {f"{bus}/drivers_probe": "", "proc/version": "fake"}
        for driver in self.drivers:
            files |= {f"{bus}/drivers/{driver}/{name}": "" for name in ("bind", "unbind")}
        for device, driver in self._bound():
            files[f"{bus}/drivers/{driver}/{device}"] = f"-> ../../devices/{device}"
        for pf in self.pfs.values():
            if pf.iommu_type:
                files[f"sys/kernel/iommu_groups/{self._pf_group(pf)}/type"] = f"{pf.iommu_type}\n"
            files.update({f"{bus}/devices/{pf.address}/{name}": text for name, text in self._pf_files(pf).items()})
            for vf_id, vf in pf.vfs.items():
                own = _vf_files(pf, vf_id, vf)
                files.update({f"{bus}/devices/{vf.address}/{name}": text for name, text in own.items()})
                files[f"sys/class/vfio/{vf.group}/dev"] = f"235:{vf.group}\n"
        return files

    def _pf_group(self, pf: FakePf) -> int:
        """The IOMMU group of a PF, above those of VFs."""
        return 10000 + list(self.pfs).index(pf.address)

    def _bound(self) -> Iterator[tuple[str, str]]:
        """Addresses of devices with a driver, and the driver.

        A driver's folder has a link to each of its devices (drivers/base/dd.c).
        """
        for pf in self.pfs.values():
            found = [(pf.address, pf.driver), *((vf.address, vf.driver) for vf in pf.vfs.values())]
            yield from ((address, driver) for address, driver in found if driver)

    def _pf_files(self, pf: FakePf) -> dict[str, str]:
        files = {
            "sriov_totalvfs": f"{pf.total}\n", "sriov_drivers_autoprobe": f"{int(pf.autoprobe)}\n",
            "sriov_offset": f"{pf.offset}\n", "sriov_stride": f"{pf.stride}\n",
            "numa_node": f"{pf.numa_node}\n", "class": f"{pf.pci_class}\n", "sriov_vf_total_msix": f"{pf.total_msix}\n",
        }  # fmt: skip
        names = ("vendor", "device", "subsystem_vendor", "subsystem_device")
        files.update({name: f"{number}\n" for name, number in zip(names, pf.ids)})
        files.update(self.kernel.files(pf))
        if "sriov_scan_vf_id" in files:
            files["sriov_scan_vf_id"] = _listed(set(pf.vfs)) + "\n"
        files.update({f"virtfn{vf_id}": f"-> ../{vf.address}" for vf_id, vf in pf.vfs.items()})
        if pf.driver:
            files["driver"] = f"-> ../../drivers/{pf.driver}"
        if pf.controller:
            texts = zip(("model", "firmware_rev"), pf.controller, (40, 8))
            files.update({f"nvme/nvme0/{name}": f"{text:{width}}\n" for name, text, width in texts})
        if pf.iommu_type:
            files["iommu_group"] = f"-> ../../../../kernel/iommu_groups/{self._pf_group(pf)}"
        if pf.pcie:
            files.update({"current_link_speed": f"{pf.pcie[0]}\n", "current_link_width": f"{pf.pcie[1]}\n"})
        if pf.netdev:
            own = {
                "address": f"{pf.mac}\n",
                "mtu": f"{pf.mtu}\n",
                "speed": f"{pf.speed}\n",
                "carrier": f"{int(pf.up)}\n",
                "ifindex": f"{list(self.pfs).index(pf.address) + 2}\n",
                "flags": f"{0x1002 | pf.up:#x}\n",
            }
            for netdev in (pf.netdev, *pf.more_netdevs):
                files.update({f"{_folder(pf.below)}net/{netdev}/{name}": text for name, text in own.items()})
        if pf.netdev and pf.eswitch == "switchdev":
            files[f"net/{pf.netdev}/phys_port_name"] = "p0\n"
            for vf_id in range(pf.enabled):
                files[f"net/enp3s0f0npf0vf{vf_id}/phys_port_name"] = f"pf0vf{vf_id}\n"
        return files


def _folder(name: str) -> str:
    """A folder below a device as the beginning of a path."""
    return f"{name}/" if name else ""


def _listed(ids: set[int]) -> str:
    """A list of ids as the kernel prints a bitmap.

    After lib/vsprintf.c, bitmap_list_string; written apart from the engine's own.
    """
    firsts = sorted(number for number in ids if number - 1 not in ids)
    lasts = sorted(number for number in ids if number + 1 not in ids)
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(firsts, lasts))


def _vf_files(pf: FakePf, vf_id: int, vf: FakeVf) -> dict[str, str]:
    files = {
        "sriov_vf_msix_count": "", "config": config(pf.table_size(vf_id)).decode("latin-1"),
        "physfn": f"-> ../{pf.address}", "numa_node": f"{pf.numa_node}\n",
        "driver_override": f"{vf.override or '(null)'}\n",
        "iommu_group": f"-> ../../../../kernel/iommu_groups/{vf.group}",
    }  # fmt: skip
    if vf.driver:
        files["driver"] = f"-> ../../drivers/{vf.driver}"
    for name in vf.interface_names(pf):
        folder = f"{_folder(pf.vf_below)}net/"
        shown = {f"{folder}{name}/upper_{upper}": f"-> ../../../../virtual/net/{upper}" for upper in vf.uppers}
        own = {"address": vf.mac, "addr_assign_type": vf.mac_assigned, "mtu": vf.mtu}
        shown.update({f"{folder}{name}/{file}": f"{value}\n" for file, value in own.items()})
        files.update({folder: ""} if vf.elsewhere else shown)
    return files


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove this folder and those above it that are empty."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _put(path: Path, text: str) -> None:
    """Replace a file in one step.

    The kernel shows no reader half a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    if text.startswith("-> "):
        os.symlink(text[3:], new)
    else:
        new.write_bytes(text.encode("latin-1"))
    os.replace(new, path)


def fresh(folder: Path, interface: str = "vf-id") -> FakeHost:
    """Create a host in an emptied folder."""
    shutil.rmtree(folder, ignore_errors=True)
    return FakeHost(folder, interface)
