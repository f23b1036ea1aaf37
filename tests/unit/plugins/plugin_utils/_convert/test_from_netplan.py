# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversions of netplan files, as people write them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.from_netplan import from_netplan

STAYS = "not of SR-IOV; stays with netplan"
HOST = [
    {
        "pf": "0000:3b:00.0",
        "netdev": "enp59s0f0np0",
        "driver": "mlx5_core",
        "vfs": [{"id": 0, "netdev": "enp59s0f0v0"}, {"id": 1, "netdev": "tenant"}, {"id": 2, "netdev": None}],
    },
    {"pf": "0000:5e:00.0", "netdev": "eno1", "driver": "ice", "vfs": [{"id": 1, "netdev": "other"}]},
    {"pf": "0000:5e:00.1", "netdev": "eno2", "driver": "ice", "vfs": []},
]
"""The parts of a host's `sriov_info` that the converter reads."""

WHOLE_HOST = """
network:
  version: 2
  renderer: networkd
  ethernets:
    renderer: networkd
    eno1: {dhcp4: true}
    uplink:
      match: {macaddress: "3c:fd:fe:00:00:01"}
      set-name: enp59s0f0np0
      mtu: 9000
      addresses: [192.0.2.1/24]
      virtual-function-count: 8
      embedded-switch-mode: switchdev
      delay-virtual-functions-rebind: true
    enp59s0f0v0:
      link: uplink
      macaddress: "52:54:00:AA:00:10"
      dhcp4: false
    enp59s0f0v3: {link: uplink, mtu: 1500, macaddress: permanent}
  vlans:
    tenant10: {id: 10, link: enp59s0f0v3, renderer: sriov}
    plain11: {id: 11, link: eno1}
  bridges:
    br0: {interfaces: [eno1]}
"""


def test_a_whole_host() -> None:
    found = from_netplan(yaml.safe_load(WHOLE_HOST))
    assert found["document"]["pfs"] == [
        {
            "pf": "enp59s0f0np0",
            "hardware_vfs": 8,
            "present_vfs": "all",
            "eswitch_mode": "switchdev",
            "mtu": 9000,
            "vfs": [{"ids": "0", "mac": "52:54:00:aa:00:10"}, {"ids": "3", "vlan": 10, "mtu": 1500}],
        }
    ]
    assert found["notices"] == [
        f"bridges: {STAYS}",
        f"vlans.plain11: {STAYS}",
        f"ethernets.eno1: {STAYS}",
        f"ethernets.uplink.addresses: {STAYS}",
        "ethernets.uplink.delay-virtual-functions-rebind: drivers are bound as the document says, not when "
        "somebody asks for it",
        f"ethernets.enp59s0f0v0.dhcp4: {STAYS}",
        "ethernets.enp59s0f0v0.macaddress: carried over to VF 0, but set through the PF instead of on the VF",
        f"ethernets.enp59s0f0v3.macaddress: {STAYS}",
    ]


def ethernets(text: str) -> dict[str, Any]:
    return {"network": {"version": 2, "ethernets": yaml.safe_load(text)}}


