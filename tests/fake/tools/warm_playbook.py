# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ansible-playbook`, cheaper to run.

Its localhost has the warm interpreter, and zips of modules are kept between plays.

Arguments: the interpreter of localhost, the folder of zips, and those of `ansible-playbook`.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path


def main(interpreter: str, zips: str, *words: str) -> None:
    gc.disable()  # a play is short, and a collection copies the pages of each worker
    from ansible import constants
    from ansible.cli.playbook import main as playbook

    sys.path[0] = str(Path(sys.executable).parent)
    os.symlink(zips, Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache")
    sys.argv = [str(Path(sys.executable).with_name("ansible-playbook")), *words]
    sys.executable = interpreter
    gc.freeze()
    sys.exit(playbook())


main(*sys.argv[1:])
