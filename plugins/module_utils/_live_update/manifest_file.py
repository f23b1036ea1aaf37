# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest on a host, and the kernel that it is for."""

from __future__ import annotations

import os

from .._model.errors import BadInputError
from .._model.paths import UPDATE_PARAMETER
from .._system import durable
from .._system.update_folder import MANIFEST
from .manifest import Manifest, validate


def path(folder: str) -> str:
    return os.path.join(folder, MANIFEST)


def store(folder: str, manifest: Manifest) -> None:
    """Write the manifest durably into the live update's private folder.

    Its mode is 0600.
    """
    validate(manifest.to_dict())
    durable.make_private_folder(folder)
    durable.write_json(path(folder), manifest.to_dict())


def load(folder: str) -> Manifest | None:
    """Read the manifest on this host, None without one.

    Raises `BadInputError` for a damaged one or one that others could write.
    """
    file = path(folder)
    data = durable.read_json(file)
    if data is None:
        return None
    durable.require_private(file)
    return validate(data, file)


def token_of(cmdline: str) -> str | None:
    """Manifest id on a kernel command line, None without one.

    The last one counts, as for any kernel parameter.
    """
    ids = [word.partition("=")[2] for word in cmdline.split() if word.startswith(UPDATE_PARAMETER + "=")]
    return ids[-1] if ids else None


def require_match(manifest: Manifest | None, cmdline: str, boot_id: str) -> Manifest:
    """Require the manifest that this kernel was started for.

    Raises `BadInputError` for none, a stale or a foreign one.
    """
    token = token_of(cmdline)
    if token is None:
        raise BadInputError(
            f"the kernel command line has no {UPDATE_PARAMETER}=: an ordinary boot, nothing is restored"
        )
    if manifest is None:
        raise BadInputError(
            f"{UPDATE_PARAMETER}={token} on the command line, but there is no manifest here: nothing is restored"
        )
    if manifest.id != token:
        raise BadInputError(f"the manifest is {manifest.id}, the command line says {token}: nothing is restored")
    if manifest.boot_id == boot_id:
        raise BadInputError(f"manifest {token} was armed by this very kernel ({boot_id}): nothing is restored")
    return manifest
