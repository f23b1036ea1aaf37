# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line, as the Makefile calls it."""

from __future__ import annotations

import os
import subprocess
import sys

from lab.paths import REPOSITORY


def test_it_starts_from_the_checkout_alone() -> None:
    """Without the link by which tests import the collection."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [sys.executable, "-m", "lab", "molecule", "--help"]
    done = subprocess.run(words, env=environment, cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
