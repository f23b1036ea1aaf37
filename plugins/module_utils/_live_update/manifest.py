# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of one live update, written once, while arming.

It has all that the node needs to act alone.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .._model import properties as _properties
from .._model.errors import BadInputError
from .._model.paths import PCI_ADDRESS
from .._model.properties import VfProperties
from .._vm import registry
from .._vm.record import POLICIES, STRAGGLERS, STRATEGIES, ManifestVf, ManifestVm
from . import checks, watchdog_plan

SCHEMA = 7
"""Version of the manifest's form.

1 had QEMU's data among the members of a VM, 2 has a part for the VM's backend, 3 its policies as a
straggler and on another kernel, 4 the build of the new kernel, and the previous one, and how VFs
are seen to work, 5 the host's services that VMs wait for, 6 the strategy of a VM, 7 the time since the boot.
"""

ID = re.compile(r"[0-9a-f]{32}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
KINDS: dict[str, tuple[type, ...]] = {
    "text": (str,), "text or null": (str, type(None)), "number": (int, float), "whole number": (int,),
    "true or false": (bool,), "list": (list,), "object": (dict,),
}  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """The kernels of an update.

    ``build_after``: version text (uname -v) of the image, None where it does not show it; ``initrd_before`` and
    ``cmdline_before``: what leads back, with the image of ``release_before``.
    """

    release_before: str
    release_after: str
    image: str
    initrd: str | None
    cmdline: str
    build_after: str | None = None
    initrd_before: str | None = None
    cmdline_before: str = ""


@dataclass(frozen=True)
class ManifestPf:
    """A PF's state while arming.

    Ids are lists like ``0-3,200``, ``none`` for none.
    """

    pf: str
    driver: str
    netdev: str | None
    netdev_up: bool
    hardware_vfs: int
    present_vfs: str
    drivers_autoprobe: bool
    interface: str


@dataclass(frozen=True)
class Manifest:
    """The manifest's members.

    ``created``: seconds since the epoch; ``uptime``: since the boot, at that time; ``boot_id``: of the arming kernel;
    ``modules``: to be loaded for QEMU; ``watchdog``: a `watchdog_plan.Plan`, empty for none; ``services``: units to be
    active before VMs are started.
    """

    id: str
    created: float
    host: str
    boot_id: str
    kernel: Kernel
    budget_s: float
    options: Mapping[str, Any]
    pfs: tuple[ManifestPf, ...]
    vms: tuple[ManifestVm, ...]
    modules: tuple[str, ...] = ()
    watchdog: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    uptime: float = 0.0
    schema: int = field(default=SCHEMA)

    def to_dict(self) -> dict[str, Any]:
        """The manifest as in its file, with lists for tuples."""
        data = asdict(self)
        for vm, item in zip(self.vms, data["vms"]):
            for vf, vf_item in zip(vm.vfs, item["vfs"]):
                vf_item["properties"] = vf.properties.to_dict()
        plain: dict[str, Any] = json.loads(json.dumps(data))
        return plain

    def used_ids(self) -> dict[str, set[int]]:
        """VF ids that VMs own, by PF."""
        used: dict[str, set[int]] = {}
        for vm in self.vms:
            for vf in vm.vfs:
                used.setdefault(vf.pf, set()).add(vf.id)
        return used


def new_id() -> str:
    return secrets.token_hex(16)


def validate(data: Mapping[str, Any], where: str = "manifest") -> Manifest:
    """Make a manifest from a mapping.

    Raises `BadInputError` naming the path of the wrong key.
    """
    _require_schema(data, where)
    top = _take(data, where, {
        "schema": "whole number", "id": "text", "created": "number", "host": "text", "boot_id": "text",
        "kernel": "object", "budget_s": "number", "options": "object", "pfs": "list", "vms": "list",
        "modules": "list", "watchdog": "object", "services": "list", "uptime": "number",
    })  # fmt: skip
    if not ID.fullmatch(top["id"]):
        raise BadInputError(f"{where}.id: '{top['id']}' is not 32 hexadecimal digits")
    manifest = Manifest(
        **{**top, "modules": tuple(top["modules"]), "services": _texts(top["services"], f"{where}.services"),
           "kernel": _kernel(top["kernel"], f"{where}.kernel"),
           "pfs": tuple(_pf(item, f"{where}.pfs[{n}]") for n, item in enumerate(top["pfs"])),
           "vms": tuple(_vm(item, f"{where}.vms[{n}]") for n, item in enumerate(top["vms"]))}
    )  # fmt: skip
    watchdog_plan.parse(manifest.watchdog, f"{where}.watchdog")
    _cross_check(manifest, where)
    return manifest


def _require_schema(data: object, where: str) -> None:
    """Require this schema, before members that others lack are missed."""
    schema = data.get("schema") if isinstance(data, Mapping) else None
    if isinstance(schema, int) and schema != SCHEMA:
        raise BadInputError(f"{where}.schema: {schema}, this version knows {SCHEMA}; arm the update again")


def _texts(data: list[Any], where: str) -> tuple[str, ...]:
    if not all(isinstance(item, str) for item in data):
        raise BadInputError(f"{where}: expected a list of texts, found {data!r}")
    return tuple(data)


def _cross_check(manifest: Manifest, where: str) -> None:
    names = [vm.name for vm in manifest.vms]
    if len(set(names)) != len(names):
        raise BadInputError(f"{where}.vms: two VMs have the same name: {', '.join(sorted(names))}")
    pfs = {pf.pf: pf for pf in manifest.pfs}
    owner: dict[tuple[str, int], str] = {}
    for vm in manifest.vms:
        for vf in vm.vfs:
            if vf.pf not in pfs or not 0 <= vf.id < pfs[vf.pf].hardware_vfs:
                raise BadInputError(f"{where}: VM {vm.name} owns VF {vf.id} of PF {vf.pf}, which is not enabled here")
            other = owner.setdefault((vf.pf, vf.id), vm.name)
            if other != vm.name:
                raise BadInputError(f"{where}: VF {vf.id} of PF {vf.pf} is owned by {other} and {vm.name}")


def _take(data: object, where: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Require the members of ``data``: all of ``kinds``, none else.

    Raises `BadInputError` naming the path of a missing or unknown key, or of a value of the wrong kind.
    """
    if not isinstance(data, Mapping):
        raise BadInputError(f"{where}: expected an object, found {type(data).__name__}")
    for key in [*(kinds.keys() - data.keys()), *(data.keys() - kinds.keys())]:
        raise BadInputError(f"{where}.{key}: {'missing' if key in kinds else 'unknown key'}")
    for key, kind in kinds.items():
        value = data[key]
        if not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "true or false"):
            raise BadInputError(f"{where}.{key}: expected {kind}, found {value!r}")
    return dict(data)


def _kernel(data: object, where: str) -> Kernel:
    return Kernel(**_take(data, where, {
        "release_before": "text", "release_after": "text", "image": "text", "initrd": "text or null", "cmdline": "text",
        "build_after": "text or null", "initrd_before": "text or null", "cmdline_before": "text",
    }))  # fmt: skip


def _pf(data: object, where: str) -> ManifestPf:
    return ManifestPf(**_take(data, where, {
        "pf": "text", "driver": "text", "netdev": "text or null", "netdev_up": "true or false",
        "hardware_vfs": "whole number", "present_vfs": "text", "drivers_autoprobe": "true or false",
        "interface": "text",
    }))  # fmt: skip


def _vm(data: object, where: str) -> ManifestVm:
    vm = _take(data, where, {
        "name": "text", "backend": "text", "priority": "whole number", "pid": "whole number",
        "started": "whole number", "unit": "text", "cold_start": "true or false",
        "strategy": "text", "straggler": "text", "on_other_kernel": "text", "check": "object",
        "vfs": "list", "part": "object",
    })  # fmt: skip
    if not NAME.fullmatch(vm["name"]):  # it becomes the name of a folder
        raise BadInputError(f"{where}.name: '{vm['name']}' must be letters, digits and . _ + - only")
    for key, known in (("strategy", STRATEGIES), ("straggler", STRAGGLERS), ("on_other_kernel", POLICIES)):
        if vm[key] not in known:
            raise BadInputError(f"{where}.{key}: '{vm[key]}' is none of {', '.join(known)}")
    checks.parse(vm["check"], f"{where}.check")
    vm["vfs"] = tuple(_vf(item, f"{where}.vfs[{n}]") for n, item in enumerate(vm["vfs"]))
    registry.check(vm["backend"], vm["part"], [vf.address for vf in vm["vfs"]], where)
    return ManifestVm(**vm)


def _vf(data: object, where: str) -> ManifestVf:
    vf = _take(data, where, {"pf": "text", "id": "whole number", "address": "text", "properties": "object"})
    if not re.fullmatch(PCI_ADDRESS, vf["address"]):
        raise BadInputError(f"{where}.address: '{vf['address']}' is not a PCI address")
    unknown = set(vf["properties"]) - set(_properties.NAMES)
    if unknown:
        raise BadInputError(f"{where}.properties: unknown: {', '.join(sorted(unknown))}")
    return ManifestVf(**{**vf, "properties": VfProperties(**vf["properties"])})
