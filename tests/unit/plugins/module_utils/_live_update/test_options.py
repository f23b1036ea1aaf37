# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a live update reach those that wait, and are documented."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import machine
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options, parse
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.command.backend import CommandBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.backend import LibvirtBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.backend import QemuBackend


def test_options_are_the_deadlines_of_backends(tmp_path: Path) -> None:
    kinds = {item.name: item.type for item in fields(Deadlines) if item.name != "vm_commands"}
    given = {name: number + 0.5 if kind == "float" else True for number, (name, kind) in enumerate(kinds.items())}
    host = machine.real(Sysfs(str(tmp_path)), parse(given), lambda _line: None)
    assert {name: type(backend) for name, backend in host.backends.items()} == {
        "libvirt": LibvirtBackend,
        "command": CommandBackend,
        "qemu": QemuBackend,
    }
    for backend in host.backends.values():
        assert isinstance(backend, (LibvirtBackend, CommandBackend, QemuBackend))
        assert {name: getattr(backend.deadlines, name) for name in given} == given


def test_every_option_is_documented() -> None:
    text = (Path(__file__).parents[5] / "plugins/doc_fragments/_live_request.py").read_text()
    assert {item.name for item in fields(Options)} - set(re.findall(r"C\((\w+)\)", text)) == set()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"boots_s": 1}, "options.boots_s: unknown key, did you mean boot_s?"),
        ({"boot_s": "fast"}, "options.boot_s: 'fast' is not a number above 0"),
        ({"boot_s": 0}, "is not a number above 0"),
        ({"fill_chunk": 1.5}, "is not a whole number above 0"),
        ({"orderly": "yes"}, "is not true or false"),
        ({"allow_writers": "/etc/x"}, "is not a list of texts"),
        ({"interface": 3}, "is not a text"),
        ({"panic": "hope"}, "options.panic: 'hope' is none of warn, refuse"),
    ],
)
def test_wrong_options(data: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse(data)
    assert message in str(caught.value)


def test_options_round_trip() -> None:
    options = parse({"boot_s": 3, "allow_writers": ["/etc/x"], "orderly": None})
    assert (options.boot_s, options.allow_writers, options.orderly) == (3, ("/etc/x",), False)
    assert parse(options.to_dict()) == options