# definitions, what is known of the host, hardware_vfs by PF, words of notices
NAMES: list[tuple[str, object, dict[str, int], list[str]]] = [
    ("{eno1: {virtual-function-count: 4}}", None, {"eno1": 4}, []),
    ("{eno1: {}, a: {link: eno1}, b: {link: eno1}}", None, {"eno1": 2}, []),
    ("{eno1: {virtual-function-count: 4}, a: {link: eno1}}", None, {"eno1": 4}, []),
    ("{up: {match: {name: eno1}, virtual-function-count: 4}}", None, {"eno1": 4}, []),
    ("{up: {match: {macaddress: 'aa'}, set-name: eno9, virtual-function-count: 4}}", None, {"eno9": 4}, []),
    ("{up: {match: {name: 'enp59*'}, virtual-function-count: 4}}", HOST, {"enp59s0f0np0": 4}, []),
    ("{up: {match: {driver: 'mlx5*'}, virtual-function-count: 4}}", HOST, {"enp59s0f0np0": 4}, []),
    ("{up: {match: {name: 'en*1', driver: [igb, ice]}, virtual-function-count: 4}}", HOST, {"eno1": 4}, []),
    (
        "{up: {match: {driver: 'mlx5*'}, virtual-function-count: 4}}", None, {},
        ["ethernets.up: which PF fits driver mlx5* is not known, so it is left out; give the host's pfs"],
    ),
    (
        "{up: {match: {driver: ice}, virtual-function-count: 4}}", HOST, {},
        ["ethernets.up: not exactly one PF of the host fits driver ice, so it is left out"],
    ),
    (
        "{up: {match: {name: 'wl*'}, virtual-function-count: 4}}", HOST, {},
        ["ethernets.up: not exactly one PF of the host fits name wl*, so it is left out"],
    ),
    (
        "{up: {match: {macaddress: '02:00:00:00:00:01', driver: [igb, ice]}, virtual-function-count: 4}}", None, {},
        ["ethernets.up: which PF fits macaddress 02:00:00:00:00:01, driver ['igb', 'ice'] is not known, so it is left "
         "out; give the host's pfs"],
    ),
    (
        "{eno1: {virtual-function-count: 0}}", None, {},
        ["ethernets.eno1.virtual-function-count: netplan does nothing for 0; the number of VFs is left as it is found"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "pfs", "numbers", "notices"), NAMES)
def test_names_and_numbers(text: str, pfs: object, numbers: dict[str, int], notices: list[str]) -> None:
    found = from_netplan(ethernets(text), pfs)
    wanted = [{"pf": pf, "hardware_vfs": number, "present_vfs": "all"} for pf, number in numbers.items()]
    assert found == {"document": {"pfs": wanted}, "notices": notices}


def test_a_driver_without_a_host() -> None:
    found = from_netplan(ethernets("{up: {match: {driver: ice, name: 'en*'}, virtual-function-count: 4}}"))
    assert [pf["pf"] for pf in found["document"]["pfs"]] == [{"driver": "ice", "netdev": "en*"}]


UNKNOWN = "which VF has the interface {} is not known; give the host's pfs"

# definition of a VF of enp59s0f0np0 with its name, what is known of the host, the id it gets, the notice without one
VFS: list[tuple[str, str, object, str | None, str]] = [
    ("enp59s0f0v7", "{}", None, "7", ""),
    ("enp59s0f0np0v7", "{}", None, None, UNKNOWN),
    ("a", "{match: {name: enp59s0f0v7}}", None, "7", ""),
    ("a", "{match: {name: enp59s0f0v7}}", HOST, "7", ""),
    ("enp59s0f0v0", "{}", HOST, "0", ""),
    ("tenant", "{}", HOST, "1", ""),
    ("a", "{match: {name: tenant}}", HOST, "1", ""),
    ("a", "{match: {name: 'ten*'}}", HOST, "1", ""),
    ("a", "{match: {macaddress: 'aa'}, set-name: tenant}", HOST, "1", ""),
    ("tenant", "{}", None, None, UNKNOWN),
    ("other", "{}", HOST, None, UNKNOWN),
    ("a", "{match: {name: '*'}}", HOST, None, UNKNOWN),
]


@pytest.mark.parametrize(("name", "text", "pfs", "vf_id", "notice"), VFS)
def test_ids_of_vfs(name: str, text: str, pfs: object, vf_id: str | None, notice: str) -> None:
    """A VF has no id in netplan, only an interface."""
    definition = {**yaml.safe_load(text), "link": "enp59s0f0np0", "macaddress": "02:00:00:00:00:01"}
    pf = {"virtual-function-count": 8}
    found = from_netplan({"network": {"ethernets": {"enp59s0f0np0": pf, name: definition}}}, pfs)
    vfs = found["document"]["pfs"][0].get("vfs")
    if vf_id is None:
        assert vfs is None
        assert found["notices"] == [f"ethernets.{name}.macaddress: 02:00:00:00:00:01: {notice.format(name)}"]
    else:
        assert vfs == [{"ids": vf_id, "mac": "02:00:00:00:00:01"}]


def test_files_are_merged_as_netplan_does() -> None:
    files = [
        ethernets("{eno1: {virtual-function-count: 4, addresses: [a]}, eno2: {virtual-function-count: 2}}"),
        None,
        {"network": {"ethernets": {"eno1": {"virtual-function-count": 6, "addresses": ["b"]}}, "bonds": {"b0": {}}}},
    ]
    found = from_netplan(files)
    assert [(pf["pf"], pf["hardware_vfs"]) for pf in found["document"]["pfs"]] == [("eno1", 6), ("eno2", 2)]
    assert found["notices"] == [f"bonds: {STAYS}", f"ethernets.eno1.addresses: {STAYS}"]


# a later file that says nothing of a PF, an interface or a section
EMPTY = ["", "network:", "network: {ethernets: }", "network: {ethernets: {eno1: }}", "network: {ethernets: {eno1: {}}}"]


@pytest.mark.parametrize("text", EMPTY)
def test_an_empty_entry_of_a_later_file_takes_nothing_away(text: str) -> None:
    files = [ethernets("{eno1: {virtual-function-count: 4}}"), yaml.safe_load(text)]
    assert from_netplan(files)["document"]["pfs"][0]["hardware_vfs"] == 4


def test_a_key_without_a_value_is_named() -> None:
    files = [ethernets("{eno1: {virtual-function-count: 4}}"), ethernets("{eno1: {virtual-function-count: }}")]
    assert from_netplan(files) == {
        "document": {"pfs": []},
        "notices": ["ethernets.eno1.virtual-function-count: without a value, so it is left as it is found"],
    }


def test_mac_address_without_quotes() -> None:
    """A MAC address that YAML 1.1 reads as a number.

    Without quotes it is one to the base of 60.
    """
    data = ethernets("{eno1: {virtual-function-count: 1}, eno1v0: {link: eno1, macaddress: 52:54:00:12:34:56}}")
    assert from_netplan(data)["document"]["pfs"][0]["vfs"] == [{"ids": "0", "mac": "52:54:00:12:34:56"}]


@pytest.mark.parametrize("data", [{"network": {"version": 2}}, {"version": 2, "ethernets": {}}, None, []])
def test_nothing_of_sriov(data: object) -> None:
    assert from_netplan(data) == {"document": {"pfs": []}, "notices": []}


# input, what is known of the host, the message
WRONG: list[tuple[object, object, str]] = [
    (
        ethernets("{eno1: {virtual-function-count: 65536}}"), None,
        "ethernets.eno1.virtual-function-count: 65536 is out of range: no PF has more than 65535 VFs",
    ),
    (
        ethernets("{eno1: {embedded-switch-mode: off}}"), None,
        "ethernets.eno1.embedded-switch-mode: false is not one of legacy, switchdev",
    ),
    (
        ethernets("{off: {virtual-function-count: 4}}"), None,
        "ethernets: false is not the name of an interface; write it in quotes",
    ),
    (
        ethernets("{010: {}, eno1v0: {link: '8'}}"), None,
        "ethernets: 8 is not the name of an interface; write it in quotes",
    ),
    (
        ethernets("{up: {set-name: on, match: {name: a}, virtual-function-count: 4}}"), None,
        "ethernets.up.set-name: true is not the name of an interface; write it in quotes",
    ),
    (
        ethernets("{up: {match: {name: 1_0}, virtual-function-count: 4}}"), None,
        "ethernets.up.match.name: 10 is not the name of an interface; write it in quotes",
    ),
    (
        ethernets("{a: {link: off}}"), None,
        "ethernets.a.link: false is not the name of an interface; write it in quotes",
    ),
    ({"version": 2}, None, "netplan: the key 'network' is missing; its keys are version"),
    ([{"network": {}}, {"interfaces": []}], None, "file 1: the key 'network' is missing; its keys are interfaces"),
    ("network:", None, "netplan: 'network:' is not a mapping"),
    (ethernets("{eno1: []}"), None, "ethernets.eno1: [] is not a mapping"),
    (
        ethernets("{eno1: {virtual-function-count: 1}, a: {link: eno1}, b: {link: eno1}}"), None,
        "ethernets.eno1.virtual-function-count: 1 is less than the 2 VFs defined: a, b",
    ),
    (
        ethernets("{eno1: {virtual-function-count: -1}}"), None,
        "ethernets.eno1.virtual-function-count: -1 is not a whole number from 0 on",
    ),
    (ethernets("{a: {link: eno1}}"), None, "ethernets.a.link: 'eno1' is not defined in ethernets"),
    (
        ethernets("{eno1: {}, a: {link: eno1}, b: {link: a}}"), None,
        "ethernets.b.link: 'a' is itself a VF, of 'eno1'; name the PF",
    ),
    (
        ethernets("{eno1: {}, eno1v5: {link: eno1, macaddress: '02:00:00:00:00:01'}}"), None,
        "ethernets.eno1v5.macaddress: VF 5 is not among the 1 VFs of ethernets.eno1",
    ),
    (
        ethernets("{eno1: {virtual-function-count: 9}, eno1v5: {link: eno1, macaddress: true}}"), None,
        "ethernets.eno1v5.macaddress: true is not a MAC address; write it in quotes",
    ),
    (
        ethernets("{eno1: {virtual-function-count: 9}, eno1v5: {link: eno1, macaddress: nonsense}}"), None,
        "ethernets.eno1v5.macaddress: 'nonsense' is not a unicast MAC address",
    ),
    (
        {"network": {"ethernets": {"eno1": {}}, "vlans": {"v": {"id": 1, "link": "eno1", "renderer": "sriov"}}}}, None,
        "vlans.v.link: 'eno1' is not a VF; renderer sriov is for VFs",
    ),
    (
        {"network": {"ethernets": {"eno1": {}, "eno1v0": {"link": "eno1"}},
                     "vlans": {name: {"id": number, "link": "eno1v0", "renderer": "sriov"}
                               for name, number in (("v", 1), ("w", 2))}}},
        None,
        "vlans.w.id: 2 contradicts vlans.v.id: 1; keep one of them",
    ),
    (
        {"network": {}}, {"pfs": []},
        "pfs: give the list 'pfs' that the module kvmfleet.sriov.sriov_info returned for the host",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "pfs", "message"), WRONG)
def test_wrong_input_names_the_path(data: object, pfs: object, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        from_netplan(data, pfs)
    assert str(caught.value).startswith(message)


def test_a_pf_by_its_mac_address() -> None:
    found = from_netplan(ethernets("{up: {match: {macaddress: '02:00:00:00:00:0A'}, virtual-function-count: 4}}"))
    assert found["document"]["pfs"][0]["pf"] == {"mac": "02:00:00:00:00:0a"}
    assert found["notices"] == []


# key of an interface, words of its notice
MISTYPED = [
    ("virtual_function_count", "ignored: netplan has no such key; did you mean 'virtual-function-count'?"),
    ("virtual-functions-count", "did you mean 'virtual-function-count'?"),
    ("embedded-switchmode", "did you mean 'embedded-switch-mode'?"),
    ("num-vfs", "ignored: netplan has no such key"),
    ("sriov", "ignored: netplan has no such key"),
    ("dhcp4", "not of SR-IOV; stays with netplan"),
]


@pytest.mark.parametrize(("key", "words"), MISTYPED)
@pytest.mark.parametrize("more", ["", ", virtual-function-count: 2"])
def test_mistyped_keys_are_not_called_something_else(key: str, words: str, more: str) -> None:
    (notice,) = from_netplan(ethernets(f"{{eno1: {{{key}: 4{more}}}}}"))["notices"]
    assert notice.startswith("ethernets.eno1" if key == "dhcp4" else f"ethernets.eno1.{key}: ")
    assert words in notice


BY_MAC = [
    {
        "pf": "0000:3b:00.0", "netdev": "ens1f0np0", "altnames": ["enp59s0f0np0"], "mac": "3c:fd:fe:00:00:01",
        "vfs": [{"id": 4, "netdev": "tenant", "netdev_mac": "02:00:00:00:00:01"},
                {"id": 5, "mac": "02:00:00:00:00:02"}],
    }
]  # fmt: skip
# definition of a VF of a PF that is known by its MAC address, its id
VFS_BY_MAC = [
    ("tenant: {link: up, mtu: 1400}", "4"),
    ("a: {match: {macaddress: '02:00:00:00:00:01'}, link: up, mtu: 1400}", "4"),
    ("a: {match: {macaddress: '02:00:00:00:00:02'}, link: up, mtu: 1400}", "5"),
    ("ens1f0v6: {link: up, mtu: 1400}", "6"),
    ("enp59s0f0v7: {link: up, mtu: 1400}", "7"),
]


@pytest.mark.parametrize(("vf", "vf_id"), VFS_BY_MAC)
@pytest.mark.parametrize("match", ["macaddress: '3C:FD:FE:00:00:01'", "name: ens1f0np0", "name: enp59s0f0np0"])
def test_vfs_of_a_pf_by_any_of_its_names(vf: str, vf_id: str, match: str) -> None:
    text = f"{{up: {{match: {{{match}}}, virtual-function-count: 8}}, {vf}}}"
    found = from_netplan(ethernets(text), BY_MAC)
    assert (found["document"]["pfs"][0]["vfs"], found["notices"]) == ([{"ids": vf_id, "mtu": 1400}], [])


def test_a_vf_is_no_pf() -> None:
    found = from_netplan(ethernets("{eno1: {}, eno1v0: {link: eno1, virtual-function-count: 3}}"))
    assert found["document"]["pfs"] == [{"pf": "eno1", "hardware_vfs": 1, "present_vfs": "all"}]
    (notice,) = found["notices"]
    assert notice.startswith("ethernets.eno1v0.virtual-function-count: of SR-IOV, but ignored")


HIDDEN = "of SR-IOV, but not carried over from this place; declare it by hand"
# what is below network, the path of what is of SR-IOV there
PLACES = [
    ("virtual-function-count: 4", "virtual-function-count"),
    ("ethernet: {eno1: {virtual-function-count: 4}}", "ethernet.eno1.virtual-function-count"),
    ("bonds: {b0: {parameters: {Embedded_Switch_Mode: x}}}", "bonds.b0.parameters.Embedded_Switch_Mode"),
    ("vlans: {v: {id: 3, link: a, sriov: 4}}", "vlans.v.sriov"),
    ("network: {ethernets: {a: {num-vfs: 4}}}", "network.ethernets.a.num-vfs"),
    (
        "ethernets: {a: {networkmanager: {passthrough: {sriov.vfs: 0 trust=true}}}}",
        "ethernets.a.networkmanager.passthrough.sriov.vfs",
    ),
    (
        "nm-devices: {a: {networkmanager: {passthrough: {sriov.total-vfs: 4}}}}",
        "nm-devices.a.networkmanager.passthrough.sriov.total-vfs",
    ),
    (
        "ethernets: {a: {virtual-function-count: 2, networkmanager: {passthrough: {sriov.total-vfs: 4}}}}",
        "ethernets.a.networkmanager.passthrough.sriov.total-vfs",
    ),
    ("config: [{name: a, sriov: {num_vfs: 4}}]", "config[0].sriov"),
]


@pytest.mark.parametrize(("text", "path"), PLACES)
def test_keys_of_sriov_in_other_places_are_named(text: str, path: str) -> None:
    assert f"{path}: {HIDDEN}" in from_netplan({"network": yaml.safe_load(text)})["notices"]


@pytest.mark.parametrize("name", ["vf0", "br-vfs", "sriov-br", "vf"])
def test_names_are_no_keys(name: str) -> None:
    found = from_netplan({"network": {"bridges": {name: {"dhcp4": True}}}})
    assert found["notices"] == [f"bridges: {STAYS}"]


def test_a_value_that_is_part_of_itself() -> None:
    data = yaml.safe_load("network: {bridges: &b {br0: {parameters: *b}}}")
    assert from_netplan(data)["notices"] == [f"bridges: {STAYS}"]


# the parts of a VLAN and their section, the notice
RENDERERS = [
    ("vlans: {v: {id: 5, link: eno1v0, renderer: sriov, addresses: [192.0.2.1/24]}}", f"vlans.v.addresses: {STAYS}"),
    (
        "vlans: {renderer: sriov, v: {id: 5, link: eno1v0}}",
        "vlans.renderer: of SR-IOV, but ignored: netplan takes it for each VLAN of a VF alone",
    ),
    (
        "renderer: sriov",
        "renderer: of SR-IOV, but ignored: netplan takes it for each VLAN of a VF alone",
    ),
]


@pytest.mark.parametrize(("text", "notice"), RENDERERS)
def test_parts_of_vlans_are_named(text: str, notice: str) -> None:
    data = {"network": {**yaml.safe_load("ethernets: {eno1: {}, eno1v0: {link: eno1}}"), **yaml.safe_load(text)}}
    assert notice in from_netplan(data)["notices"]
