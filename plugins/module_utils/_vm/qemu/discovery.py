# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running QEMU processes: their command lines, cgroups and monitors."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..._holders.processes import pids
from ..._model.errors import SriovError
from ..._model.state import PfState
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..assigned import assigned
from ..candidates import PROGRAM, control_group, is_dry_start, program, started, trusted, unit, user
from ..vm_facts import VmFacts
from . import argv as _qemu_argv
from . import disks, other_units, own_unit
from . import needs as _needs
from . import taps as _taps
from . import threads as _threads
from . import unit as _unit_settings
from .facts import QemuFacts
from .other_units import Enabled
from .probe import Probe

NAME = "qemu"
MOST_AT_ONCE = 32
"""VMs that are asked at the same time."""
Ask = Callable[[str, Sequence[str]], Probe]
"""Reader of a monitor: (path of its socket, QEMU's command line).

Raises `SriovError` when the monitor does not answer.
"""


def processes(sysfs: Sysfs) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(pid, argv) of each QEMU that may be a VM.

    Processes of other users count only as VMs of libvirt: nothing of theirs is parsed. A process that ends meanwhile
    is left out.
    """
    for pid in pids(sysfs):
        try:
            if PROGRAM.fullmatch(program(sysfs, pid)) and trusted(sysfs, pid) and not is_dry_start(sysfs, pid):
                text = sysfs.read(f"/proc/{pid}/cmdline")
                if text:
                    yield pid, tuple(text.rstrip("\0").split("\0"))
        except SriovError:
            continue


def find_live(sysfs: Sysfs, name: str) -> int | None:
    """Process id of the QEMU that runs VM ``name``, or None."""
    return next((pid for pid, argv in processes(sysfs) if _name(pid, argv) == name), None)


def runs(sysfs: Sysfs, name: str, lines: Sequence[Sequence[str]]) -> bool:
    """Whether VM ``name`` runs with one of these command lines.

    The program may be another path: systemd-run finds it.
    """
    known = [list(line[1:]) for line in lines]
    return any(_name(pid, argv) == name and list(argv[1:]) in known for pid, argv in processes(sysfs))


def discover(
    sysfs: Sysfs, run: Run, ask: Ask, pfs: Mapping[str, PfState], taken: Collection[int] = ()
) -> list[VmFacts]:
    """Read the facts of each VM, its VFs from QEMU itself.

    Not of processes ``taken`` by other backends. A VM that does not answer has the reason.
    All are asked at once: a monitor that is busy costs its deadline.
    """
    found = [one for one in processes(sysfs) if one[0] not in taken]
    enabled = other_units.read(sysfs)
    with ThreadPoolExecutor(max(1, min(len(found), MOST_AT_ONCE))) as pool:
        return list(pool.map(lambda one: _facts(sysfs, run, ask, pfs, enabled, *one), found))


def _facts(
    sysfs: Sysfs,
    run: Run,
    ask: Ask,
    pfs: Mapping[str, PfState],
    enabled: Sequence[Enabled],
    pid: int,
    argv: tuple[str, ...],
) -> VmFacts:
    qmp, probe, error = _ask(ask, argv)
    service, cgroup = _unit(sysfs, pid)
    shown = _show(run, service)
    vfs, others = assigned(sysfs, pfs, [device.address for device in probe.devices] if probe else [])
    name, cwd = _name(pid, argv), sysfs.target(f"/proc/{pid}/cwd") or "/"
    transient = f"kvmfleet-vm-{name}.service"
    images, replaced = disks.find(sysfs, pid, probe.images if probe else (), cwd)
    detail = QemuFacts(
        argv=argv,
        cwd=cwd,
        uid=user(sysfs, pid),
        own_namespaces=_own_namespaces(sysfs, pid),
        libvirt="machine.slice" in cgroup or sysfs.exists(f"/run/libvirt/qemu/{name}.xml"),
        fragment=own_unit.file_of(sysfs, service or transient) or shown.get("FragmentPath", ""),
        restart=shown.get("Restart", ""),
        qmp=qmp,
        probe=probe,
        probe_error=error,
        unit=_unit_settings.read(sysfs, run, pid, cgroup),
        replaced=replaced,
        starters=_starters(enabled, name, service or transient, [image.name for image in images]),
        enabled=any(one.name == (service or transient) for one in enabled),
        needs=_needs.read(sysfs, run, pid, argv, cwd, qmp),
        taps=_taps.read(sysfs, run, pid, argv),
        pins=_threads.pinned(sysfs, pid, probe.threads if probe else {}),
    )
    memory = probe.memory_bytes if probe else _memory(argv)
    live = probe is not None and probe.live
    return VmFacts(
        name, NAME, pid, started(sysfs, pid), service or transient, detail, vfs, others, memory, images, live
    )


def _starters(enabled: Sequence[Enabled], name: str, unit: str, images: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Enabled units but its own that would start a VM."""
    return tuple((one.name, one.path) for one in enabled if one.name != unit and one.starts(name, images))


def _name(pid: int, argv: Sequence[str]) -> str:
    return _qemu_argv.guest_name(argv) or f"qemu-{pid}"


def _ask(ask: Ask, argv: Sequence[str]) -> tuple[str | None, Probe | None, str | None]:
    """Probe by the first monitor that answers; else the last error."""
    path, error = None, None
    for path in _qemu_argv.qmp_sockets(argv):
        try:
            return path, ask(path, argv), None
        except SriovError as problem:
            error = str(problem)
    return path, None, error


def _unit(sysfs: Sysfs, pid: int) -> tuple[str, str]:
    """(service of a process, its control group).

    A process of a login session has no service.
    """
    group = control_group(sysfs, pid)
    service = unit(group) if unit(group).endswith(".service") else ""
    return ("" if service in ("sshd.service", "ssh.service") else service), group


def _show(run: Run, unit: str) -> dict[str, str]:
    if not unit:
        return {}
    text = run(["systemctl", "show", "--property=FragmentPath,Restart", unit])
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _own_namespaces(sysfs: Sysfs, pid: int) -> bool:
    return any(sysfs.link(f"/proc/{pid}/ns/{kind}") != sysfs.link(f"/proc/1/ns/{kind}") for kind in ("mnt", "net"))


def _memory(argv: Sequence[str]) -> int:
    """Guest memory in bytes from ``-m``.

    A number is in MiB unless it has a suffix; QEMU's default is 128 MiB.
    """
    for value in reversed(_qemu_argv.values(argv, "-m")):
        match = re.fullmatch(r"(\d{1,15})([KMGTkmgt]?)B?", _qemu_argv.parse(value, "size").get("size", ""))
        if match:
            return int(match.group(1)) << {"K": 10, "": 20, "M": 20, "G": 30, "T": 40}[match.group(2).upper()]
    return 128 << 20
