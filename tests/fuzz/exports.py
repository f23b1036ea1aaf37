# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is exported while it says odd things."""

from __future__ import annotations

import copy
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import text
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import HostDocument, validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.yaml_text import comments, pfs_lines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.export import Export, export
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.info import gather
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.from_sriov_info import from_sriov_info
from tests.fake.linux.host import FakeHost

from . import values

PF, OTHER, NETDEV = "0000:03:00.0", "0000:04:00.0", "eth0"
DEVICES = "sys/bus/pci/devices"
ODD: tuple[Any, ...] = (
    4095, 4096, -1, 2**31, 2**32 - 1, 1.5, "hash", "02:00:00:00:00:10+id", "5+id", "none", "zz", "0x:00:00:00:00:01",
    "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "02:00:00:00:00:07", "02-00-00-00-00-07", "maybe", "on", "off", "0", "7",
    "{{ lookup('pipe', 'id') }}", "{% raw %}", "a: [b", "- &a *b", "!!python/object:os.system", "x\n  y: z", "# x",
    "\x1b]0;x\x07", "\u2028", "\u202e",
)  # fmt: skip
"""Readings that no VF has, or that are rules in documents."""
FLAGS = {"spoofchk": "spoofchk", "trust": "trust", "query_rss": "query_rss_en"}
WORDS = {"vlan_proto": ("802.1q", "802.1ad"), "link_state": ("auto", "enable", "disable")}
FILES = {
    f"{PF}/net/{NETDEV}/mtu": "9000\n", f"{PF}/net/{NETDEV}/flags": "0x1003\n", f"{PF}/net/{NETDEV}/speed": "25000\n",
    f"{PF}/net/{NETDEV}/address": "52:54:00:00:00:01\n", f"{PF}/numa_node": "1\n", f"{PF}/class": "0x020000\n",
    f"{PF}/current_link_width": "8\n", f"{PF}/current_link_speed": "8.0 GT/s PCIe\n", f"{PF}/vendor": "0x15b3\n",
    f"{PF}/sriov_numvfs": "4\n", f"{PF}/sriov_totalvfs": "8\n",
    f"{PF}/sriov_drivers_autoprobe": "1\n", f"{PF}/sriov_vf_total_msix": "256\n",
    f"{PF}/virtfn2/driver_override": "mlx5_core\n", f"{PF}/virtfn2/numa_node": "1\n",
    f"{PF}/virtfn2/net/vf2/mtu": "1400\n", f"{PF}/virtfn2/net/vf2/addr_assign_type": "3\n",
    f"{PF}/virtfn2/net/vf2/address": "02:00:00:00:00:0a\n", f"{PF}/virtfn3/config": "",
}  # fmt: skip
"""Files of the PF and of two VFs.

Not offset and stride: the kernel finds VFs by them as well, so they cannot lead to another PF.
"""
DRIVER = f"{PF}/virtfn3/driver"


@functools.lru_cache(maxsize=1)
def _host() -> FakeHost:
    host = FakeHost(Path(tempfile.mkdtemp(prefix="kvmfleet-fuzz-")))
    pf = host.mlx5(PF, netdev=NETDEV, mtu=9000, up=True, speed=25000, numa_node=1)
    host.setup(pf, 4, range(4), "mlx5_core")
    for vf_id, vf in pf.vfs.items():
        vf.name = f"vf{vf_id}"
        pf.properties[vf_id].update(mac=f"02:00:00:00:00:{8 + vf_id:02x}", vlan=7, max_tx_rate=100, trust=True)
    other = host.igb(OTHER, netdev="eth1")
    host.setup(other, 2, range(2), "igbvf")
    other.properties[1].update(mac="02:00:00:00:00:77", vlan=9)
    host.draw()
    return host


@functools.lru_cache(maxsize=1)
def answers() -> dict[str, Any]:
    """What tools say of the PF."""
    shown = json.loads(_host().run(["ip", "-json", "-details", "link", "show", "dev", NETDEV]))
    devlink = {name: _said(["devlink", "-j", *words]) for name, words in COMMANDS.items()}
    return {"ip": shown, **devlink}


COMMANDS = {
    "eswitch": ("dev", "eswitch", "show", f"pci/{PF}"), "info": ("dev", "info", f"pci/{PF}"), "port": ("port", "show"),
}  # fmt: skip


