# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root with GRUB, and module `boot_entry` on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.modules import boot_entry

from .grub import GrubRoot

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def root(tmp_path: Path) -> GrubRoot:
    """Debian's settings.

    The newest kernel is the default, and the environment block is empty.
    """
    made = GrubRoot.make(tmp_path / "root")
    made.settings("GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n")
    made.update()
    made.environment()
    made.host()
    return made


@pytest.fixture
def call(root: GrubRoot, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(run: Callable[[Sequence[str]], str] = root.run, **args: object) -> dict[str, Any]:
        with patch_module_args(args), pytest.raises(SystemExit):
            boot_entry.main(Sysfs(str(root.folder)), run)
        return dict(json.loads(capsys.readouterr().out))

    return run


def files(root: GrubRoot) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for folder in ("boot", "etc")
        for path in (root.folder / folder).rglob("*")
        if path.is_file()
    }
