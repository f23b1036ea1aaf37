# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transitions of PFs from one state to another, of every kind.

Tests try all that can fail at each of their steps.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import vf_request
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import HostDocument, validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import Report, converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import UNFINISHED
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.steps import Step

from ..linux.host import FakeHost
from ..linux.pf import FakePf

A, B, C = "vf-id", "vf-id-narrow", "stock"
IGB, NVME, MLX5, BESIDE = "0000:03:00.0", "0000:04:00.0", "0000:05:00.0", "0000:0b:00.0"
V = "vfio-pci"
Values = Mapping[str, object]


@dataclass(frozen=True)
class Start:
    """The current state of a PF; ``kind`` is a method of `FakeHost`.

    VFs that are ``bound`` have their default driver. ``given``: properties by VF id; ``own``: attributes of the PF.
    ``in_use``: VFs (with VFIO) that a VM has.
    """

    kind: str
    enabled: int = 0
    present: tuple[int, ...] = ()
    vfio: tuple[int, ...] = ()
    bound: tuple[int, ...] = ()
    in_use: tuple[int, ...] = ()
    given: Mapping[int, Values] = field(default_factory=dict)
    own: Values = field(default_factory=dict)
    mtus: Mapping[int, int] = field(default_factory=dict)

    def make(self, host: FakeHost) -> FakePf:
        pf: FakePf = getattr(host, self.kind)()
        host.setup(pf, self.enabled, self.present)
        for vf_id in (*self.vfio, *self.in_use):
            pf.vfs[vf_id].driver = pf.vfs[vf_id].override = V
        for vf_id in self.bound:
            pf.vfs[vf_id].driver = pf.vf_driver
        for vf_id, values in self.given.items():
            pf.properties[vf_id].update(values)
        for vf_id, mtu in self.mtus.items():
            pf.vfs[vf_id].mtu = mtu
        for name, value in self.own.items():
            setattr(pf, name, value)
        host.draw()
        for vf_id in self.in_use:
            host.hold(pf, vf_id, 5000 + len(host.pfs), f"vm-{pf.address}")
        return pf


@dataclass(frozen=True)
class Transition:
    """A transition from ``starts`` to the desired state of ``spec``.

    ``spec`` is a host document, or a request of `sriov_vf` when it has ``ids``.
    """

    name: str
    interface: str
    starts: tuple[Start, ...]
    spec: Mapping[str, Any]

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    def document(self) -> HostDocument:
        return vf_request.validate(self.spec) if "ids" in self.spec else validate(self.spec)


def transition(name: str, interface: str, start: Start, pf: str, **spec: object) -> Transition:
    return Transition(name, interface, (start,), {"pfs": [{"pf": pf, **spec}]})


ETHERNET: Values = {
    "mac": "hash", "vlan": 9, "vlan_proto": "802.1q", "qos": 2, "spoofchk": False, "trust": True,
    "link_state": "enable", "min_tx_rate": 10, "max_tx_rate": 100, "query_rss": True,
}  # fmt: skip
GUIDS: Values = {"node_guid": "02:00:00:00:00:00:01:00+id", "port_guid": "02:00:00:00:00:00:02:00+id"}
OLD: Values = {"mac": "02:00:00:00:0c:02", "vlan": 7, "qos": 3, "vlan_proto": "802.1ad", "link_state": "enable"}
OLD_IGB: Values = {"mac": "02:00:00:00:0c:03", "vlan": 7, "trust": True}

