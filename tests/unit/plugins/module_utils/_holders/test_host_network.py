# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs that the host's own network uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import host_network
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from tests.fake.linux.host import FakeHost

PF = "0000:03:00.0"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.setup(host.igb(PF), 7, [1, 2], "igbvf")
    return host


def netdev(host: FakeHost) -> str:
    return host.pfs[PF].vfs[2].interface_names(host.pfs[PF])[0]


# addresses of VF 2's interface, routes over it, words (empty: it is free)
USES: list[tuple[list[str], list[dict[str, Any]], str]] = [
    ([], [], ""),
    (["fe80::1/64"], [], ""),
    (["169.254.7.7/16"], [], ""),
    (["192.0.2.5/24"], [], "address 192.0.2.5/24"),
    (["fe80::1/64", "2001:db8::5/64"], [], "address 2001:db8::5/64"),
    (["fd00::5/128"], [], "address fd00::5/128"),
    ([], [{"dst": "default", "gateway": "192.0.2.1", "dev": "VF"}], "route default"),
    ([], [{"dst": "default", "dev": "VF", "scope": "link"}], "route default"),
    ([], [{"dst": "default", "gateway": "fe80::1", "dev": "VF"}], "route default"),
    ([], [{"dst": "198.51.100.0/24", "dev": "VF", "table": "77"}], "route 198.51.100.0/24"),
    ([], [{"dst": "198.51.100.7", "dev": "VF", "flags": ["linkdown"]}], "route 198.51.100.7"),
    ([], [{"dst": "2001:db8:1::/48", "dev": "VF"}], "route 2001:db8:1::/48"),
    ([], [{"dst": "default", "nexthops": [{"dev": "eth0"}, {"gateway": "192.0.2.1", "dev": "VF"}]}], "route default"),
    ([], [{"dst": "198.51.100.0/24", "via": {"host": "fe80::1"}, "dev": "VF"}], "route 198.51.100.0/24"),
    ([], [{"dst": "fe80::/64", "dev": "VF"}, {"dst": "ff00::/8", "type": "multicast", "dev": "VF"}], ""),
    ([], [{"dst": "169.254.0.0/16", "dev": "VF"}, {"dst": "192.0.2.255", "type": "broadcast", "dev": "VF"}], ""),
    ([], [{"dst": "default", "dev": "eth0"}, {"dst": "198.51.100.0/24", "type": "unreachable"}], ""),
]  # fmt: skip
SPECS: list[dict[str, Any]] = [
    {"present_vfs": "1"},
    {"vfs": [{"ids": 2, "driver": "vfio-pci"}]},
    {"hardware_vfs": 0, "present_vfs": "none"},
]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("addresses", "routes", "words"), USES)
def test_a_vf_of_the_hosts_network_stays(
    host: FakeHost, addresses: list[str], routes: list[dict[str, Any]], words: str, spec: dict[str, Any]
) -> None:
    host.addresses[netdev(host)] = addresses
    host.routes = [{**route, **({"dev": netdev(host)} if route.get("dev") == "VF" else {})} for route in routes]
    for route in host.routes:
        route["nexthops"] = [
            {**hop, "dev": netdev(host) if hop["dev"] == "VF" else hop["dev"]} for hop in route.pop("nexthops", [])
        ]
        if not route["nexthops"]:
            del route["nexthops"]
    document, before = validate({"pfs": [{"pf": PF, **spec}]}), host.picture()
    if words:
        with pytest.raises(RefusedError) as caught:
            converge(host.sysfs, host.run, document)
        assert f"VF 2 of PF {PF} by this host's own network: {words} on interface {netdev(host)}" in str(caught.value)
        assert host.picture() == before
    assert converge(host.sysfs, host.run, document, force=bool(words)).plan.changed


def test_an_interface_above_has_the_address(host: FakeHost) -> None:
    host.pfs[PF].vfs[2].uppers = frozenset({"br0"})
    host.draw()
    host.addresses["br0"] = ["192.0.2.5/24"]
    with pytest.raises(RefusedError, match=r"VF 2 of PF .* by interface br0 above its network interface"):
        converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF, "present_vfs": "1"}]}))


@pytest.mark.parametrize("answer", ["{", '[{"ifname": "x", "addr_info": 7}]', '[{"addr_info": [{"local": "x"}]}]', "7"])
def test_what_cannot_be_understood_may_be_a_use(host: FakeHost, answer: str) -> None:
    with pytest.raises(RefusedError, match="whether this host's own network uses VFs cannot be seen"):
        host_network.users(lambda _argv: answer, ["x"])


def test_ip_that_fails_may_hide_a_use() -> None:
    def run(argv: Sequence[str]) -> str:
        raise ToolError(argv, 127, "cannot run it: No such file or directory")

    with pytest.raises(RefusedError, match="cannot run it"):
        host_network.users(run, ["x"])
    assert host_network.users(run, []) == {}
    assert host_network.users(process.refuse, ["x"]) == {}


def test_a_kernel_without_ipv6_has_no_such_routes() -> None:
    def run(argv: Sequence[str]) -> str:
        if "-6" in argv:
            raise ToolError(argv, 2, "RTNETLINK answers: Operation not supported")
        return "[]"

    assert host_network.users(run, ["x"]) == {}
