# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains' XML as values: live, defined, and states of running ones."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import domain_xml, whole_domain
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools.domain_disks import Disk
from tests.fake.linux.users import address_xml

VF, OTHER = "0000:04:10.2", "0000:04:10.4"
SOURCE = f"<source>{address_xml(VF)}</source>"
UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"


def xml(devices: str = "", name: str = "web1", more: str = "", attributes: str = "") -> str:
    return (
        f"<domain type='kvm'{attributes}><name>{name}</name><uuid>{UUID}</uuid><memory unit='KiB'>1024</memory>{more}"
        f"<devices>{devices}</devices></domain>"
    )


def parse(devices: str = "", name: str = "web1", more: str = "", attributes: str = "") -> whole_domain.WholeDomain:
    return whole_domain.parse(xml(devices, name, more, attributes))


def test_identity() -> None:
    found = parse("", "a &lt;b> 'c' -r/..", "<description>&#228;</description>")
    assert (found.name, found.uuid, found.hypervisor, found.pid) == ("a <b> 'c' -r/..", UUID, "kvm", 0)
    assert found.memory_bytes == 1 << 20
    assert domain_xml.parse(f"<domstatus pid='7' state='paused'>{xml()}</domstatus>").pid == 7


# element; its tag, kind, address, alias, whether managed
DEVICES = [
    (
        f'<hostdev mode="subsystem" type="pci" managed="yes"><driver name="vfio"/>{SOURCE}<alias name="hostdev0"/>'
        f"{address_xml(OTHER)}</hostdev>",
        ("hostdev", "pci", VF, "hostdev0", True),
    ),
    (f'<hostdev mode="subsystem" type="pci">{SOURCE}</hostdev>', ("hostdev", "pci", VF, "", False)),
    (
        f'<interface type="hostdev" managed="yes"><mac address="02:00:00:00:00:01"/>{SOURCE}<alias name="ua-n"/>'
        "</interface>",
        ("interface", "pci", VF, "ua-n", True),
    ),
    (
        f'<interface type="network"><source network="p"/><actual type="hostdev" managed="yes">{SOURCE}</actual>'
        '<alias name="n0"/></interface>',
        ("interface", "pci", VF, "n0", True),
    ),
    (
        '<hostdev mode="subsystem" type="usb"><source><address bus="1" device="2"/></source><alias name="u"/>'
        "</hostdev>",
        ("hostdev", "usb", "", "u", False),
    ),
    (
        '<hostdev mode="subsystem" type="mdev" model="vfio-pci"><source><address uuid="x"/></source></hostdev>',
        ("hostdev", "mdev", "", "", False),
    ),
    (
        '<disk type="nvme" device="disk"><source type="pci" managed="yes" namespace="1">'
        f'{address_xml(VF)}</source><target dev="vda"/></disk>',
        ("disk", "pci", VF, "", True),
    ),
]


@pytest.mark.parametrize(("element", "expected"), DEVICES)
def test_devices_of_the_host(element: str, expected: tuple[str, str, str, str, bool]) -> None:
    (found,) = parse(f"\n  {element}\n  ").host_devices
    assert (found.element, found.kind, found.address, found.alias, found.managed) == expected
    assert found.xml.replace(" />", "/>") == element.replace("'", '"')


def test_what_comes_from_a_network_counts_once_it_is_given() -> None:
    nic = "<interface type='network'><source network='pool'/>{}</interface>"
    assert parse(nic.format("")).networks == {"pool"}
    given = parse(nic.format(f"<actual type='hostdev'>{SOURCE}</actual>"), attributes=" id='3'")
    assert not given.networks
    assert given.addresses == {VF}
    assert parse(nic.format("<actual type='direct'><source dev='eth0v3'/></actual>")).netdevs == {"eth0v3"}