TRANSITIONS = (
    transition("from nothing", A, Start("igb"), IGB, hardware_vfs=7, present_vfs="1,6",
        vfs=[{"ids": 6, "vlan": 5, "driver": V}]),
    transition("grow and shrink", A, Start("igb", 7, (0, 1, 2, 3), vfio=(0, 1, 2), in_use=(3,), given={2: OLD_IGB}),
        IGB, present_vfs="1,3,5", vfs=[{"ids": 5, "driver": "igbvf", "mac": "02:00:00:00:00:05"}]),
    transition("to another number", A, Start("igb", 4, (1, 2, 3), vfio=(1, 3), bound=(2,), given={3: OLD_IGB}), IGB,
        hardware_vfs=7, vfs=[{"ids": 3, "driver": "default"}]),
    transition("to another number, autoprobe off", A, Start("igb", 4, (1, 2), bound=(2,), own={"autoprobe": False}),
        IGB, hardware_vfs=6, present_vfs="1-2,5"),
    transition("off", A, Start("nvme", 4, (0, 3), vfio=(3,)), NVME, hardware_vfs=0, present_vfs="none"),
    transition("drivers", A, Start("igb", 7, (0, 1, 2), vfio=(1,), bound=(0,), in_use=(2,)), IGB,
        drivers_autoprobe=False, vfs=[{"ids": 0, "driver": V}, {"ids": 1, "driver": "default"}]),
    transition("back to the default", A, Start("igb", 4, (0, 1), vfio=(0, 1)), IGB,
        vfs=[{"ids": "0-1", "driver": "default"}]),
    transition("unbound", A, Start("igb", 4, (0, 1, 2), vfio=(0,), bound=(1,), own={"autoprobe": True}), IGB,
        present_vfs="0-3", vfs=[{"ids": "0-1,3", "driver": "unbound"}]),
    transition("names", A, Start("igb", 4, (0, 1, 2), bound=(0, 1), own={"autoprobe": True}), IGB,
        present_vfs="0-3", vfs=[{"ids": "0", "name": "web0"}, {"ids": "1,3", "name": "db+id", "mtu": 1400}]),
    transition("unbound, autoprobe off", A, Start("igb", 4, (0, 1, 2), vfio=(0,), bound=(1,)), IGB,
        drivers_autoprobe=False, vfs=[{"ids": "0-1", "driver": "unbound"}]),
    transition("stock unbound", C, Start("igb"), IGB, hardware_vfs=3, vfs=[{"ids": "1-2", "driver": "unbound"}]),
    transition("narrow from nothing", B, Start("igb"), IGB, hardware_vfs=7, present_vfs="0-1",
        vfs=[{"ids": 1, "driver": V, "mac": "02:00:00:00:00:01"}]),
    transition("narrow grow", B, Start("nvme", 8, (0, 1), in_use=(1,)), NVME, present_vfs="0-3",
        vfs=[{"ids": 3, "driver": V}]),
    transition("narrow shrink", B, Start("igb", 4, (0, 1, 2), vfio=(1,), bound=(0,), given={0: OLD_IGB}), IGB,
        present_vfs="1"),
    transition("stock from nothing", C, Start("igb"), IGB, hardware_vfs=3,
        vfs=[{"ids": 1, "driver": V, "trust": True}]),
    transition("stock to another number", C, Start("igb", 3, (0, 1, 2), vfio=(1,), bound=(0,), given={2: OLD_IGB}), IGB,
        hardware_vfs=5, vfs=[{"ids": 4, "vlan": 4}]),
    transition("stock off", C, Start("nvme", 2, (0, 1), bound=(0,)), NVME, hardware_vfs=0, present_vfs="none"),
    transition("stock drivers", C, Start("igb", 3, (0, 1, 2), bound=(0, 1), in_use=(2,)), IGB,
        vfs=[{"ids": "0-1", "driver": V, "spoofchk": False}]),
    transition("switchdev", A, Start("mlx5", 4, (0, 2), bound=(0,), vfio=(2,), given={2: OLD}), MLX5,
        eswitch_mode="switchdev", mtu=9000, vfs=[{"ids": 0, "msix_vectors": 20, "mtu": 4000}]),
    transition("switchdev from nothing", A, Start("mlx5", own={"vfs_first": True}), MLX5, hardware_vfs=3,
        present_vfs="0,2", eswitch_mode="switchdev", vfs=[{"ids": 2, "mac": "hash", "driver": V}]),
    transition("stock switchdev from nothing", C, Start("mlx5"), MLX5, hardware_vfs=2, eswitch_mode="switchdev"),
    transition("back to legacy", A, Start("mlx5", 3, (1, 2), bound=(1,), own={"eswitch": "switchdev"}), MLX5,
        eswitch_mode="legacy", present_vfs="0-2"),
    transition("vectors of new VFs", A, Start("mlx5", 4, (0,), bound=(0,)), MLX5, present_vfs="0-2",
        vfs=[{"ids": "0-1", "msix_vectors": 20}]),
    transition("stock vectors of new VFs", C, Start("mlx5"), MLX5, hardware_vfs=2,
        vfs=[{"ids": 0, "msix_vectors": 20}]),
    transition("all properties", A, Start("mlx5", 4, (0, 2), bound=(0, 2), given={2: OLD}, mtus={2: 3000}), MLX5,
        present_vfs="0-2", vfs=[{"ids": "1-2", **ETHERNET, "msix_vectors": 20, "mtu": 1400}]),
    transition("eswitch, VFs disabled", A, Start("ice", 4, (0, 2), bound=(0,), vfio=(2,), given={2: OLD}),
        "0000:06:00.0", eswitch_mode="switchdev", mtu=9000, vfs=[{"ids": 2, "driver": V, "msix_vectors": 20}]),
    transition("eswitch, VFs disabled, all VFs named", C, Start("ice", 2, (0, 1), bound=(1,)), "0000:06:00.0",
        eswitch_mode="switchdev", vfs=[{"ids": "all", "mac": "02:00:00:00:00:10+id"}]),
    transition("InfiniBand", A,
        Start("ipoib", 4, (0, 2), vfio=(0,), given={1: {"node_guid": "02:00:00:00:00:00:0a:02"}}),
        "0000:07:00.0", vfs=[{"ids": "1-2", **GUIDS, "link_state": "enable"}]),
    transition("settings of the PF", A, Start("mlx5", 2, (0,), in_use=(0,)), MLX5, mtu=9000, drivers_autoprobe=False),
    Transition("VF present", A, (Start("igb", 7, (0, 1), in_use=(0,)),),
        {"pf": IGB, "ids": "1-2", "driver": V, "vlan": 5, "spoofchk": False}),
    Transition("VF absent", A, (Start("igb", 7, (0, 1, 2), vfio=(1,), bound=(2,), in_use=(0,)),),
        {"pf": IGB, "ids": "1-2", "state": "absent"}),
    Transition("VF absent after disabling all", B, (Start("nvme", 4, (0, 1, 2), vfio=(1,), bound=(2,)),),
        {"pf": NVME, "ids": "1", "state": "absent"}),
    Transition("several PFs", A, (Start("igb", 7, (0, 1), in_use=(1,)), Start("nvme", 8, (2,), vfio=(2,)),
                            Start("mlx5", own={"netdev": "eth5"})),
        {"pfs": [{"pf": IGB, "present_vfs": "1-2", "vfs": [{"ids": 2, "driver": V, "trust": True}]},
                 {"pf": NVME, "hardware_vfs": 5},
                 {"pf": MLX5, "hardware_vfs": 2, "present_vfs": "1", "mtu": 9000, "vfs": [{"ids": 1, "vlan": 3}]}]}),
)  # fmt: skip


