# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of domains, in libvirt's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import domains as _libvirt
from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders.domains import Domain, Libvirt, Pool
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, RefusedError
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost
from tests.fake.linux.users import address_xml, domain_xml

VF, OTHER = "0000:04:10.2", "0000:04:10.4"
SOURCE = f"<source>{address_xml(VF)}</source>"

# devices of a domain; addresses, netdevs, networks
DEVICES: list[tuple[str, set[str], set[str], set[str]]] = [
    (f"<hostdev mode='subsystem' type='pci' managed='yes'>{SOURCE}{address_xml(OTHER)}</hostdev>", {VF}, set(), set()),
    (
        f"<interface type='hostdev' managed='yes'><mac address='02:00:00:00:00:01'/>{SOURCE}</interface>",
        {VF},
        set(),
        set(),
    ),
    (
        "<disk type='nvme' device='disk'><source type='pci' managed='yes' namespace='1'>"
        f"{address_xml(VF)}</source><target dev='vda'/>{address_xml(OTHER)}</disk>",
        {VF},
        set(),
        set(),
    ),
    (
        "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='4' slot='16' function='2'/></source>"
        "</hostdev>",
        {VF},
        set(),
        set(),
    ),
    (
        "<hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>",
        set(),
        set(),
        set(),
    ),
    (
        "<hostdev type='scsi'><source><adapter name='x'/><address bus='0' target='0' unit='0'/></source></hostdev>",
        set(),
        set(),
        set(),
    ),
    ("<interface type='direct'><source dev='eth0v3' mode='passthrough'/></interface>", set(), {"eth0v3"}, set()),
    ("<interface type='network'><source network='pool'/></interface>", set(), set(), {"pool"}),
    ("<interface type='bridge'><source bridge='br0'/></interface>", set(), set(), set()),
    (f"<controller type='pci'>{address_xml(OTHER)}</controller>", set(), set(), set()),
    ("", set(), set(), set()),
]


@pytest.mark.parametrize(("devices", "addresses", "netdevs", "networks"), DEVICES)
def test_devices(devices: str, addresses: set[str], netdevs: set[str], networks: set[str]) -> None:
    found = _libvirt.parse_domain("x.xml", domain_xml("web1", devices))
    assert found == Domain("web1", 0, frozenset(addresses), frozenset(netdevs), frozenset(networks))


# what a running domain's interface of a network became; addresses, netdevs, networks
ACTUAL: list[tuple[str, set[str], set[str], set[str]]] = [
    (f"<actual type='hostdev' managed='yes'>{SOURCE}</actual>", {VF}, set(), set()),
    ("<actual type='direct'><source dev='eth0v3' mode='passthrough'/></actual>", set(), {"eth0v3"}, set()),
    ("", set(), set(), {"pool"}),
]


@pytest.mark.parametrize(("actual", "addresses", "netdevs", "networks"), ACTUAL)
def test_a_running_domain_has_what_it_was_given(
    actual: str, addresses: set[str], netdevs: set[str], networks: set[str]
) -> None:
    devices = f"<interface type='network'><source network='pool' portid='1'/>{actual}</interface>"
    domain = domain_xml("web1", devices).partition("-->\n")[2]
    found = _libvirt.parse_domain("x.xml", f"<domstatus state='running' pid='7'><taint flag='x'/>{domain}</domstatus>")
    assert found == Domain("web1", 7, frozenset(addresses), frozenset(netdevs), frozenset(networks))


# a network's forward element; its pool
NETWORKS = [
    ("<forward mode='hostdev' managed='yes'><pf dev='eth0'/></forward>", Pool(pfs=frozenset({"eth0"}))),
    (f"<forward mode='hostdev'>{address_xml(VF)}{address_xml(OTHER)}</forward>", Pool(frozenset({VF, OTHER}))),
    ("<forward mode='nat'/>", Pool()),
    ("", Pool()),
]


@pytest.mark.parametrize(("forward", "pool"), NETWORKS)
def test_networks(forward: str, pool: Pool) -> None:
    plain = f"<network><name>pool</name>{forward}</network>"
    for text in (plain, f"<networkstatus><class_id bitmap='0-2'/>{plain}</networkstatus>"):
        assert _libvirt.parse_network("x.xml", text) == ("pool", pool)


BROKEN = ["", "<domain>", "<pool/>", "<domstatus pid='1'/>", "<domstatus pid='x'><domain/></domstatus>", "\0"]
BROKEN_ADDRESS = domain_xml("web1", "<hostdev><source><address slot='x' bus='1' function='0'/></source></hostdev>")


