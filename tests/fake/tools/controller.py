# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-playbook here, with modules on a fake tree.

The modules see the tree's files as they are; nothing answers to writes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..linux.host import FakeHost
from . import warm_python

ROOT = Path(__file__).resolve().parents[3]
LINKED = (
    "meta", "playbooks", "plugins/action", "plugins/doc_fragments", "plugins/filter", "plugins/module_utils",
    "plugins/plugin_utils", "roles",
)  # fmt: skip


class Controller:
    """An Ansible controller in ``folder``, which holds collection, programs and files."""

    def __init__(self, folder: Path, host: FakeHost) -> None:
        self.folder = folder
        collection = folder / "collections/ansible_collections/kvmfleet/sriov"
        for name in LINKED:
            (collection / name).parent.mkdir(parents=True, exist_ok=True)
            (collection / name).symlink_to(ROOT / name)
        (collection / "plugins/modules").mkdir()
        for module in ("sriov_info", "sriov_pf"):
            text = (ROOT / f"plugins/modules/{module}.py").read_text()
            assert "Sysfs()" in text
            (collection / f"plugins/modules/{module}.py").write_text(
                text.replace("Sysfs()", f"Sysfs({str(host.root)!r})")
            )
        self.program("ip", 'cat "$(dirname "$0")/../links/$6"')
        (folder / "links").mkdir()
        for netdev in [pf.netdev for pf in host.pfs.values() if pf.netdev]:
            answer = host.run(["ip", "-json", "-details", "link", "show", "dev", netdev])
            (folder / "links" / netdev).write_text(answer)

    def program(self, name: str, script: str) -> None:
        """Add a program that is found before those of this machine."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def play(self, playbook: str, variables: Mapping[str, object], *words: str) -> tuple[int, str]:
        """Run a playbook for the host `h1`, which is this machine.

        Returns exit status and output.
        """
        given = {"ansible_connection": "local", "ansible_become": False}
        given["ansible_python_interpreter"] = warm_python.interpreter()
        argv = [*warm_python.playbook(self.folder / "collections"), "-i", "h1,", playbook, *words]
        argv += ["-e", json.dumps({**given, **variables})]
        env = {
            **os.environ, "NO_COLOR": "1", "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"), "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PWD": str(self.folder), "ANSIBLE_INJECT_FACT_VARS": "False", "ANSIBLE_PIPELINING": "true",
        }  # fmt: skip
        run = subprocess.run(
            argv, env=env, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return run.returncode, run.stdout