class Scene:
    """A fake host for one transition, which can be reset at will.

    It has another PF beside those of the transition. ``previous``: its picture before; ``actions``, ``kinds``,
    ``asked``: of a run without faults, as `FakeHost` counts them, and its ``steps``. ``used``: the VFs `in_use` before.
    """

    def __init__(self, folder: Path, what: Transition) -> None:
        self.transition = what
        self.actions, self.asked, self.kinds = 0, 0, [""]
        self.steps: tuple[Step, ...] = ()
        self.host = FakeHost(folder, what.interface, ("igb", "igbvf", "nvme", "mlx5_core", "ice", "iavf", V))
        for start in what.starts:
            start.make(self.host)
        beside = FakePf(BESIDE, 4, "nvme", vf_driver="nvme", offset=1, stride=1)
        self.host.add(beside)
        self.host.setup(beside, 2, (0, 1), V)
        self._start = copy.deepcopy(self.host.pfs)
        self.used = self.in_use()
        self.previous = self.picture()

    def rehearse(self) -> None:
        """Count the actions of a run without faults, and reset."""
        self.steps = self.run().plan.steps
        self.actions, self.asked, self.kinds = self.host.actions, self.host.asked, list(self.host.kinds)
        self.reset()

    def reset(self, faults: Mapping[int, int | str] | None = None, wrong: Mapping[int, str] | None = None) -> None:
        """Reset the host to its previous state, with these ``faults`` next."""
        host = self.host
        for handle in host.locks.values():
            handle.close()
        host.locks.clear()
        shutil.rmtree(host.root / UNFINISHED.lstrip("/"), ignore_errors=True)
        host.pfs.clear()
        host.pfs.update(copy.deepcopy(self._start))
        host.draw()
        self.used = self.in_use()
        self.live(faults, wrong)

    def live(self, faults: Mapping[int, int | str] | None = None, wrong: Mapping[int, str] | None = None) -> None:
        """Begin the next run with the host as it is."""
        host = self.host
        host.actions = host.asked = 0
        host.dead = False
        host.faults, host.wrong = dict(faults or {}), dict(wrong or {})
        for noted in (host.kinds, host.struck, host.sysfs.writes, host.sysfs.within, host.run.calls):
            noted.clear()

    def run(self, check: bool = False) -> Report:
        """Run the engine, with all that is disruptive allowed.

        VFs in use stay refused.
        """
        host = self.host
        return converge(host.sysfs, host.run, self.transition.document(), allow_disruptive=True, check=check)

    def picture(self) -> dict[str, Any]:
        """All that an undo must restore.

        In switchdev mode of mlx5 the representors set the links.
        """
        taken: dict[str, Any] = copy.deepcopy(self.host.picture())
        for address, pf in self.host.pfs.items():
            if pf.eswitch == "switchdev" and pf.driver == "mlx5_core":
                for properties in taken[address]["properties"].values():
                    del properties["link_state"]
        return taken

    def in_use(self) -> dict[tuple[str, int], int]:
        """The VFs in use, as objects.

        A VF that was removed and added again is another object.
        """
        return {(pf.address, i): id(vf) for pf in self.host.pfs.values() for i, vf in pf.vfs.items() if vf.in_use}