@pytest.mark.parametrize("text", [*BROKEN, BROKEN_ADDRESS])
def test_a_domain_nobody_can_read_is_an_error(text: str) -> None:
    with pytest.raises(RefusedError, match=r"^/x\.xml cannot be understood \(.*repair or remove it$"):
        _libvirt.parse_domain("/x.xml", text)


@pytest.mark.parametrize("text", ["<networkstatus/>", "<domain/>", "<network>"])
def test_a_network_nobody_can_read_is_an_error(text: str) -> None:
    with pytest.raises(RefusedError, match="cannot be understood"):
        _libvirt.parse_network("/x.xml", text)


WEB = Domain("web1", 7, frozenset({VF}))
POOL = Domain("db", 0, networks=frozenset({"pool"}))
MACVTAP = Domain("old", 0, netdevs=frozenset({"v1"}))
# domains, pools; holder of the VF (its interface is v1, that of its PF eth0), and whether it runs
HOLDERS: list[tuple[tuple[Domain, ...], dict[str, tuple[Pool, ...]], tuple[str, bool] | None]] = [
    ((), {}, None),
    ((WEB, Domain("web1", 0, frozenset({VF}))), {}, ("libvirt domain web1 (running)", True)),
    ((Domain("web1", 7), Domain("web1", 0, frozenset({VF}))), {}, ("libvirt domain web1 (defined)", False)),
    ((Domain("web1", 7, frozenset({OTHER})),), {}, None),
    ((MACVTAP,), {}, ("libvirt domain old (defined)", False)),
    ((POOL,), {"pool": (Pool(),)}, None),
    ((POOL,), {"other": (Pool(frozenset({VF})),)}, None),
    ((POOL,), {"pool": (Pool(), Pool(frozenset({VF})))}, ("libvirt domain db (defined) through network pool", False)),
    ((POOL,), {"pool": (Pool(pfs=frozenset({"eth0"})),)}, ("libvirt domain db (defined) through network pool", False)),
    ((POOL,), {"pool": (Pool(pfs=frozenset({"eth1"})),)}, None),
]


@pytest.mark.parametrize(("domains", "pools", "holder"), HOLDERS)
def test_holders(
    domains: tuple[Domain, ...], pools: dict[str, tuple[Pool, ...]], holder: tuple[str, bool] | None
) -> None:
    assert Libvirt(domains, pools).user(VF, frozenset({"v1"}), frozenset({"eth0"})) == holder


def test_a_vf_without_interfaces_matches_no_name() -> None:
    assert Libvirt((MACVTAP, POOL), {"pool": (Pool(pfs=frozenset({""})),)}).user(VF, frozenset(), frozenset()) is None


def test_files(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    pf = host.igb()
    users.define(host, "web1", users.hostdev(pf, 1))
    users.define(host, "web2", "<interface type='network'><source network='pool'/></interface>")
    users.put(host, "etc/libvirt/qemu/autostart/web1.xml.bak")
    users.put(host, "etc/libvirt/qemu/README")
    users.start(host, "web1", users.hostdev(pf, 2))
    users.network(host, "pool", "<forward mode='hostdev'><pf dev='eth0'/></forward>")
    found = _libvirt.read(host.sysfs)
    assert [(domain.name, domain.pid) for domain in found.domains] == [("web1", 900), ("web1", 0), ("web2", 0)]
    assert found.pools == {"pool": (Pool(pfs=frozenset({"eth0"})),)}


def test_a_domain_that_has_ended_since_is_not_running(tmp_path: Path) -> None:
    """A state that libvirt was not there to remove."""
    host = FakeHost(tmp_path)
    users.start(host, "web1", users.hostdev(host.igb(), 2))
    users.put(host, "proc/900/comm")
    (tmp_path / "proc/900/comm").unlink()
    (tmp_path / "proc/900").rmdir()
    assert _libvirt.read(host.sysfs).domains == ()


def test_networks_are_read_only_for_domains_that_have_some(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    users.network(host, "broken", "<")
    users.define(host, "web1", "")
    assert _libvirt.read(host.sysfs).pools == {}


def test_a_file_that_cannot_be_read_is_an_error_unless_it_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = FakeHost(tmp_path)
    users.define(host, "web1", "")
    path = tmp_path / "etc/libvirt/qemu/web1.xml"
    read = host.sysfs.read

    def vanishing(name: str) -> str:
        path.unlink()
        return read(name)

    path.rename(path.with_suffix(".txt"))
    path.mkdir()
    with pytest.raises(KernelError, match="EISDIR"):
        _libvirt.read(host.sysfs)
    path.rmdir()
    path.touch()
    monkeypatch.setattr(host.sysfs, "read", vanishing)
    assert _libvirt.read(host.sysfs).domains == ()
