# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a live update: schema, errors, its kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest as _manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
)

PF = "0000:03:00.0"
VF: dict[str, Any] = {"pf": PF, "id": 6, "address": "0000:04:11.4", "properties": {"vlan": 9}}
VM: dict[str, Any] = {
    "name": "web1", "backend": "qemu", "priority": 0, "pid": 77, "started": 770, "unit": "u",
    "cold_start": False, "strategy": "in-place", "straggler": "leave", "on_other_kernel": "restore", "check": {},
    "vfs": [VF], "part": {"qmp": "/run/q", "argv": ["qemu"], "restore_argv": ["qemu"], "cwd": "/",
             "devices": {"0000:04:11.4": {"host": "x"}}},
}  # fmt: skip
GOOD: dict[str, Any] = {
    "schema": 7, "id": "0" * 32, "created": 1.5, "host": "h1", "boot_id": "b1", "budget_s": 60, "options": {},
    "modules": ["tun"], "services": ["ovs-vswitchd.service"], "uptime": 7.5,
    "watchdog": {"name": "watchdog0", "identity": "i", "module": "m", "timeout_s": 30},
    "kernel": {"release_before": "a", "release_after": "b", "image": "/i", "initrd": None, "cmdline": "c",
               "build_after": "#1 SMP", "initrd_before": None, "cmdline_before": "c"},
    "pfs": [{"pf": PF, "driver": "igb", "netdev": "eth0", "netdev_up": True, "hardware_vfs": 7, "present_vfs": "0-6",
             "drivers_autoprobe": False, "interface": "vf-id"}],
    "vms": [VM],
}  # fmt: skip


def changed(path: str, value: object) -> dict[str, Any]:
    """GOOD with one member changed.

    ``None.`` as the last step deletes it.
    """
    data: dict[str, Any] = json.loads(json.dumps(GOOD))
    steps = [int(step) if step.isdigit() else step for step in path.split(".")]
    inner: Any = data
    for step in steps[:-1]:
        inner = inner[step]
    if value is KeyError:
        del inner[steps[-1]]
    else:
        inner[steps[-1]] = value
    return data


def test_one_of_an_earlier_version_is_refused_by_that() -> None:
    """Not by a member that it lacks."""
    earlier = {name: value for name, value in GOOD.items() if name != "services"}
    with pytest.raises(BadInputError, match=r"manifest\.schema: 4, this version knows 7; arm the update again"):
        _manifest.validate({**earlier, "schema": 4})


def test_good_manifest_round_trips(tmp_path: Path) -> None:
    manifest = _manifest.validate(GOOD)
    assert manifest.to_dict() == GOOD
    assert manifest.used_ids() == {PF: {6}}
    manifest_file.store(str(tmp_path), manifest)
    assert manifest_file.load(str(tmp_path)) == manifest


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", 4, "manifest.schema: 4, this version knows 7; arm the update again"),
        ("schema", 8, "manifest.schema: 8, this version knows 7"),
        ("services", ["ovs", 3], "manifest.services: expected a list of texts"),
        ("vms.0.check", {"ping": "x"}, r"vms\[0\].check.ping: 'x' is no IP address"),
        ("vms.0.on_other_kernel", "hope", "on_other_kernel: 'hope' is none of restore, cold-start, leave"),
        ("watchdog.timeout_s", 0, r"manifest.watchdog: .* is no watchdog with name, identity, module and timeout_s"),
        ("watchdog.timeout_s", True, "is no watchdog with name"),
        ("watchdog.module", None, "is no watchdog with name"),
        ("watchdog.name", "../sda", "manifest.watchdog.name: '../sda' is no name of a watchdog"),
        ("id", "xyz", "is not 32 hexadecimal digits"),
        ("created", "now", "manifest.created: expected number, found 'now'"),
        ("budget_s", True, "manifest.budget_s: expected number, found True"),
        ("extra", 1, "manifest.extra: unknown key"),
        ("boot_id", KeyError, "manifest.boot_id: missing"),
        ("kernel.initrd", 5, "manifest.kernel.initrd: expected text or null"),
        ("pfs.0.hardware_vfs", "7", r"manifest.pfs\[0\].hardware_vfs: expected whole number"),
        ("vms.0.name", "../etc", r"vms\[0\].name: '../etc' must be letters"),
        ("vms.0.backend", "xen", r"vms\[0\].backend: 'xen' is not known here; there are: libvirt, command, qemu"),
        ("vms.0.part.argv", [], r"vms\[0\].part.argv: expected a list of texts, found \[\]"),
        ("vms.0.part.restore_argv", [1], r"vms\[0\].part.restore_argv: expected a list of texts"),
        ("vms.0.part.qmp", 7, r"vms\[0\].part.qmp: expected text, found 7"),
        ("vms.0.part.cwd", KeyError, r"vms\[0\].part.cwd: missing"),
        ("vms.0.part.extra", 1, r"vms\[0\].part.extra: unknown key"),
        ("vms.0.part.devices", ["x"], r"vms\[0\].part.devices: expected an object of objects"),
        ("vms.0.part.devices", {}, r"vms\[0\].part.devices: no arguments of device_add for VF 0000:04:11.4"),
        ("vms.0.vfs.0.address", "eth0", "is not a PCI address"),
        ("vms.0.vfs.0.properties", {"vlans": 3}, "properties: unknown: vlans"),
        ("vms.0.vfs.0.id", 7, "owns VF 7 of PF 0000:03:00.0, which is not enabled here"),
        ("vms.0.vfs.0.pf", "0000:09:00.0", "which is not enabled here"),
        ("vms", [VM, VM], "two VMs have the same name: web1, web1"),
        ("vms", [VM, {**VM, "name": "web2"}], "VF 6 of PF 0000:03:00.0 is owned by web1 and web2"),
    ],
)
def test_wrong_manifests_name_the_key(path: str, value: object, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        _manifest.validate(changed(path, value))


@pytest.mark.parametrize(
    ("cmdline", "token"),
    [
        ("root=/dev/vda", None),
        ("kvmfleet.update=abc root=x", "abc"),
        ("kvmfleet.update=old kvmfleet.update=new", "new"),
        ("xkvmfleet.update=abc", None),
    ],
)
def test_token(cmdline: str, token: str | None) -> None:
    assert manifest_file.token_of(cmdline) == token


@pytest.mark.parametrize(
    ("cmdline", "boot_id", "has", "message"),
    [
        ("root=x", "b2", True, "an ordinary boot, nothing is restored"),
        (f"kvmfleet.update={'0' * 32}", "b2", False, "there is no manifest here"),
        (f"kvmfleet.update={'1' * 32}", "b2", True, "the command line says 1111"),
        (f"kvmfleet.update={'0' * 32}", "b1", True, "was armed by this very kernel"),
    ],
)
def test_only_the_kernel_it_was_made_for_may_use_a_manifest(
    cmdline: str, boot_id: str, has: bool, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        manifest_file.require_match(_manifest.validate(GOOD) if has else None, cmdline, boot_id)


def test_match() -> None:
    manifest = _manifest.validate(GOOD)
    assert manifest_file.require_match(manifest, f"kvmfleet.update={'0' * 32}", "b2") is manifest
