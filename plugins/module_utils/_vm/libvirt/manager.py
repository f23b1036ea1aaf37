# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt does with saved domains of its own accord.

An ordinary `virsh start` loads a saved domain for whoever types it, deletes its image, and knows nothing of VFs that
were detached live.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from ..._model.errors import KernelError, ToolError
from ..._model.properties import VfProperties
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..._tools import virsh
from ..backend import Deadlines
from ..candidates import started
from ..record import ManifestVf, ManifestVm
from ..vm_facts import VmFacts
from . import discovery, save_image
from .attempt import Attempt
from .connection import Connection, is_gone
from .devices import Devices
from .facts import LibvirtFacts
from .holds import Holds
from .part import LibvirtPart
from .restoring import Restoring

INCOMING = "-incoming"
"""QEMU's option for a guest that is loaded, not booted."""


@dataclass(frozen=True)
class LibvirtManager:
    """The system's libvirt, as far as others use it too.

    Clocks are members, so that tests can replace them.
    """

    sysfs: Sysfs
    run: Run
    deadlines: Deadlines = field(default_factory=Deadlines)
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    name: ClassVar[str] = discovery.NAME
    managed: ClassVar[bool] = True

    @property
    def connection(self) -> Connection:
        return Connection(self.run, self.sleep)

    def pid(self, name: str) -> int | None:
        return discovery.find_live(self.sysfs, name)

    def is_own(self, vm: ManifestVm) -> bool:
        attempt = Attempt(self.sysfs, LibvirtPart.of(vm).uuid)
        return attempt.is_of_this_boot() and self.pid(vm.name) is not None

    def continues(self, vm: ManifestVm) -> bool:
        """Whether a QEMU that was not armed has loaded a kept image.

        By its command line: the reason of a state that libvirt names is another one after a pause.
        """
        pid = self.pid(vm.name)
        if pid is None or not save_image.is_kept(self.sysfs, LibvirtPart.of(vm).uuid):
            return False
        try:
            armed = (pid, started(self.sysfs, pid)) == (vm.pid, vm.started)
            return not armed and INCOMING in self.sysfs.read(f"/proc/{pid}/cmdline").split("\0")
        except KernelError:
            return False

    def offer(self, vm: ManifestVm, state: str) -> None:
        self.restoring(vm).offer(state)

    def withhold(self, vm: ManifestVm) -> None:
        self.restoring(vm).withhold()

    def restoring(self, vm: ManifestVm) -> Restoring:
        part = LibvirtPart.of(vm)
        return Restoring(self.sysfs, self.connection, part, self.devices(vm), self.deadlines)

    def devices(self, vm: ManifestVm) -> Devices:
        return Devices(self.sysfs, self.connection, vm, LibvirtPart.of(vm))

    def released(self, vm: ManifestVm, vf: ManifestVf, now: VfProperties) -> VfProperties:
        """Keep what libvirt sets of an interface.

        It resets that when it detaches it.
        """
        if not LibvirtPart.of(vm).is_interface(vf.address):
            return now
        return now._replace(mac=vf.properties.mac, vlan=vf.properties.vlan)

    def moving(self, vm: VmFacts, to: str) -> tuple[str, ...]:
        """Migrate the domain live.

        If it was defined here, it is defined there then, and here no more.
        """
        facts = LibvirtFacts.of(vm)
        kept = ("--persistent", "--undefinesource") if facts.info.persistent else ()
        return virsh.argv("migrate", facts.domain.uuid, "--live", *kept, "--desturi", f"qemu+ssh://{to}/system")

    def starts_again(self, vm: ManifestVm) -> str | None:
        info = self.connection.info(LibvirtPart.of(vm).uuid)
        if not info.autostart and not info.autostart_once:
            return None
        return f"domain {vm.name} is still defined here with autostart: virsh undefine {vm.name}"

    def forget(self, vm: ManifestVm, aside: str | None) -> None:
        """Give up the kept image, and what was held off.

        A domain that is gone has no more than the image.
        """
        part = LibvirtPart.of(vm)
        save_image.hide(self.sysfs, self.connection, part.uuid, part.domain)
        if aside is None:
            save_image.forget(self.sysfs, part.uuid)
        else:
            save_image.move_aside(self.sysfs, part.uuid, os.path.join(aside, "libvirt.save"))
        Attempt(self.sysfs, part.uuid).end()
        try:
            Holds(self.sysfs, self.connection, part).give_back()
        except ToolError as error:
            if not is_gone(error):
                raise
