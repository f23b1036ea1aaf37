# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates of VFs that wait for their PF's carrier.

Drivers answer EINVAL to a rate as long as the link is down (ixgbe_ndo_set_vf_bw, igb_ndo_set_vf_bw), which it is for
seconds after a boot. No VM waits for that: nothing leaves a port without carrier.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .._document.document import PfSpec
from .._document.vf_spec import VfSpec
from .._model import vf_ids
from .._model.deadlines import LINK_PAUSE_S
from .._model.errors import KernelError, SriovError
from .._model.paths import DEVICES, NETDEVS
from .._model.update_deadlines import CARRIER_S
from .._readers import netdevs
from .machine import LiveHost

RATES = ("max_tx_rate", "min_tx_rate")
Wanted = Mapping[str, Sequence[VfSpec]]
"""Specs of VFs, by PF."""


@dataclass
class Rates:
    """Rates that could not be set yet.

    ``converge`` brings PFs to their specs. Threads wait for carrier, for ``deadline_s``. ``unset``: reasons of what is
    not set, by PF and ids.
    """

    host: LiveHost
    converge: Callable[[Sequence[PfSpec]], None]
    deadline_s: float = field(default_factory=lambda: CARRIER_S)
    threads: list[threading.Thread] = field(default_factory=list)
    unset: dict[tuple[str, frozenset[int]], str] = field(default_factory=dict)

    def without(self, wanted: Wanted) -> dict[str, list[VfSpec]]:
        """The specs, without rates where the PF has no carrier."""
        return {pf: [vf if self._has_carrier(pf) else _unlimited(vf) for vf in vfs] for pf, vfs in wanted.items()}

    def hold(self, wanted: Wanted, given: Wanted) -> None:
        """Set what ``given`` lacks of ``wanted`` once there is carrier."""
        for pf, vfs in wanted.items():
            held = [
                VfSpec(vf.ids, properties=vf.properties.missing_in(now.properties))
                for vf, now in zip(vfs, given[pf]) if vf != now
            ]  # fmt: skip
            if held:
                ids = frozenset(int(vf_id) for vf in held for vf_id in vf.ids)
                self.unset[pf, ids] = "its port has no carrier"
                self.host.log(f"PF {pf}: rates of VFs {vf_ids.compress(ids)} are set when its port has carrier")
                self.threads.append(threading.Thread(target=self._set, args=(pf, ids, held), daemon=True))
                self.threads[-1].start()

    def finish(self) -> list[str]:
        """Wait for all threads; returns what is not set."""
        for thread in self.threads:
            thread.join()
        return [f"PF {pf} lacks rates of VFs {vf_ids.compress(ids)}: {why}" for (pf, ids), why in self.unset.items()]

    def _set(self, pf: str, ids: frozenset[int], held: Sequence[VfSpec]) -> None:
        until = time.monotonic() + self.deadline_s
        while time.monotonic() < until:
            if self._has_carrier(pf):
                try:
                    self.converge([PfSpec(pf, vfs=tuple(held))])
                    del self.unset[pf, ids]
                    return
                except SriovError as error:
                    self.unset[pf, ids] = str(error)
            self.host.sleep(LINK_PAUSE_S)

    def _has_carrier(self, pf: str) -> bool:
        """Whether a PF's port has carrier.

        True for one without a network interface. The file cannot be read while the interface is down
        (Documentation/ABI/testing/sysfs-class-net).
        """
        names = netdevs.names(self.host.sysfs, f"{DEVICES}/{pf}")
        if not names or not self.host.sysfs.exists(f"{NETDEVS}/{names[0]}/carrier"):
            return True
        try:
            return self.host.sysfs.read(f"{NETDEVS}/{names[0]}/carrier") == "1"
        except KernelError:
            return False


def _unlimited(vf: VfSpec) -> VfSpec:
    """A spec without rates other than 0, with which drivers begin."""
    return vf._replace(properties=vf.properties.without([name for name in RATES if getattr(vf.properties, name)]))
