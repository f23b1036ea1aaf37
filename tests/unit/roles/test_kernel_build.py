# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role kernel_build, with real make on a small source.

The source is small enough to build in no time.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.fake.tools import warm_python
from tests.unit.plugins.module_utils._kernel_build.test_build import MAKEFILE, add_series

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
PLAY = """\
- hosts: all
  connection: local
  gather_facts: false
  roles:
    - role: kvmfleet.sriov.kernel_build
      kernel_build_install: false
      kernel_build_source: {here}/linux-source-6.12
      kernel_build_series: {here}/series/t
      kernel_build_config: ["{here}/config"]
      kernel_build_localversion: -test
      kernel_build_cache: {here}/cache
      kernel_build_output: {here}/out
  tasks:
    - ansible.builtin.assert:
        that:
          - ansible_check_mode or kernel_build_result.release == '6.12.117-test'
          - kernel_build_manifest == '{here}/out/manifest.json'
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    tree = tmp_path / "linux-source-6.12"
    tree.mkdir()
    for name, text in {"Makefile": MAKEFILE, "Kconfig": "x\n", "a.c": "int stock;\n"}.items():
        (tree / name).write_text(text)
    (tmp_path / "series").mkdir()
    add_series(tmp_path / "series/t", "patched")
    (tmp_path / "config").write_text("CONFIG_PCI_IOV=y\n")
    (tmp_path / "play.yml").write_text(PLAY.format(here=tmp_path))
    return tmp_path


def play(here: Path, *words: str) -> tuple[int, str]:
    """Run the play; return exit status and output.

    The interpreter is this one.
    """
    argv = [*warm_python.playbook(ROOT / "build/src"), "-i", "localhost,", str(here / "play.yml"), *words]
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/src"),
        "NO_COLOR": "1",
        "ANSIBLE_INJECT_FACT_VARS": "False",
        "ANSIBLE_PIPELINING": "true",
    }
    argv += ["-e", f"ansible_python_interpreter={warm_python.interpreter()}"]
    run = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return run.returncode, run.stdout


def changed(output: str) -> list[str]:
    """Names of the tasks that changed something.

    Copies of inputs into the cache are left out.
    """
    tasks = re.split(r"^TASK \[.* : ", output, flags=re.MULTILINE)[1:]
    names = [task.split("]")[0] for task in tasks if re.search("^changed: ", task, re.MULTILINE)]
    return [name for name in names if not name.startswith(("Make folders", "Copy"))]


def test_predict_build_again(here: Path) -> None:
    status, output = play(here, "--check")
    assert (status, changed(output)) == (0, ["Build the packages"]), output
    assert not (here / "out").exists()
    status, output = play(here)
    assert (status, changed(output)) == (0, ["Build the packages"]), output
    assert "tail -f" in output
    manifest = json.loads((here / "out/manifest.json").read_text())
    assert (manifest["series"], manifest["patches"][0]["name"]) == ("t", "0001-a.patch")
    status, output = play(here)
    assert (status, changed(output)) == (0, []), output
    assert "tail -f" not in output


def test_a_dropped_option_is_named_with_its_file(here: Path) -> None:
    (here / "config").write_text("CONFIG_PCI_IOV=y\nCONFIG_DROPPED=y\n")
    status, output = play(here)
    assert status != 0
    assert re.search(r"CONFIG_DROPPED=y \(of \w{8}-config\) became '# CONFIG_DROPPED is not set'", output), output


UNPREPARED = """\
- hosts: all
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: kvmfleet.sriov.kernel_build
        tasks_from: build
      vars:
        kernel_build_source: linux-source-0.1
        kernel_build_installed: {stdout_lines: [patch/installed]}
        kernel_build_packages: [patch, bison]
"""


def test_a_host_without_tools_and_source_is_predicted(here: Path) -> None:
    """A run would install them first."""
    (here / "play.yml").write_text(UNPREPARED)
    status, output = play(here, "--check")
    assert (status, changed(output)) == (0, ["Predict a build on a host without build tools or source"]), output
    assert "bison, linux-config-0.1, linux-source-0.1, pahole would be installed, and the kernel built" in output
    status, output = play(here)
    assert status != 0
    assert "kernel source /usr/src/linux-source-0.1.tar.xz does not exist" in output


def test_a_series_that_does_not_apply_is_named(here: Path) -> None:
    (here / "linux-source-6.12/a.c").write_text("int moved_on;\n")
    status, output = play(here)
    assert status != 0
    assert "series t does not apply to linux-source-6.12 6.12.117: patch 0001-a.patch fails in a.c." in output
