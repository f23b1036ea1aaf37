# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The readers of input, and what their errors must name."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import document, selector, text, vf_request
from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import domains
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build import patch_series
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan import without_host
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import pfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import devlink, ip, virsh, whole_domain
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert import registry
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import evidence
from tests.fake.linux.host import FakeHost

from . import exports, machine, values

PF = "0000:03:00.0"
SELECTOR = {"driver": "ice", "not": [{"netdev": "eth*"}], "all": True}
DOCUMENTS = (
    {"pfs": [{"pf": PF, "hardware_vfs": 7, "present_vfs": "0-1,6", "mtu": 9000, "vfs": [
        {"ids": "all", "driver": "vfio-pci"}, {"ids": 6, "mac": "02:00:00:00:00:06", "vlan": 100, "qos": 3},
        {"ids": [0, "2-3"], "mac": "02:00:00:00:10:00+id", "vlan": "100+id", "trust": True, "max_tx_rate": 10}]}]},
    {"schema": 1, "pfs": [{"pf": SELECTOR,
                           "hardware_vfs": {"at_most": 16}, "drivers_autoprobe": False, "eswitch_mode": "legacy"}]},
)  # fmt: skip
REQUEST = {"pf": "eth0", "ids": "0-1", "state": "present", "driver": "vfio-pci", "mac": "hash", "vlan": 5, "mtu": 1500}
LINK = {
    "ifname": "eth0", "link_type": "ether", "address": "02:00:00:00:00:01", "permaddr": "02:00:00:00:00:02",
    "mtu": 1500, "min_mtu": 68, "max_mtu": 9216, "altnames": ["up"], "vfinfo_list": [
        {"vf": 0, "link_type": "ether", "address": "02:00:00:00:00:03", "vlan_list": [{"vlan": 5, "qos": 1}],
         "rate": {"max_tx": 0, "min_tx": 0}, "spoofchk": True, "link-state": "auto", "trust": False}]}  # fmt: skip
DEVLINK = {
    "dev": {f"pci/{PF}": {"mode": "legacy"}},
    "info": {f"pci/{PF}": {"versions": {"running": {"fw": "1.2"}}}},
    "port": {f"pci/{PF}/1": {"flavour": "pcivf", "vfnum": 0, "function": {"hw_addr": "02:00:00:00:00:01"}}},
}
DOMAIN = (
    "<domain type='kvm'><name>web</name><devices><interface type='network'><source network='n'/></interface>"
    "<hostdev><source><address domain='0x0000' bus='0x03' slot='0x10' function='0x0'/></source></hostdev>"
    "</devices></domain>",
    "<domstatus state='running' pid='42'><domain><name>web</name><devices/></domain></domstatus>",
)  # fmt: skip
DOMINFO = (
    "Name:           web\nUUID:           c7a5fdbd-edaf-9455-926a-d65c16db1809\nState:          shut off\n"
    "Persistent:     yes\nAutostart:      disable\nAutostart Once: disable\nManaged save:   no\n",
)  # fmt: skip
XML = ("",)
"""What errors about XML name is added by who knows its origin."""
RESULT = {
    **evidence.EMPTY, "update": "u1", "phases": [{"name": "saving", "start": 1.0, "end": 2.0}], "vms": [
        {"name": "web1", "result": "restored", "paused_at": 1.0, "resumed_at": 2.0, "vfs": [f"{PF}"]}],
    "present_at_first_restore": {PF: "0-1"}, "present_at_end": {PF: "0-6"}}  # fmt: skip
FOREIGN: dict[str, tuple[Any, ...]] = {
    "netplan": ({"network": {"ethernets": {"eth0": {"virtual-function-count": 7, "match": {"name": "eth*"}},
                                           "vf0": {"link": "eth0", "macaddress": "02:00:00:00:00:01"}}}},),
    "nmstate": ({"interfaces": [{"name": "eth0", "ethernet": {"sr-iov": {"total-vfs": 2, "vfs": [
        {"id": 1, "vlan-id": 5, "mac-address": "02:00:00:00:00:01", "trust": True, "max-tx-rate": 5}]}}}]},),
    "sriov_policies": ({"kind": "SriovNetworkNodePolicy", "metadata": {"name": "a"}, "spec": {
        "numVfs": 4, "nicSelector": {"vendor": "8086", "pfNames": ["eth0#0-1"]}, "deviceType": "vfio-pci"}},),
}  # fmt: skip


