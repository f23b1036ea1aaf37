# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs of a host: every running QEMU process, what its command line, its cgroup and its monitor say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .._model.errors import SriovError
from .._model.paths import DEVICES
from .._model.state import PfState
from .._readers.pfs import vf_address
from .._system.process import Run
from .._system.sysfs import Sysfs
from .qemu import argv as _qemu_argv
from .qemu.backend import QemuBackend
from .qemu.probe import Probe
from .vm_facts import UsedVf, VmFacts

PROGRAM = re.compile(r"qemu-system-\w+|qemu-kvm|kvm")


def processes(sysfs: Sysfs) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(pid, argv) of each running QEMU; a process that ends meanwhile is left out."""
    for pid in sysfs.names("/proc"):
        if pid.isdigit() and _is_qemu(sysfs, pid):
            try:
                text = sysfs.read(f"/proc/{pid}/cmdline")
            except SriovError:
                continue
            if text:
                yield int(pid), tuple(text.rstrip("\0").split("\0"))


def find_live(sysfs: Sysfs, name: str) -> int | None:
    """Process id of the QEMU that runs VM ``name`` now, None when there is none."""
    return next((pid for pid, argv in processes(sysfs) if _name(pid, argv) == name), None)


def discover(sysfs: Sysfs, run: Run, backend: QemuBackend, pfs: Mapping[str, PfState]) -> Iterator[VmFacts]:
    """Facts of each VM, its VFs read from QEMU itself; one that does not answer carries the reason."""
    for pid, argv in processes(sysfs):
        qmp, probe, error = _ask(sysfs, backend, argv)
        unit, cgroup = _unit(sysfs, pid)
        shown = _show(run, unit)
        vfs, unknown = _owned(sysfs, pfs, probe)
        yield VmFacts(
            name=_name(pid, argv),
            pid=pid,
            argv=argv,
            cwd=sysfs.target(f"/proc/{pid}/cwd") or "/",
            uid=_uid(sysfs, pid),
            own_namespaces=_own_namespaces(sysfs, pid),
            libvirt="machine.slice" in cgroup or sysfs.exists(f"/run/libvirt/qemu/{_name(pid, argv)}.xml"),
            unit=unit or f"kvmfleet-vm-{_name(pid, argv)}.service",
            fragment=shown.get("FragmentPath", ""),
            restart=shown.get("Restart", ""),
            qmp=qmp,
            probe=probe,
            probe_error=error,
            vfs=tuple(vfs),
            unknown_devices=tuple(unknown),
            memory_bytes=_memory(sysfs, pid, argv),
        )


def _is_qemu(sysfs: Sysfs, pid: str) -> bool:
    """By /proc/PID/exe, which a package upgrade turns into ``... (deleted)``; unreadable once it has gone."""
    try:
        program = sysfs.link(f"/proc/{pid}/exe")
    except SriovError:
        return False
    return program is not None and PROGRAM.fullmatch(program.replace(" (deleted)", "")) is not None


def _name(pid: int, argv: Sequence[str]) -> str:
    return _qemu_argv.guest_name(argv) or f"qemu-{pid}"


def _ask(sysfs: Sysfs, backend: QemuBackend, argv: Sequence[str]) -> tuple[str | None, Probe | None, str | None]:
    """The first monitor that answers, or the last error."""
    path, error = None, None
    for path in _qemu_argv.qmp_sockets(argv):
        try:
            return path, backend.probe(path, argv), None
        except SriovError as problem:
            error = str(problem)
    return path, None, error


def _unit(sysfs: Sysfs, pid: int) -> tuple[str, str]:
    """(service of the process, its whole cgroup path); no service for a process of a login session."""
    lines = sysfs.read(f"/proc/{pid}/cgroup").splitlines() if sysfs.exists(f"/proc/{pid}/cgroup") else []
    cgroup = next((line.split(":", 2)[2] for line in lines if line.startswith(("0::", "1:name=systemd"))), "")
    services = [part for part in cgroup.split("/") if part.endswith(".service")]
    unit = services[-1] if services and not cgroup.startswith("/user.slice") else ""
    return ("" if unit in ("sshd.service", "ssh.service") else unit), cgroup


def _show(run: Run, unit: str) -> dict[str, str]:
    if not unit:
        return {}
    text = run(["systemctl", "show", "--property=FragmentPath,Restart", unit])
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _uid(sysfs: Sysfs, pid: int) -> int:
    match = re.search(r"^Uid:\s+\d+\s+(\d+)", sysfs.read(f"/proc/{pid}/status"), re.MULTILINE)
    return int(match.group(1)) if match else -1


def _own_namespaces(sysfs: Sysfs, pid: int) -> bool:
    return any(sysfs.link(f"/proc/{pid}/ns/{kind}") != sysfs.link(f"/proc/1/ns/{kind}") for kind in ("mnt", "net"))


def _memory(sysfs: Sysfs, pid: int, argv: Sequence[str]) -> int:
    """Guest RAM in bytes from ``-m`` (MiB unless it has a suffix); the default of QEMU is 128 MiB."""
    for value in reversed(_qemu_argv.values(argv, "-m")):
        match = re.fullmatch(r"(\d+)([KMGTkmgt]?)B?", _qemu_argv.parse(value, "size").get("size", ""))
        if match:
            return int(match.group(1)) << {"K": 10, "": 20, "M": 20, "G": 30, "T": 40}[match.group(2).upper()]
    return 128 << 20


def _owned(sysfs: Sysfs, pfs: Mapping[str, PfState], probe: Probe | None) -> tuple[list[UsedVf], list[str]]:
    """The VFs among the passed-through devices, and the addresses of the others."""
    vfs, unknown = [], []
    for device in probe.devices if probe else ():
        pf = pfs.get(sysfs.link(f"{DEVICES}/{device.address}/physfn") or "")
        number = None if pf is None else next((i for i in pf.present if vf_address(pf, i) == device.address), None)
        if pf is None or number is None:
            unknown.append(device.address)
        else:
            vfs.append(UsedVf(pf.address, number, device.address))
    return vfs, unknown
