# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/convert.yml on a fake tree: its file, output and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert import registry
from tests.fake.linux.host import FakeHost
from tests.fake.tools.controller import Controller

pytestmark = pytest.mark.slow  # runs of ansible-playbook
PLAYBOOK = "kvmfleet.sriov.convert"
IGB, NVME = "0000:03:00.0", "0000:04:00.0"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path / "host")
    host.igb(IGB, "eth0")
    host.nvme(NVME)
    return host


@pytest.fixture
def controller(tmp_path: Path, host: FakeHost) -> Controller:
    return Controller(tmp_path, host)


def converted(controller: Controller, **variables: object) -> tuple[Any, str, str]:
    """Run the playbook and return what it converted.

    These are the variables in the file that was written, its text, and the output of the run.
    """
    status, output = controller.play(PLAYBOOK, variables)
    assert status == 0, output
    text = (controller.folder / "converted/h1.yml").read_text()
    return yaml.safe_load(text), text, output


def test_netplan_of_the_host(controller: Controller) -> None:
    (controller.folder / "reported.yml").write_text(
        "network: {version: 2, ethernets: {up: {match: {driver: igb}, virtual-function-count: 4, dhcp4: true}}}"
    )
    controller.program("netplan", f'test "$1" = get && cat {controller.folder}/reported.yml')
    written, text, output = converted(controller, convert_from="netplan")
    assert written == {"sriov_pfs": [{"pf": "eth0", "hardware_vfs": 4, "present_vfs": "all"}]}
    assert '# - "ethernets.up.dhcp4: not of SR-IOV; stays with netplan"\n' in text
    assert '"before": "0"' in output
    assert '"step": "enable"' in output


def test_nmstate_of_the_host(controller: Controller) -> None:
    (controller.folder / "reported.yml").write_text(
        "interfaces: [{name: eth0, ethernet: {sr-iov: {total-vfs: 2, vfs: [{id: 1, vlan-id: 5}]}}}]"
    )
    controller.program("nmstatectl", f'test "$1" = show && cat {controller.folder}/reported.yml')
    written, text, _output = converted(controller, convert_from="nmstate")
    assert written["sriov_pfs"][0]["vfs"] == [{"ids": "1", "vlan": 5}]
    assert "# - nothing was left out\n" in text


def test_policies_from_a_file(controller: Controller) -> None:
    spec = {"numVfs": 3, "deviceType": "vfio-pci", "nicSelector": {"vendor": "8086", "rootDevices": [IGB]}}
    policies = [
        {"kind": "SriovNetworkNodePolicy", "metadata": {"name": name}, "spec": {**spec, "nodeSelector": {"role": name}}}
        for name in ("gw", "db")
    ]
    (controller.folder / "policies.yml").write_text(yaml.safe_dump_all(policies))
    given = {"convert_from": "sriov_policies", "convert_file": "policies.yml", "convert_labels": {"role": "gw"}}
    written, text, _output = converted(controller, **given)
    pf = {"hardware_vfs": 3, "present_vfs": "all", "vfs": [{"ids": "all", "driver": "vfio-pci"}]}
    assert written == {"sriov_pfs": [{"pf": IGB, **pf}]}
    assert '# - "policy db: spec.nodeSelector: not for a host with these labels"\n' in text


def test_host_as_it_is_has_nothing_to_do(tmp_path: Path, host: FakeHost) -> None:
    host.setup(host.pfs[IGB], 7, [0, 6], "vfio-pci")
    host.pfs[IGB].properties[6].update(vlan=100, mac="52:54:00:12:34:56")
    host.setup(host.pfs[NVME], 8)
    written, _text, output = converted(Controller(tmp_path, host), convert_from="host")
    assert [pf["hardware_vfs"] for pf in written["sriov_pfs"]] == [7, 8]
    assert {"ids": "6", "mac": "52:54:00:12:34:56", "vlan": 100} in written["sriov_pfs"][0]["vfs"]
    assert '"msg": []' in output


EVIL = "{{ lookup('pipe', 'touch ran') }}"


def test_nothing_of_another_system_runs_on_the_controller(controller: Controller) -> None:
    """Neither by converting, nor by reading the file as variables."""
    reported = {"ethernets": {EVIL.replace(" ", ""): {"virtual-function-count": 2, f"x\nsriov_force: true #{EVIL}": 1}}}
    (controller.folder / "h1.yml").write_text(yaml.safe_dump({"network": reported}))
    given = {"convert_from": "netplan", "convert_file": "h1.yml", "convert_offline": True}
    status, output = controller.play(PLAYBOOK, given)
    assert status == 0, output
    show = [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"var": "sriov_pfs[0].pf"}}]}]
    (controller.folder / "show.yml").write_text(yaml.safe_dump(show))
    status, output = controller.play(str(controller.folder / "show.yml"), {}, "-e", "@converted/h1.yml")
    assert status == 0, output
    assert "lookup('pipe','touchran')" in output
    text = (controller.folder / "converted/h1.yml").read_text()
    assert [line for line in text.splitlines() if line.startswith("sriov_")] == ["sriov_pfs:"]
    assert not [*controller.folder.glob("ran"), *controller.folder.glob("touchran")]


def test_offline_and_refused_plan(controller: Controller) -> None:
    reported = "interfaces: [{name: eth9, ethernet: {sr-iov: {total-vfs: 2}}}]"
    (controller.folder / "h1.yml").write_text(reported)
    given = {"convert_from": "nmstate", "convert_file": "{{ inventory_hostname }}.yml"}
    written, _text, output = converted(controller, **given)
    assert "PF 'eth9' is not on this host" in output
    for module in controller.folder.glob("collections/ansible_collections/kvmfleet/sriov/plugins/modules/*.py"):
        module.write_text("raise SystemExit('nobody asks the host')\n")
    again, _text, output = converted(controller, **given, convert_offline=True)
    assert again == written
    assert "eth9" not in output


SOURCES = " or ".join(", ".join(registry.CONVERTERS).rsplit(", ", 1))

# variables, words of the failure
WRONG: list[tuple[dict[str, object], str]] = [
    ({"convert_from": "ifupdown"}, f"Say convert_from={SOURCES}"),
    ({"convert_from": "nmstate", "convert_offline": True}, "so does convert_offline"),
    (
        {"convert_from": "nmstate", "convert_file": "wrong.yml", "convert_offline": True},
        "from_nmstate: interfaces[0] (eth0).ethernet.sr-iov.total-vf: unknown key",
    ),
]


@pytest.mark.parametrize(("variables", "words"), WRONG)
def test_wrong_input_writes_nothing(controller: Controller, variables: dict[str, object], words: str) -> None:
    (controller.folder / "wrong.yml").write_text("interfaces: [{name: eth0, ethernet: {sr-iov: {total-vf: 2}}}]")
    status, output = controller.play(PLAYBOOK, variables)
    assert (status, words in " ".join(output.split())) == (2, True), output
    assert not (controller.folder / "converted/h1.yml").exists()
