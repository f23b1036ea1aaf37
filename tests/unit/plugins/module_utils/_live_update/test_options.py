# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a live update reach those that wait, and are documented."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import machine
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options, parse
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.backend import QemuBackend


def test_options_are_the_deadlines_of_backends(tmp_path: Path) -> None:
    given = {item.name: number + 0.5 for number, item in enumerate(fields(Deadlines))}
    host = machine.real(Sysfs(str(tmp_path)), parse(given), lambda _line: None)
    (backend,) = host.backends.values()
    assert isinstance(backend, QemuBackend)
    assert {name: getattr(backend.deadlines, name) for name in given} == given


def test_every_option_is_documented() -> None:
    text = (Path(__file__).parents[5] / "plugins/doc_fragments/_live_request.py").read_text()
    assert {item.name for item in fields(Options)} - set(re.findall(r"C\((\w+)\)", text)) == set()