class Target(NamedTuple):
    """A reader of input.

    ``call`` may raise ``errors``, whose text has one of ``names``, and nothing else.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    call: Callable[[Any], object]
    names: tuple[str, ...]
    errors: type[Exception] = SriovError


def _ip(answer: Any) -> object:  # noqa: ANN401 - any value
    return ip.read_link(lambda _argv: _json([answer]), "eth0")


def _devlink(answer: Any) -> object:  # noqa: ANN401 - any value
    def run(_argv: object) -> str:
        return _json(answer)

    return (devlink.running_versions(run, PF), devlink.vf_ports(run, PF), devlink.eswitch_mode(run, PF))


def _json(value: Any) -> str:  # noqa: ANN401 - any value
    try:
        return json.dumps(value)
    except ValueError:  # more digits than Python writes
        return "9" * 5000


def _convert(source: str) -> Callable[[Any], object]:
    return lambda data: registry.convert([data], source)


def _document(data: Any) -> object:  # noqa: ANN401 - any value
    found = document.validate(data)
    without_host.refuse(found)
    return found


def _text(one: str) -> object:
    return text.document_of(text.from_yaml(one, "FILE"))


@functools.lru_cache(maxsize=1)
def _host() -> FakeHost:
    host = FakeHost(Path(tempfile.mkdtemp(prefix="kvmfleet-fuzz-")))
    host.setup(host.igb(PF), 7, range(7), "igbvf")
    return host


def _files(contents: dict[str, str]) -> object:
    """A PF whose files have other contents, each in turn."""
    host = _host()
    folder = host.root / f"sys/bus/pci/devices/{PF}"
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8", errors="replace")
    return pfs.read_pfs(host.sysfs, [PF])


def _patches(lists: tuple[str, str]) -> object:
    folder = _host().root.parent / f"{_host().root.name}-series"
    folder.mkdir(exist_ok=True)
    (folder / "a.patch").write_text(lists[0], encoding="utf-8", errors="replace")
    (folder / "series").write_text(lists[1], encoding="utf-8", errors="replace")
    return patch_series.read_series(folder)


NUMBERS = ("sriov_numvfs", "sriov_totalvfs", "sriov_offset", "sriov_stride", "sriov_drivers_autoprobe")
PATCH = ("diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n",)
MINE = values.mutated((REQUEST,)).filter(lambda value: isinstance(value, dict))
TARGETS = (
    Target("documents", values.mutated(DOCUMENTS), _document, ("pfs", "host document", "PF", "mac", "name")),
    Target(
        "document texts", values.texts(tuple(json.dumps(one) for one in DOCUMENTS)), _text,
        ("FILE", "pfs", "host document"),
    ),
    Target("requests", MINE, vf_request.validate, ("sriov_vf",)),
    Target(
        "ids", st.one_of(values.texts(("0-3,200", "all", "7")), st.sampled_from(values.HOSTILE)),
        lambda one: vf_ids.parse(one, 256, "IDS"), ("IDS",),
    ),
    Target(
        "selectors", values.mutated((SELECTOR, {"vendor": "8086", "index": 0}, "eth0")),
        lambda one: selector.validate(one, "PF"), ("PF",),
    ),
    Target("selector texts", values.texts(("driver=ice,index=0", "eth0", PF)), selector.from_text, ("PF",)),
    Target("ip", values.mutated((LINK,)), _ip, ("ip -json",)),
    Target("devlink", values.mutated((DEVLINK,)), _devlink, ("devlink", PF)),
    Target("domains", values.texts(DOMAIN), lambda one: domains.parse_domain("web.xml", one), ("web.xml",)),
    Target("domains' XML", values.texts((*DOMAIN, machine.DOMAIN)), whole_domain.parse, XML),
    Target("virsh dominfo", values.texts(DOMINFO), virsh.info, ("virsh",)),
    Target("virsh list", values.texts(("c7a5fdbd-edaf-9455-926a-d65c16db1809\n",)), virsh.uuids, ("virsh",)),
    Target(
        "files of PFs", st.dictionaries(st.sampled_from(NUMBERS), values.texts(("7", "0", "1", "384", "-1"))), _files,
        (PF,),
    ),
    Target(
        "patches", st.tuples(values.texts(PATCH), values.texts(("a.patch\n", "# x\nb.patch\n"))), _patches,
        ("series", "a.patch"),
    ),
    Target(
        "QMP lines", st.one_of(values.texts((machine.LINES,)), values.mutated((machine.MESSAGES,)).map(machine.joined)),
        machine.lines, ("QEMU", "QMP", "migration"),
    ),
    Target("QMP answers", values.mutated((machine.ANSWERS,)), machine.answers, ("QEMU",)),
    Target(
        "files of processes",
        st.dictionaries(st.sampled_from(sorted(machine.FILES)), values.texts(tuple(machine.FILES.values()))),
        machine.files, ("/proc",),
    ),
    Target("evidence", values.mutated((RESULT,)), evidence.checked, ("result.json",), ValueError),
    Target("exports", exports.odd_hosts(), exports.exports, ()),
    Target("facts for exports", st.deferred(exports.facts), exports.facts_of_a_host, ("pf", "sriov_info")),
    *(Target(name, values.mutated(seeds), _convert(name), ("",)) for name, seeds in FOREIGN.items()),
)  # fmt: skip


def judge(target: Target, value: Any) -> None:  # noqa: ANN401 - any value
    """Fail for a traceback, or an error that names nothing.

    Or that is not fit to be shown.
    """
    try:
        target.call(value)
    except target.errors as error:
        shown = str(error)
        assert any(name in shown for name in target.names), f"{target.name}: {shown!r} does not name what is wrong"
        assert all(one.isprintable() or one == "\n" for one in shown), (
            f"{target.name}: {shown!r} has control characters"
        )
        assert len(shown) < 20_000, f"{target.name}: an error of {len(shown)} characters"
