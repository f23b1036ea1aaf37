# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of a VM, handed to systemd in a private file.

Variables may be secrets. What is given by `--setenv` or `Environment=` every user can read: in the command line of
systemd-run, and by `systemctl show` as long as the unit lives. Of `EnvironmentFile=` that shows the path alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..._model.update_paths import ENVIRONMENTS
from ..._system import durable
from ..._system.sysfs import Sysfs


@contextmanager
def handed_over(sysfs: Sysfs, name: str, variables: Sequence[str]) -> Iterator[list[str]]:
    """Words for systemd-run that give a unit these variables.

    ``name``: of the VM; ``variables``: texts NAME=VALUE. The file is gone afterwards: systemd reads it before the
    program is started, and systemd-run waits for that (Type=exec).
    """
    if not variables:
        yield []
        return
    path = f"{ENVIRONMENTS}/{name}"
    durable.make_private_folder(sysfs.real(ENVIRONMENTS))
    durable.write_text(sysfs.real(path), text_of(variables), 0o600)
    try:
        yield [f"--property=EnvironmentFile={path}"]
    finally:
        durable.remove(sysfs.real(path))


def text_of(variables: Sequence[str]) -> str:
    r"""Variables in the form of EnvironmentFile= (systemd.exec(5)).

    Between double quotes all is literal, line breaks too, but what a shell escapes there: ``" \ ` $``.
    """
    pairs = (text.partition("=") for text in variables)
    return "".join(f'{name}="{_escaped(value)}"\n' for name, _equals, value in pairs)


def _escaped(value: str) -> str:
    return re.sub(r'(["\\`$])', r"\\\1", value)