CHAIN = (
    "<disk type='file' device='disk' snapshot='external'><driver name='qemu' type='qcow2'/><source file='/i/top.qcow2'"
    " index='3'/><backingStore type='block' index='2'><format type='qcow2'/><source dev='/dev/vg/mid'/>"
    "<backingStore type='network' index='1'><format type='raw'/><source protocol='rbd' name='pool/base'>"
    "<host name='mon' port='6789'/></source>{}</backingStore></backingStore><target dev='vda' bus='virtio'/></disk>"
)
IMAGES = ("/i/top.qcow2", "/dev/vg/mid", "rbd://mon/pool/base")
DISKS = [
    (CHAIN.format("<backingStore/>"), Disk("vda", "disk", IMAGES)),
    (CHAIN.format(""), Disk("vda", "disk", IMAGES, known=False)),
    ("<disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>", Disk("sda", "cdrom", read_only=True)),
    (
        "<disk type='block'><source dev='/dev/sdb'/><backingStore/><target dev='vdb'/><shareable/><transient/>"
        "<mirror type='file' job='copy'><source file='/i/copy'/></mirror></disk>",
        Disk("vdb", "disk", ("/dev/sdb",), shareable=True, transient=True, job=True),
    ),
    (
        "<disk type='vhostuser' device='disk'><source type='unix' path='/s'/><target dev='vdc'/></disk>",
        Disk("vdc", "disk", ("vhostuser:",), known=False),
    ),
    (
        "<disk type='volume'><source pool='p' volume='v'/><backingStore/><target dev='vdd'/></disk>",
        Disk("vdd", "disk", ("volume:v",)),
    ),
    ("<disk/>", Disk("")),
]  # fmt: skip


@pytest.mark.parametrize(("element", "expected"), DISKS)
def test_disks(element: str, expected: Disk) -> None:
    assert parse(element).disks == (expected,)


NVRAM = [
    ("<nvram template='/usr/share/OVMF/VARS.fd'>/var/lib/libvirt/qemu/nvram/w_VARS.fd</nvram>", "nvram/w_VARS.fd"),
    ("<nvram type='file'><source file='/i/vars'/></nvram>", "/i/vars"),
    ("<nvram type='block'><source dev='/dev/vars'/></nvram>", "/dev/vars"),
]


@pytest.mark.parametrize(("element", "path"), NVRAM)
def test_variables_of_the_firmware_are_an_image(element: str, path: str) -> None:
    (found,) = parse(more=f"<os>{element}</os>").images
    assert found.endswith(path)


def test_all_devices_have_a_tag_and_a_kind() -> None:
    found = parse("<shmem name='m'/><memory model='nvdimm'/><tpm model='tpm-crb'/><filesystem type='mount'/>").devices
    assert found == (("shmem", ""), ("memory", "nvdimm"), ("tpm", "tpm-crb"), ("filesystem", "mount"))


BROKEN = {
    "<domain/>": "it has no name", "<domstatus pid='1'/>": "it has no domain",
    "<domstatus pid='x'><domain><name>a</name></domain></domstatus>": "pid: invalid literal",
    "<domain><name>a</name><uuid>b</uuid></domain>": "uuid: 'b' is none",
    "<domain><name>a</name><devices><x><source><address slot='0x20'/></source></x></devices></domain>":
        "slot: '0x20' is not between 0 and 31",
    "<domain><name>a</name><devices><x><source><address slot='-1'/></source></x></devices></domain>":
        "slot: '-1' is not",
    f"<domain><name>a</name><devices><x><source><address slot='{'9' * 5000}'/></source></x></devices></domain>":
        "slot: '9+' is not",
}  # fmt: skip


@pytest.mark.parametrize("memory", ["<memory>-1</memory>", "<memory unit='EiB'>1</memory>", "<memory/>"])
def test_memory_is_a_size(memory: str) -> None:
    with pytest.raises(BadInputError, match=r"memory: .* is no size"):
        whole_domain.parse(f"<domain><name>a</name>{memory}</domain>")


@pytest.mark.parametrize(("text", "why"), BROKEN.items(), ids=range(len(BROKEN)))
def test_what_cannot_be_a_domain_is_an_error(text: str, why: str) -> None:
    for reader in (domain_xml.parse, whole_domain.parse):
        with pytest.raises(BadInputError, match=why):
            reader(text)
