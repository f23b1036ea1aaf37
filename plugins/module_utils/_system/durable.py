# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that survive a crash or a kexec one instruction later.

And folders and locks of our own. The files are written aside, synced and renamed, and their folder is synced.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
from typing import Any

from .._model.errors import BadInputError, KernelError, RefusedError

OURS = "kvmfleet-sriov"
"""The folder below which all folders and files are this collection's."""


def sync_folder(folder: str) -> None:
    """Make renames and new names in ``folder`` durable.

    fsync(2): the entry in the directory is synced separately.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_private_folder(folder: str) -> None:
    """Create ``folder`` with mode 0700, as `make_folder` does."""
    make_folder(folder, 0o700)


def make_folder(folder: str, mode: int = 0o755) -> None:
    """Create ``folder`` and ours above it with these modes, whatever the umask.

    Ours begin with the one named `OURS`. Raises `RefusedError` for a link or another user's folder: who can put links
    into it has root write anywhere. `KernelError` otherwise.
    """
    parts = folder.split("/")
    first = parts.index(OURS) + 1 if OURS in parts else len(parts)
    try:
        os.makedirs("/".join(parts[: first - 1]) or ".", mode=0o755, exist_ok=True)
        for end in range(first, len(parts) + 1):
            _make_own("/".join(parts[:end]), mode if end == len(parts) else 0o755)
    except OSError as error:
        raise KernelError("create folder", folder, error.errno or 0) from error


def _make_own(folder: str, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, mode)
    if os.path.islink(folder):
        raise RefusedError(f"{folder} is a link, and root writes nothing behind it: see who has made it, and remove it")
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _require_own(folder, os.fstat(handle))
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def open_own(path: str) -> int:
    """Open or create a file of this user's alone, to lock it.

    Its mode is 0600. No other user can open it, and so lock it. Raises `RefusedError` for another user's
    file and for one with other names, OSError otherwise.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        found = os.fstat(handle)
        _require_own(path, found)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise RefusedError(f"{path} is not a plain file with one name: see who has made it, and remove it")
        os.fchmod(handle, 0o600)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _require_own(path: str, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise RefusedError(
            f"{path} belongs to user {found.st_uid}, and user {os.geteuid()} writes nothing there: see who has made "
            "it, and remove it"
        )


def write_json(path: str, value: object) -> None:
    """Replace ``path`` (mode 0600) by ``value`` as JSON, atomically.

    Either the old or the new content exists, never a mixture.
    """
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n", 0o600)


def write_text(path: str, text: str, mode: int) -> None:
    """Replace ``path`` by ``text``, atomically."""
    write_bytes(path, text.encode(), mode)


def write_bytes(path: str, data: bytes, mode: int) -> None:
    """Replace ``path`` by ``data``, atomically."""
    folder = os.path.dirname(path) or "."
    try:
        handle, aside = tempfile.mkstemp(prefix=".new-", dir=folder)  # mkstemp: 0600, O_EXCL
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.rename(aside, path)
        except BaseException:
            os.unlink(aside)
            raise
        sync_folder(folder)
    except OSError as error:
        raise KernelError("write", path, error.errno or 0) from error


def read_json(path: str) -> dict[str, Any] | None:
    """The JSON object in ``path``, None without a file.

    Raises `BadInputError` for contents that are not a JSON object.
    """
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInputError(f"{path} holds {type(value).__name__}, expected an object")
    return value


def set_aside(path: str) -> str:
    """Keep a damaged file, or whatever is there, under another name.

    Returns the name; what was kept there before goes.
    """
    aside = f"{path}.damaged"
    try:
        if os.path.isdir(aside) and not os.path.islink(aside):
            shutil.rmtree(aside)
        elif os.path.lexists(aside) and os.path.isdir(path):
            os.unlink(aside)
        os.rename(path, aside)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        raise KernelError("keep aside", path, error.errno or 0) from error
    return aside


def require_private(path: str) -> None:
    """Refuse a file that somebody else could have written.

    It must be a plain file of this user (root) without rights for others. Raises `BadInputError`.
    """
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise BadInputError(
            f"{path}: owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):o}; expected a plain file of "
            f"user {os.geteuid()} with mode 600. Remove it and arm the update again."
        )


def remove_tree(folder: str) -> None:
    """Delete a folder, perhaps a guest's memory, if it exists."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise KernelError("delete", folder, error.errno or 0) from error


def remove(path: str) -> None:
    """Delete a file durably, if it exists."""
    try:
        os.unlink(path)
        sync_folder(os.path.dirname(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise KernelError("delete", path, error.errno or 0) from error
