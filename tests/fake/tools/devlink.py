# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program `devlink` on a fake host, as the engine uses it.

After iproute2, devlink/devlink.c.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError

if TYPE_CHECKING:
    from ..linux.host import FakeHost
    from ..linux.pf import FakePf


def show(host: FakeHost, words: list[str]) -> str:
    """Answer `devlink -j dev eswitch show pci/ADDRESS`.

    A driver without an eswitch has an empty entry.
    """
    pf = _pf(host, words)
    entry = {} if pf.eswitch is None else {"mode": pf.eswitch, "inline-mode": "none", "encap-mode": "basic"}
    return json.dumps({"dev": {words[5]: entry}})


def info(host: FakeHost, words: list[str]) -> str:
    """Answer `devlink -j dev info pci/ADDRESS`."""
    pf = _pf(host, words)
    if not pf.versions:
        raise ToolError(words, 1, "kernel answers: Operation not supported")
    versions = {"fixed": {"fw.psid": "MT_0000000359"}, "running": dict(pf.versions), "stored": dict(pf.versions)}
    entry = {"driver": pf.driver, "serial_number": "52-54-00-00-00-00-00-01", "versions": versions}
    return json.dumps({"info": {words[4]: entry}})


def set_mode(host: FakeHost, words: list[str]) -> None:
    """Carry out `devlink dev eswitch set pci/ADDRESS mode MODE`."""
    pf = _pf(host, words)
    try:
        host.kernel.set_eswitch(pf, words[6])
    except OSError as error:
        text = f"Error: {pf.driver}: no.\nkernel answers: {os.strerror(error.errno or 0)}"
        raise ToolError(words, 1, text) from error


def ports(host: FakeHost) -> str:
    """Answer `devlink -j port show`: ports of PFs, and of VFs.

    Those of VFs are there while there are representors.
    """
    listed: dict[str, object] = {}
    for pf in host.pfs.values():
        if not pf.devlink:
            continue
        start = {"type": "eth", "controller": 0, "pfnum": 0, "external": False, "splittable": False}
        listed[f"pci/{pf.address}/65535"] = {"type": "eth", "netdev": pf.netdev, "flavour": "physical", "port": 0}
        for vf_id, p in pf.properties.items() if pf.by_port or pf.eswitch == "switchdev" else ():
            own = {"netdev": f"enp3s0f0npf0vf{vf_id}", "flavour": "pcivf", "vfnum": vf_id}
            listed[f"pci/{pf.address}/{vf_id + 1}"] = {**start, **own, "function": {"hw_addr": p["mac"]}}
    return json.dumps({"port": listed})


def set_function(host: FakeHost, words: list[str]) -> None:
    """Carry out `devlink port function set PORT hw_addr MAC`."""
    address, number = words[4].removeprefix("pci/").rsplit("/", 1)
    pf, vf_id = host.pfs[address], int(number) - 1
    if vf_id not in pf.properties:
        raise ToolError(words, 1, "kernel answers: No such device")
    if "mac" not in pf.ignores:
        pf.properties[vf_id]["mac"] = words[6]


def _pf(host: FakeHost, words: list[str]) -> FakePf:
    address = next(word for word in words if word.startswith("pci/")).removeprefix("pci/")
    if address not in host.pfs or not host.pfs[address].devlink:
        raise ToolError(words, 1, "devlink answers: No such device")
    return host.pfs[address]