def _said(argv: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    return json.loads(_host().run(argv) or "{}")


@functools.lru_cache(maxsize=1)
def _healthy() -> dict[str, Any]:
    """What is exported of the other PF, whatever this one says."""
    host = _host()
    found = export(gather(host.sysfs, host.run))
    return next(pf for pf in found.document.to_dict()["pfs"] if pf["pf"] == OTHER)


@st.composite
def odd_hosts(draw: st.DrawFn) -> dict[str, Any]:
    """Answers of tools, files, and the name of a VF's driver."""
    one = draw(st.integers(0, 5))
    said = values.mutated((answers(),), values.HOSTILE + ODD) if one else st.just(answers())
    texts = values.texts(tuple(sorted(set(FILES.values()))), values.HOSTILE + ODD)
    files = st.dictionaries(st.sampled_from(sorted(FILES)), texts, max_size=2)
    names = st.sampled_from(("mlx5_core", *(word for word in ODD if isinstance(word, str) and "/" not in word)))
    return {"said": draw(said), "files": draw(files), "driver": draw(names)}


def exports(odd: Mapping[str, Any]) -> object:
    """Export the host; nothing odd may end it, or be declared."""
    host = _host()
    with_files(host, odd)
    found = export(gather(host.sysfs, run_of(host, odd["said"])))
    declared = check(found)
    assert declared[OTHER] == _healthy()
    if PF not in declared:
        assert any(PF in notice for notice in found.notices), f"PF {PF} is left out in silence"
    else:
        said = odd["said"].get("ip") if isinstance(odd["said"], dict) else None
        check_readings(declared[PF], found.notices, said)
    return found


def with_files(host: FakeHost, odd: Mapping[str, Any]) -> None:
    for name, text_ in {**FILES, **odd["files"]}.items():
        if name.endswith("config") and name not in odd["files"]:
            continue
        (host.root / DEVICES / name).write_text(text_, encoding="utf-8", errors="replace")
    link = host.root / DEVICES / DRIVER
    link.unlink(missing_ok=True)
    os.symlink(f"../../drivers/{odd['driver']}", link)


def run_of(host: FakeHost, said: Any) -> Callable[[Sequence[str]], str]:  # noqa: ANN401 - JSON
    """A `process.run` that says other things of the PF."""

    def run(argv: Sequence[str]) -> str:
        name = "ip" if NETDEV in argv and argv[0] == "ip" else ""
        for one, words in COMMANDS.items():
            name = one if tuple(argv[2:]) == words and argv[0] == "devlink" else name
        return _json(said.get(name) if isinstance(said, dict) else said) if name else host.run(argv)

    return run


def _json(value: Any) -> str:  # noqa: ANN401 - any value
    try:
        return json.dumps(value)
    except ValueError:  # more digits than Python writes
        return "9" * 5000


class _Loader(yaml.SafeLoader):
    """YAML as Ansible reads it, with texts tagged ``!unsafe``."""


def _text(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Loader.add_constructor("!unsafe", _text)


def check(found: Export) -> dict[str, dict[str, Any]]:
    """The exported PFs by address, after reading them back.

    The document passes its check, as JSON and in an inventory; notices are one line each.
    """
    document: HostDocument = found.document
    data = document.to_dict()
    assert validate(json.loads(json.dumps(data))) == document
    lines = [*comments(found.notices), *pfs_lines(document)]
    written = "\n".join(lines)
    assert all(one.isascii() and one.isprintable() for one in lines), written
    assert yaml.load(written, _Loader) == {"sriov_pfs": data["pfs"]}
    assert text.document_of(text.from_yaml(written.replace("!unsafe ", ""), "FILE")) == document
    assert not _live(document), "a template that Ansible would evaluate"
    for notice in found.notices:
        assert len(notice) < 2000, f"a notice of {len(notice)} characters"
    return {pf["pf"]: pf for pf in data["pfs"]}


def _live(document: HostDocument) -> list[str]:
    """Lines with a brace that are not marked as unsafe."""
    return [line for line in pfs_lines(document) if ("{{" in line or "{%" in line) and "!unsafe" not in line]


def check_readings(pf: Mapping[str, Any], notices: Sequence[str], said: Any) -> None:  # noqa: ANN401 - JSON
    """What is declared was read so, and odd readings are named."""
    entries = dict(_entries(said))
    for vf in pf.get("vfs", ()):
        for vf_id in vf_ids.parse(vf["ids"], pf["hardware_vfs"]):
            for name, value in vf.items():
                if name in ("ids", "driver", "msix_vectors", "mtu"):
                    continue
                read = _reading(entries.get(vf_id, {}), name)
                wanted = _derived(value, vf_id)
                assert is_same(name, wanted, read), f"VF {vf_id} is to have {name} {wanted!r}, and has {read!r}"
    whole = any("properties of VFs" in notice for notice in notices)
    for vf_id, entry in entries.items():
        for name in (*FLAGS, *WORDS, "mac", "vlan", "qos", "max_tx_rate", "min_tx_rate"):
            read = _reading(entry, name)
            if read is None or vf_id > 3 or not is_odd(name, read):
                continue
            named = any(PF in one and f" {name} " in one and vf_id in _ids(one) for one in notices)
            assert named or whole, f"VF {vf_id}: {name} {read!r} is dropped in silence: {notices}"


def _ids(notice: str) -> frozenset[int]:
    words = notice.partition("VFs ")[2].replace(":", " ").split()
    try:
        return vf_ids.parse(words[0], 65536) if words else frozenset()
    except Exception:  # another notice
        return frozenset()


def _entries(said: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:  # noqa: ANN401 - JSON
    links = [one for one in said if isinstance(one, dict) and "ifname" in one] if isinstance(said, list) else []
    first = links[0] if links else {}
    rows = first.get("vfinfo_list")
    for entry in rows if isinstance(rows, list) else ():
        if isinstance(entry, dict) and type(entry.get("vf")) is int:
            yield entry["vf"], entry


def _reading(entry: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - JSON
    """What the entry says of a property, None for nothing."""
    tags = entry.get("vlan_list")
    tag = tags[0] if isinstance(tags, list) and tags and isinstance(tags[0], dict) else entry
    rates = entry.get("rate")
    rate = rates if isinstance(rates, dict) else {}
    places = {
        "mac": (entry, "address"), "vlan": (tag, "vlan"), "qos": (tag, "qos"), "vlan_proto": (tag, "protocol"),
        "max_tx_rate": (rate, "max_tx"), "min_tx_rate": (rate, "min_tx"),
    }  # fmt: skip
    place, key = places.get(name, (entry, FLAGS.get(name, name)))
    return place.get(key)


def is_same(name: str, wanted: Any, read: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a declared value is what was read."""
    if name in FLAGS:
        return read is wanted or read == ("on" if wanted else "off")
    if name in WORDS:
        return str(read).lower() in (wanted, str(WORDS[name].index(wanted)))
    if name == "mac":
        return isinstance(read, str) and read.lower() == wanted
    return not isinstance(read, (bool, float)) and str(read) == str(wanted)


def is_odd(name: str, read: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a reading is none that VFs have."""
    if name in FLAGS:
        return read not in (True, False, "on", "off") or (isinstance(read, (int, float)) and not isinstance(read, bool))
    if name in WORDS:
        return not isinstance(read, (str, int)) or str(read).lower() not in (*WORDS[name], "0", "1", "2")
    if name == "mac":
        return not isinstance(read, str) or len(read) != 17
    high = {"vlan": 4094, "qos": 7}.get(name, 2**31 - 1)
    return isinstance(read, (bool, float)) or not str(read).isdecimal() or int(str(read)[:20]) > high


def _derived(value: Any, vf_id: int) -> Any:  # noqa: ANN401 - JSON
    """A declared value for one VF."""
    if not isinstance(value, str) or not value.endswith("+id"):
        return value
    base = value[:-3]
    if ":" not in base:
        return int(base) + vf_id
    digits = base.replace(":", "")
    low = f"{int(digits[-6:], 16) + vf_id:06x}"
    return ":".join((digits[:-6] + low)[at : at + 2] for at in range(0, len(digits), 2))


@functools.lru_cache(maxsize=1)
def _facts() -> list[dict[str, Any]]:
    host = _host()
    with_files(host, {"files": {}, "driver": "mlx5_core"})
    return list(json.loads(json.dumps(gather(host.sysfs, host.run))))


def facts() -> st.SearchStrategy[Any]:
    """What `sriov_info` returned of the host, with other parts."""
    return values.mutated((_facts(),), values.HOSTILE + ODD)


def facts_of_a_host(pfs: Any) -> object:  # noqa: ANN401 - any value
    """Convert facts that a managed host has returned."""
    kept = copy.deepcopy(pfs) if pfs is not values.DEEP else pfs
    found = from_sriov_info(kept)
    check(Export(validate(found["document"]), tuple(found["notices"])))
    return found
