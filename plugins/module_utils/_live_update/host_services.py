# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared services of a host, which its VMs need.

Those of DPDK, SPDK or Open vSwitch; a helper with a socket to which a QEMU connects is a need of that VM.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from .._system.process import Run
from .finding import Finding

ACTIVE = ("active", "reloading", "refreshing")
VOLATILE = ("/run/systemd/transient/", "/run/systemd/system.control/", "/run/systemd/system/")
"""Folders of unit files that a kexec empties (systemd.unit(5))."""


@dataclass(frozen=True)
class Service:
    """A declared unit; ``path``: of its file, empty without one."""

    name: str
    active: bool
    path: str


def read(run: Run, names: Collection[str]) -> tuple[Service, ...]:
    """Read the declared units; `SriovError` when systemd does not answer."""
    found = []
    for name in names:
        shown = run(["systemctl", "show", "--property=ActiveState,FragmentPath", "--", name])
        values = dict(line.partition("=")[::2] for line in shown.splitlines())
        found.append(Service(name, values.get("ActiveState") in ACTIVE, values.get("FragmentPath", "")))
    return tuple(found)


def check(found: Sequence[Service]) -> Iterator[Finding]:
    """Find the services that no boot could start again."""
    for one in found:
        if one.active and (not one.path or one.path.startswith(VOLATILE)):
            where = f"its file {one.path} goes with the kexec" if one.path else "it has no file"
            yield Finding(
                "host-service", f"{one.name} of host_services is active, and no boot can start it again: {where}",
                "put its file into /etc/systemd/system, or take it out of host_services",
            )  # fmt: skip
