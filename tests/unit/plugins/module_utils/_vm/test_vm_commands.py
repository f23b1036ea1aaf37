# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the operator are wholly checked before anything runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import vm_commands
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.command.backend import CommandBackend

GOOD: dict[str, Any] = {
    "pid_file": "/run/qemu-server/{name}.pid",
    "save": ["/usr/sbin/qm", "suspend", "{name}", "--todisk", "1"],
    "saved": ["/usr/local/sbin/pve-saved", "{name}"],
    "restore": ["/usr/sbin/qm", "start", "{name}"],
    "discard": ["/usr/local/sbin/pve-discard", "{name}"],
    "release": ["/usr/local/sbin/pve-vf", "release", "{name}", "{vf}"],
    "attach": ["/usr/local/sbin/pve-vf", "attach", "{name}", "{vf}"],
}


def test_they_reach_manifests_and_come_back() -> None:
    found = options.parse({"vm_commands": [GOOD]})
    again = options.parse(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert found.vm_commands[0].programs() == [
        "/usr/sbin/qm",
        *(f"/usr/local/sbin/pve-{one}" for one in ("saved", "discard", "vf")),
    ]
    assert options.parse({"vm_commands": None}).vm_commands == ()


def test_what_is_filled_in_stays_within_its_word() -> None:
    argv = ["/bin/x", "a={name}", "{vf}", "{name}{name}"]
    assert vm_commands.filled(argv, name="b; $(c) {vf}", vf="0000:01:10.0") == [
        "/bin/x", "a=b; $(c) {vf}", "0000:01:10.0", "b; $(c) {vf}b; $(c) {vf}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"saves": ["/bin/x"]}, "vm_commands[0].saves: unknown key; there are: pid_file, save,"),
        (
            {"saved": []},
            "vm_commands[0].saved: missing; a VM of a manager needs: pid_file, save, saved, restore, discard",
        ),
        ({"pid_file": None}, "vm_commands[0].pid_file: missing"),
        ({"pid_file": "/run/{name}/{name}.pid"}, "is not like /run/qemu-server/{name}.pid"),
        ({"pid_file": "{name}.pid"}, "is not like /run/qemu-server/{name}.pid"),
        ({"pid_file": "/run/vm.pid"}, "is not like /run/qemu-server/{name}.pid"),
        ({"save": "qm suspend {name}"}, "vm_commands[0].save: 'qm suspend {name}' is not a list of words"),
        ({"save": ["qm", "suspend", "{name}"]}, "'qm' is not the whole path of a program"),
        ({"save": ["/usr/{name}", "{name}"]}, "'/usr/{name}' is not the whole path of a program"),
        ({"save": ["/usr/sbin/qm", "{id}", "{name}"]}, "{id} is no placeholder of it, which has {name}"),
        ({"save": ["/usr/sbin/qm", "{name}", "{vf}"]}, "{vf} is no placeholder of it, which has {name}: use a script"),
        ({"save": ["/usr/sbin/qm", "suspend"]}, "no word has {name}, so it is the same for each"),
        ({"release": ["/usr/sbin/x", "{name}"]}, "vm_commands[0].release: no word has {vf}"),
        ({"attach": []}, "release and attach go together"),
        ({"start": 5}, "vm_commands[0].start: '5' is not a list of words"),
    ],
)
def test_wrong_programs(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        options.parse({"vm_commands": [{**GOOD, **change}]})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("qm", "options.vm_commands: 'qm' is not a list"),
        (["qm"], "options.vm_commands[0]: 'qm' is not an object"),
        ([GOOD, GOOD], "two have pid_file '/run/qemu-server/{name}.pid'"),
    ],
)
def test_wrong_lists(data: object, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        options.parse({"vm_commands": data})
    assert message in str(caught.value)


def test_a_part_without_a_way_back_for_its_vfs_is_refused() -> None:
    part = {"commands": {key: value for key, value in GOOD.items() if key not in ("release", "attach")}}
    CommandBackend.check(part, (), "vms[0].part")
    with pytest.raises(
        BadInputError, match=r"vms\[0\]\.part\.commands\.attach: nothing that attaches VF 0000:01:10\.0"
    ):
        CommandBackend.check(part, ("0000:01:10.0",), "vms[0].part")
    with pytest.raises(BadInputError, match=r"part\.commands: missing"):
        CommandBackend.check({}, (), "vms[0].part")
