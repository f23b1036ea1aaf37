# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of a running domain: detached and attached live, its definition untouched.

libvirt answers before the guest has released a device, and forgets one that the guest releases late; its live XML says
what a domain has.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import SriovError, ToolError
from ..._model.libvirt_paths import LIBVIRT_SCRATCH
from ..._system import durable
from ..._system.sysfs import Sysfs
from ..backend import StragglerError
from ..record import ManifestVm
from .connection import Connection
from .part import LibvirtPart

NOTE = ".unplug"
"""End of a note's name, after that of the VM's state."""


@dataclass(frozen=True)
class Devices:
    """The VFs of one domain."""

    sysfs: Sysfs
    connection: Connection
    vm: ManifestVm
    part: LibvirtPart

    def attached(self) -> set[str]:
        """Addresses of the VM's VFs that its domain has now."""
        return set(self._aliases()) & {vf.address for vf in self.vm.vfs}

    def _aliases(self) -> dict[str, str]:
        """Aliases of all devices of the host, by PCI address."""
        return {one.address: one.alias for one in self.connection.live(self.part.uuid).host_devices}

    def release(self, note: str, seconds: float) -> None:
        """Detach all VFs at once; raises `StragglerError` after ``seconds``.

        ``note``: file that has those asked for and not seen gone.
        """
        until = time.monotonic() + seconds
        aliases = self._aliases()
        more = sorted(set(aliases) - {vf.address for vf in self.vm.vfs})
        if more:
            raise SriovError(f"VM {self.vm.name} has device {', '.join(more)} since it was armed: arm the update again")
        left = set(aliases)
        _remember(note, left)
        for address, alias in aliases.items():
            self._detach(address, alias)
        while left:
            left = self.attached()
            if left and time.monotonic() >= until:
                raise StragglerError(
                    f"VM {self.vm.name}: the guest has not released VF {', '.join(sorted(left))} within {seconds:g} s"
                )
            if left:
                self.connection.sleep(BUSY_PAUSE_S)
        _remember(note, ())

    def attach(self) -> None:
        """Attach all VFs that the domain lacks, and see them there.

        Not in addition to others, which a network of VFs has given to a domain that was booted anew.
        """
        if self._has_others():
            return
        folder = self.sysfs.real(LIBVIRT_SCRATCH)
        durable.make_private_folder(folder)
        for address in sorted({vf.address for vf in self.vm.vfs} - self.attached()):
            path = f"{LIBVIRT_SCRATCH}/{self.part.uuid}-{address}.xml"
            durable.write_text(self.sysfs.real(path), self.part.devices[address], 0o600)
            try:
                self.connection.tell("attach-device", self.part.uuid, path, "--live")
            finally:
                durable.remove(self.sysfs.real(path))
        lost = sorted({vf.address for vf in self.vm.vfs} - self.attached())
        if lost:
            raise SriovError(f"VM {self.vm.name}: libvirt has attached VF {', '.join(lost)}, and the domain lacks it")

    def _has_others(self) -> bool:
        found, mine = set(self._aliases()), {vf.address for vf in self.vm.vfs}
        return len(found - mine) >= len(mine - found) > 0

    def settle(self, note: str, seconds: float) -> str | None:
        """Attach again what the guest releases late.

        Returns what is left to a person, None for nothing.
        """
        until = time.monotonic() + seconds
        asked = _asked(note)
        while asked:
            gone = asked - self.attached()
            if gone:
                self.attach()
                asked -= gone
                _remember(note, asked)
            if not asked or time.monotonic() >= until:
                break
            self.connection.sleep(BUSY_PAUSE_S)
        if not asked:
            return None
        return (
            f"the guest was asked to release VF {', '.join(sorted(asked))} and may do so at any time, at the latest "
            f"when it is rebooted. Once it has, `sriovctl live-update restore {self.vm.name}` attaches it again"
        )

    def _detach(self, address: str, alias: str) -> None:
        try:
            self.connection.tell("detach-device-alias", self.part.uuid, alias, "--live")
        except ToolError as error:
            if "already in the process of unplug" not in error.stderr and address in self.attached():
                raise


def _asked(note: str) -> set[str]:
    """VFs of the note; a damaged one keeps no guest stopped."""
    try:
        asked = (durable.read_json(note) or {"asked": []}).get("asked")
        if isinstance(asked, list) and all(isinstance(one, str) for one in asked):
            return set(asked)
    except SriovError:
        pass
    durable.set_aside(note)
    return set()


def _remember(note: str, addresses: Collection[str] | Iterable[str]) -> None:
    found = sorted(addresses)
    if found:
        durable.write_json(note, {"asked": found})
    else:
        durable.remove(note)
