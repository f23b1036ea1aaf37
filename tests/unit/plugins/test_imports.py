# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports of ``sriovctl``'s commands, and sizes of modules.

Hosts load both at each run.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._node_program import pack
from tests.fake.tools.payload import packed, sent
from tests.unit.plugins.modules.test_unchanged_host import NEEDED, PLAIN, large, of_each

PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from kvmfleet_sriov._sriovctl import cli
status = cli.main(sys.argv[1:])
here = "kvmfleet_sriov."
names = (name for name, module in sys.modules.items() if name.startswith(here) and not hasattr(module, "__path__"))
print(*(name[len(here):] for name in names), file=sys.stderr)
sys.exit(status)
"""

PROGRAM_ITSELF = {"_model.deadlines", "_sriovctl.cli", "_sriovctl.output", "_model.errors", "_model.paths"}
COMPARISON = {name for name in NEEDED if not name.startswith("_ansible.")}
"""The compliance check, as `sriov_pf` needs it."""
RECORD = {"_engine.last_apply", "_system.durable"}
GUARD = {"_system.update_guard"}
PLAN = (COMPARISON - RECORD - GUARD) | PROGRAM_ITSELF
PLAN |= {"_document.text", "_sriovctl.invocation", "_sriovctl.plan_command"}
FACTS = {
    "_engine.named_pfs", "_holders.block_devices", "_holders.device_files", "_holders.device_tree",
    "_holders.domains", "_holders.holders", "_holders.interfaces", "_holders.mountinfo", "_holders.namespaces",
    "_holders.namespaces_child", "_holders.processes", "_holders.vm_folders", "_document.selector", "_model.yaml_traps",
    "_readers.identity", "_readers.mac_origin", "_report.drift", "_report.info", "_tools.bounded_xml",
    "_tools.domain_xml",
}  # fmt: skip
COMMANDS: dict[str, set[str]] = {
    "plan": PLAN,
    "apply": PLAN | RECORD | GUARD | {"_sriovctl.apply_command"},
    "metrics": (PLAN - {"_sriovctl.plan_command"})
    | RECORD | FACTS | {"_report.metrics", "_report.metrics_facts", "_sriovctl.metrics_command"},
    "status": (PLAN - {"_sriovctl.plan_command"})
    | RECORD | FACTS | {"_report.lacking", "_report.status", "_report.status_text", "_report.terminal",
                     "_sriovctl.status_command", "_engine.other_writes", "_readers.other_writers",
                     "_readers.writer_places"},
    "resume": PROGRAM_ITSELF | {"_sriovctl.resume_command", "_system.sysfs"},
}  # fmt: skip
"""Add a name only when every call of that command needs it."""
LATE = {
    "_document.property_values", "_document.vf_spec", "_model.properties", "_model.vf_device", "_plan.derive_vfs",
}  # fmt: skip
"""Other files with imports inside functions.

Only entries for VFs load them, and few entries need all of it.
"""
ENGINE = Path(__file__).resolve().parents[3] / "plugins/module_utils"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "sriovctl"
    path.write_bytes(pack())
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_command_imports_what_it_needs(tmp_path: Path, program: Path, command: str) -> None:
    host = large(tmp_path, "vf-id", 2, 4)
    document = host.root / "etc/kvmfleet-sriov/host.json"
    document.parent.mkdir(parents=True)
    document.write_text(json.dumps({"pfs": of_each(host, PLAIN)}))
    (host.root / "proc/cmdline").write_text("quiet\n")
    done = subprocess.run(
        [sys.executable, "-ISc", PROGRAM, str(program), "--root", str(host.root), command],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(done.stderr.splitlines()[-1].split())
    assert (loaded - COMMANDS[command], COMMANDS[command] - loaded) == (set(), set())


def imports_late(path: Path) -> bool:
    """Whether a function of this file imports anything."""
    functions = [one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.FunctionDef)]
    return any(isinstance(part, (ast.Import, ast.ImportFrom)) for one in functions for part in ast.walk(one))


def test_imports_inside_functions_save_a_measured_start() -> None:
    """They stand in files that each call of a command loads."""
    names = {
        ".".join(path.relative_to(ENGINE).with_suffix("").parts) for path in ENGINE.rglob("*.py") if imports_late(path)
    }
    assert names - set(NEEDED).union(LATE, *COMMANDS.values()) == set()
    assert names >= LATE


# bytes of 2117e67, sent by ansible-core 2.19.14: sriov_pf 344827, ping 168693. Its code in rooms took 1.07 times
# as much; the rest is for what documents can say and name since then, 0.05 of it for the looks at other writers
# and for definitions of VMs beside libvirt's, 0.01 for addresses of other PFs, 0.01 for readings that
# no VF can be given, 0.02 for the limits within which libvirt's XML is read, 0.01 for what errnos mean
BUDGET = round(1.29 * 344827) - 168693


def test_payload_of_sriov_pf(tmp_path: Path) -> None:
    """The size beyond that of ping, which differs between ansible-core versions."""
    module, ping = sent(tmp_path, "kvmfleet.sriov.sriov_pf", "ansible.builtin.ping")
    assert module - ping <= BUDGET, module - ping


def test_sriov_pf_packs_nothing_that_only_reports() -> None:
    found = packed("sriov_pf")
    assert [name for name in found if name.startswith(("_report", "_sriovctl", "_live_update", "_vm"))] == []
    assert "_report.info" in packed("sriov_info")
