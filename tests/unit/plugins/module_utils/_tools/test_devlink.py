# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The eswitch as `devlink` prints and sets it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import Run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import devlink

PF = "0000:03:00.0"
SHOW = ["devlink", "-j", "dev", "eswitch", "show", f"pci/{PF}"]


def says(output: str, status: int = 0) -> Run:
    def run(argv: Sequence[str]) -> str:
        assert list(argv) == SHOW
        if status:
            raise ToolError(argv, status, output)
        return output

    return run


@pytest.mark.parametrize("output", ["mode legacy", "7", "[]", '{"dev": 7}', '{"dev": {"pci/0000:03:00.0": "legacy"}}'])
def test_what_devlink_does_not_say(output: str) -> None:
    with pytest.raises(SriovError, match="did not answer in JSON"):
        devlink.eswitch_mode(says(output), PF)


def entry(**values: str) -> str:
    return json.dumps({"dev": {f"pci/{PF}": values}})


@pytest.mark.parametrize("mode", ["legacy", "switchdev"])
def test_mode(mode: str) -> None:
    output = entry(mode=mode, **{"inline-mode": "none", "encap-mode": "basic"})
    assert devlink.eswitch_mode(says(output), PF) == mode


# what devlink prints, its status, words of the error
WITHOUT = [
    (entry(), 0, "its driver has no eswitch (EOPNOTSUPP (Operation not supported)); leave it out"),
    ("", 0, "its driver has no eswitch"),
    ("devlink answers: No such device", 1, "ENODEV (No such device)"),
    ("kernel answers: Operation not supported", 1, "EOPNOTSUPP"),
    ("Failed to connect to devlink Netlink", 1, "EOPNOTSUPP"),  # a kernel without devlink
    (
        entry(mode="switchdev_inactive"),
        0,
        "its eswitch is in mode 'switchdev_inactive', which is none of legacy, switchdev",
    ),
]


@pytest.mark.parametrize(("output", "status", "words"), WITHOUT)
def test_without_an_eswitch(output: str, status: int, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        devlink.eswitch_mode(says(output, status), PF)
    assert words in str(caught.value)


def test_other_failures_are_reported_as_they_are() -> None:
    with pytest.raises(ToolError, match="Operation not permitted"):
        devlink.eswitch_mode(says("devlink answers: Operation not permitted", 1), PF)
    with pytest.raises(SriovError, match=f"'{' '.join(SHOW)}' did not answer in JSON"):
        devlink.eswitch_mode(says("pci/0000:03:00.0: mode legacy"), PF)


def test_set() -> None:
    calls: list[list[str]] = []

    def run(argv: Sequence[str]) -> str:
        calls.append(list(argv))
        return ""

    devlink.set_eswitch(run, PF, "switchdev")
    assert calls == [["devlink", "dev", "eswitch", "set", f"pci/{PF}", "mode", "switchdev"]]


PORTS = {
    f"pci/{PF}/65535": {"type": "eth", "netdev": "eth0", "flavour": "physical", "port": 0, "splittable": False},
    f"pci/{PF}/1": {"flavour": "pcivf", "controller": 0, "pfnum": 0, "vfnum": 0, "external": False, "splittable": False,
                    "function": {"hw_addr": "02:00:00:00:00:AA", "roce": "enable"}},
    f"pci/{PF}/2": {"flavour": "pcivf", "pfnum": 0, "vfnum": 1},
    f"pci/{PF}/3": {"flavour": "pcivf", "pfnum": 0, "vfnum": 2, "external": True, "function": {"hw_addr": "x"}},
    f"pci/{PF}/4": {"flavour": "pcisf", "pfnum": 0, "sfnum": 88, "function": {"hw_addr": "x"}},
    "pci/0000:03:00.1/1": {"flavour": "pcivf", "pfnum": 0, "vfnum": 5, "function": {"hw_addr": "x"}},
}  # fmt: skip


def test_ports_of_vfs() -> None:
    def run(argv: Sequence[str]) -> str:
        assert argv == ["devlink", "-j", "port", "show"]
        return json.dumps({"port": PORTS})

    assert devlink.vf_ports(run, PF) == {0: (f"pci/{PF}/1", "02:00:00:00:00:aa")}
    assert devlink.vf_ports(lambda argv: '{"port":{}}', PF) == {}


INFO = {"driver": "mlx5_core", "serial_number": "x"}

# what devlink prints, its status, the versions that run
VERSIONS: list[tuple[str, int, dict[str, str]]] = [
    (
        json.dumps({"info": {f"pci/{PF}": {**INFO, "versions": {"fixed": {"a": "1"}, "running": {"fw": "22.4"}}}}}), 0,
        {"fw": "22.4"},
    ),
    (json.dumps({"info": {f"pci/{PF}": INFO}}), 0, {}),
    ('{"info":{}}', 0, {}),
    ("", 0, {}),
    ("kernel answers: Operation not supported", 1, {}),
    ("devlink answers: No such device", 1, {}),
    ("Failed to connect to devlink Netlink", 1, {}),
]  # fmt: skip


@pytest.mark.parametrize(("output", "status", "versions"), VERSIONS)
def test_versions_that_run(output: str, status: int, versions: dict[str, str]) -> None:
    def run(argv: Sequence[str]) -> str:
        assert list(argv) == ["devlink", "-j", "dev", "info", f"pci/{PF}"]
        if status:
            raise ToolError(argv, status, output)
        return output

    assert devlink.running_versions(run, PF) == versions


def test_versions_that_cannot_be_asked_for() -> None:
    def run(argv: Sequence[str]) -> str:
        raise ToolError(argv, 127, "cannot run it: No such file or directory")

    with pytest.raises(ToolError, match="status 127"):
        devlink.running_versions(run, PF)
