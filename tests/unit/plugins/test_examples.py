# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of ansible-doc: valid tasks that fit argument specs.

Examples of modules are run in the tests of the modules; those of filters are run here, by ansible-playbook.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator

from ansible_collections.kvmfleet.sriov.plugins.filter import document_yaml, host_document, internal
from ansible_collections.kvmfleet.sriov.plugins.filter.convert import FilterModule
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import document
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from tests.fake.linux.host import FakeHost
from tests.fake.tools.controller import Controller

ROOT = Path(__file__).resolve().parents[3]
PREFIX = "kvmfleet.sriov."
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
FILTERS = sorted(path.stem for path in (ROOT / "plugins/filter").glob("*.yml"))


def module_of(name: str) -> Any:  # noqa: ANN401 - a Python module
    return importlib.import_module(f"ansible_collections.kvmfleet.sriov.plugins.modules.{name}")


def examples(name: str) -> list[dict[str, Any]]:
    if name in FILTERS:
        text = yaml.safe_load((ROOT / f"plugins/filter/{name}.yml").read_text())["EXAMPLES"]
    else:
        text = module_of(name).EXAMPLES
    return list(yaml.safe_load(text))


def calls(tasks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Modules of this collection that tasks run, with their arguments."""
    for task in tasks:
        for key, value in task.items():
            if key.startswith(PREFIX):
                yield key.removeprefix(PREFIX), value or {}


class Caught(Exception):  # noqa: N818 - a way out of a module's main, not an error
    """The arguments of a module's `AnsibleModule`."""


def catch(**values: object) -> None:
    raise Caught({key: value for key, value in values.items() if key not in ("supports_check_mode", "check")})


def spec_of(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Argument spec of a module, with its dependencies.

    Of an action plugin it is what its documentation says.
    """
    module = module_of(name)
    if not hasattr(module, "main"):
        options = yaml.safe_load(module.DOCUMENTATION).get("options", {})
        for option in options.values():
            option.pop("description")
            option["choices"] = list(option.get("choices", ())) or None
        return {"argument_spec": options}
    monkeypatch.setattr(module, "CheckedModule" if hasattr(module, "CheckedModule") else "AnsibleModule", catch)
    with pytest.raises(Caught) as caught:
        module.main()
    return dict(caught.value.args[0])


@pytest.mark.parametrize("name", [*MODULES, *FILTERS])
def test_examples_are_tasks_that_use_it(name: str) -> None:
    tasks = examples(name)
    assert all(task["name"] for task in tasks)
    assert {module for module, _arguments in calls(tasks)} <= set(MODULES)
    assert PREFIX + name in yaml.safe_dump(tasks, width=1000)


@pytest.mark.parametrize("name", MODULES)
def test_examples_fit_the_argument_spec(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    validator = ModuleArgumentSpecValidator(**spec_of(name, monkeypatch))
    kinds = {option: of.get("type") for option, of in validator.argument_spec.items()}
    for module, arguments in calls(examples(name)):
        rendered = {option: _rendered(value, kinds.get(option)) for option, value in arguments.items()}
        assert module != name or validator.validate(rendered).error_messages == []
        if module == "sriov_pf":
            document.validate({"pfs": arguments["pfs"]})


def _rendered(value: Any, kind: str | None) -> Any:  # noqa: ANN401 - any argument
    """A value as a module gets it, from a template too."""
    return {} if kind == "dict" and str(value).startswith("{{") else value


@pytest.mark.parametrize(
    "pf", [{"pf": "eth0", "hardware_vf": 1}, {"vfs": []}, {"pf": "eth0", "vfs": [{"ids": 1, "vlan": "x"}]}]
)
def test_a_wrong_example_would_be_noticed(pf: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        document.validate({"pfs": [pf]})


def test_every_filter_is_documented() -> None:
    modules = (FilterModule(), document_yaml.FilterModule(), host_document.FilterModule(), internal.FilterModule())
    assert sorted(name for module in modules for name in module.filters()) == FILTERS


NMSTATE = "interfaces: [{name: eth0, ethernet: {sr-iov: {total-vfs: 2, vfs: [{id: 1, vlan-id: 5}]}}}]"
NETPLAN = "network: {ethernets: {up: {match: {name: 'eth*'}, virtual-function-count: 3}}}"
POLICY = """
kind: List
items:
  - kind: SriovNetworkNodePolicy
    metadata: {name: a}
    spec:
      numVfs: 4
      nicSelector: {vendor: "8086", pfNames: [eth0]}
      nodeSelector: {feature.node.kubernetes.io/network-sriov.capable: "true"}
"""
OUTCOMES = {
    "document_yaml": "(lookup('file', 'h1.yml') | from_yaml).sriov_pfs[0].hardware_vfs == 8",
    "host_document": "(lookup('file', 'host.json') | from_json).pfs[0].hardware_vfs == 'max'",
    "from_netplan": "converted.document.pfs[0].hardware_vfs == 3",
    "from_nmstate": "converted.document.pfs[0].hardware_vfs == 2",
    "from_sriov_info": "(lookup('file', 'h1.yml') | from_yaml).sriov_pfs[0].hardware_vfs == 8",
    "internal": "said == 'Try: no'",
    "from_sriov_policies": "converted.document.pfs[0].hardware_vfs == 4",
}


def test_each_filters_examples_are_judged() -> None:
    assert sorted(OUTCOMES) == sorted(FILTERS)


@pytest.mark.slow  # a run of ansible-playbook
def test_examples_of_filters_run(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.igb("0000:03:00.0", "eth0")
    host.setup(host.nvme("0000:04:00.0"), 8)
    controller = Controller(tmp_path, host)
    controller.program("netplan", f"cat {tmp_path}/netplan.yml")
    for name, text in {"nmstate": NMSTATE, "netplan": NETPLAN, "policies": POLICY}.items():
        (tmp_path / f"{name}.yml").write_text(text)
    plays = []
    for name in FILTERS:
        judge = {"name": "Judge", "ansible.builtin.assert": {"that": [OUTCOMES[name]]}}
        plays.append({"name": name, "hosts": "all", "gather_facts": False, "tasks": [*examples(name), judge]})
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    status, output = controller.play("play.yml", {})
    assert status == 0, output
    assert output.count("All assertions passed") == len(FILTERS)
