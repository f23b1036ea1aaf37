# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unplugging a guest's VFs, and its answers that come late.

Nothing takes a request back. Found on QEMU 10.0.2 with guests that obey, that are late and that are deaf
(`test_unplug_real.py`; hw/acpi/pcihp.c, hw/pci/pcie.c, docs/specs/acpi_pci_hotplug.rst of QEMU): no QOM property shows
it, and device_add finds id and slot taken while it waits. With ACPI hot-plug, q35's default, it is a bit of the
register PCID, which outlives stop, cont and a migration; device_del asks again without an error; any reset of the VM
carries it out, so that the guest loses its NIC at its next reboot. With native hot-plug device_del says "already in the
process of unplug" for five seconds and presses the button again after them; a reset drops the request.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import DeadlineError, SriovError
from ..._system import durable
from ..backend import StragglerError
from .devices import GuestDevice
from .guest import Guest
from .qmp import Message, QmpError

NOTE = ".unplug"
"""End of a note's name, after that of the VM's state."""


@dataclass(frozen=True)
class Unplug:
    """Requests to release VFs.

    ``note``: the file that has those asked for and not seen gone, so that an abort knows them, whoever does it.
    """

    guest: Guest
    note: str

    def release(self, devices: Sequence[GuestDevice]) -> None:
        """Unplug all VFs at once.

        Each guest driver takes its time: pciehp waits 5 s after the button is pressed. Raises `StragglerError`.
        """
        until = time.monotonic() + self.guest.deadlines.unplug_s
        self._remember({device.address for device in devices})
        for device in devices:
            self._request(device, until)
        for device in devices:
            self._wait(device, until)
        self._remember(())

    def left(self) -> set[str]:
        """VFs that the guest has, and may release any time.

        Those that are gone need no note any more.
        """
        asked = self._asked()
        left = asked & {device.address for device in self.guest.devices()} if asked else asked
        if left != asked:
            self._remember(left)
        return left

    def settle(self) -> str | None:
        """Plug again what the guest releases late.

        Returns what is left to a person, None for nothing.
        """
        until = time.monotonic() + self.guest.deadlines.unplug_s
        asked = self._asked()
        while asked:
            left = self.left()
            for address in sorted(asked - left):
                self.guest.plug(address)
            asked = left
            if time.monotonic() >= until:
                break
            self.guest.sleep(BUSY_PAUSE_S)
        return self._advice(sorted(asked)) if asked else None

    def _request(self, device: GuestDevice, until: float) -> None:
        """Press the button of a VF's slot.

        Again while the guest is busy with an earlier press: its power indicator blinks then, for at most 5 s
        (hw/pci/pcie.c, pcie_cap_slot_unplug_request_cb).
        """
        while True:
            try:
                self.guest.qmp.execute("device_del", id=device.handle)
                return
            except SriovError as error:
                said = error.description if isinstance(error, QmpError) else ""
                if "already in the process of unplug" in said:
                    return
                if "guest is busy" not in said:
                    raise
                if time.monotonic() >= until:
                    raise StragglerError(f"VF {device.address} ({device.handle}) is not released: {error}") from error
                self.guest.sleep(BUSY_PAUSE_S)

    def _wait(self, device: GuestDevice, until: float) -> None:
        vm = self.guest.vm.name
        what = f"VM {vm} to release VF {device.address} ({device.handle})"
        try:
            event = self.guest.qmp.wait_event(_about(device), what, until - time.monotonic())
        except DeadlineError as error:
            raise StragglerError(f"{error}, {self.guest.deadlines.unplug_s:g} s after it was asked") from error
        if event["event"] != "DEVICE_DELETED":
            self._remember(self._asked() - {device.address})
            raise StragglerError(f"VM {vm}: the guest refused to unplug VF {device.address} ({device.handle})")

    def _asked(self) -> set[str]:
        """VFs of the note; a damaged one keeps no guest stopped."""
        try:
            asked = (durable.read_json(self.note) or {"asked": []}).get("asked")
            if isinstance(asked, list) and all(isinstance(one, str) for one in asked):
                return set(asked)
        except SriovError:
            pass
        durable.set_aside(self.note)
        return set()

    def _remember(self, addresses: Collection[str]) -> None:
        if addresses:
            durable.write_json(self.note, {"asked": sorted(addresses)})
        else:
            durable.remove(self.note)

    def _advice(self, addresses: Sequence[str]) -> str:
        """What to know and to type for requests that stay."""
        part = self.guest.part
        adds = [json.dumps({"execute": "device_add", "arguments": dict(part.devices[one])}) for one in addresses]
        lines = ['{"execute": "qmp_capabilities"}', *adds]
        say = f"printf '%s\\n' {' '.join(shlex.quote(line) for line in lines)}"
        return (
            f"the guest was asked to release VF {', '.join(addresses)} and may do so at any time, at the latest when it"
            f" is rebooted. Once it has, `sriovctl live-update restore {self.guest.vm.name}` plugs it again; after the "
            f"update is forgotten: ({say}; sleep 2) | socat - UNIX-CONNECT:{shlex.quote(part.qmp)}"
        )


def _about(device: GuestDevice) -> Callable[[Message], bool]:
    names = ("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR")
    return lambda event: event["event"] in names and event.get("data", {}).get("path") == device.path
