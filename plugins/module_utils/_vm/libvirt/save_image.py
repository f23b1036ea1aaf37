# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of saved domains, each kept under a second name.

libvirt deletes a domain's image when it starts it, also paused, before anything ran: a QEMU that is killed then has
lost its memory (found with libvirtd 11.3). So it has a second name, by UUID, until the domain was seen to run; under
its own there is a guard, but for the time in which libvirt may load it. A transient domain's has the second name alone.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from dataclasses import asdict, dataclass, fields

from ..._model.errors import BadInputError, KernelError, SriovError
from ..._system import durable
from ..._system.sysfs import Sysfs
from . import guard
from .connection import Connection
from .save_format import COMPLETE, FOLDER, kept_path, path, unkept_path

SAMPLES, SAMPLE = 256, 4096
KEEP_S = 7 * 86400.0
"""Time that an image is kept which was given up, in seconds."""


@dataclass(frozen=True)
class SaveImage:
    """An image as it was when it was kept.

    ``name``: of the domain; ``sha256``: of samples all over it.
    """

    uuid: str
    name: str
    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def parse(cls, data: object, where: str) -> SaveImage:
        """Parse it from JSON; raises `BadInputError`."""
        if not isinstance(data, dict) or set(data) != {item.name for item in fields(cls)}:
            raise BadInputError(f"{where}: {str(data)[:100]} is no saved domain")
        for item in fields(cls):
            kind = int if item.type == "int" else str
            if not isinstance(data[item.name], kind) or isinstance(data[item.name], bool):
                raise BadInputError(f"{where}.{item.name}: {str(data[item.name])[:100]!r} is not {kind.__name__}")
        return cls(**data)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def keep(sysfs: Sysfs, uuid: str, name: str, transient: bool = False) -> SaveImage:
    """Give a complete image its second name, durably.

    In place of an older one. One that was kept before has a guard, or nothing, in its place. Raises `BadInputError` for
    one that is not complete.
    """
    source = unkept_path(uuid) if transient else path(name)
    if is_kept(sysfs, uuid) and (not sysfs.exists(source) if transient else guard.is_put(sysfs, uuid, name)):
        return _read(sysfs, uuid, name, kept_path(uuid))
    real, kept = sysfs.real(source), sysfs.real(kept_path(uuid))
    if _mark(sysfs, source) != COMPLETE or guard.is_put(sysfs, uuid, name):
        raise BadInputError(f"{source} is no complete image of libvirt: its save was interrupted")
    try:
        _sync(real)
        _link(real, kept)
        if transient:
            os.unlink(real)
        durable.sync_folder(os.path.dirname(kept))
    except OSError as error:
        raise KernelError("link", source, error.errno or 0) from error
    return _read(sysfs, uuid, name, kept_path(uuid))


def _link(real: str, name: str) -> None:
    """Give a file another name, in place of what has it."""
    aside = f"{name}.new"
    if os.path.lexists(aside):
        os.unlink(aside)
    os.link(real, aside)
    os.rename(aside, name)
    if os.path.lexists(aside):  # rename(2) does nothing for two names of one file
        os.unlink(aside)


def require(sysfs: Sysfs, image: SaveImage) -> None:
    """Require the image that was kept; raises `BadInputError` for another."""
    kept = kept_path(image.uuid)
    now = _read(sysfs, image.uuid, image.name, kept)
    for key, value in asdict(now).items():
        if value != getattr(image, key):
            raise BadInputError(f"{kept}: {key} is {value}, {getattr(image, key)} was saved")
    if _mark(sysfs, kept) != COMPLETE:
        raise BadInputError(f"{kept} is no complete image of libvirt")


def show(sysfs: Sysfs, uuid: str, name: str) -> None:
    """Put a kept image where libvirt looks, in place of its guard.

    Raises `BadInputError` for another image of that name.
    """
    _require_mine(sysfs, uuid, name)
    try:
        _link(sysfs.real(kept_path(uuid)), sysfs.real(path(name)))
        durable.sync_folder(sysfs.real(FOLDER))
    except OSError as error:
        raise KernelError("link", path(name), error.errno or 0) from error


def put_guard(sysfs: Sysfs, uuid: str, name: str) -> None:
    """Keep libvirt from loading a kept image, and from booting instead.

    Raises `BadInputError` for another image of that name.
    """
    _require_mine(sysfs, uuid, name)
    guard.put(sysfs, uuid, name)


def _require_mine(sysfs: Sysfs, uuid: str, name: str) -> None:
    if sysfs.exists(path(name)) and not is_there(sysfs, uuid, name):
        raise BadInputError(f"{path(name)} is another image than the one that was kept as {kept_path(uuid)}")


def hide(sysfs: Sysfs, connection: Connection, uuid: str, name: str) -> None:
    """Have libvirt drop a kept image, or its guard.

    What is kept stays.

    Else it goes on taking the domain for saved, and refuses to undefine it. Without its answer the file alone goes.
    """
    if not is_there(sysfs, uuid, name):
        return
    with contextlib.suppress(SriovError):
        connection.tell("managedsave-remove", uuid)
    if is_there(sysfs, uuid, name):
        durable.remove(sysfs.real(path(name)))
    durable.sync_folder(sysfs.real(FOLDER))


def move_aside(sysfs: Sysfs, uuid: str, target: str) -> None:
    """Move a kept image to ``target``, a path on this machine.

    On another file system it stays where it is, under a name that nothing looks for.
    """
    kept = sysfs.real(kept_path(uuid))
    if not os.path.lexists(kept):
        return
    try:
        try:
            os.rename(kept, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            target = f"{kept}-discarded"
            os.rename(kept, target)
        durable.sync_folder(os.path.dirname(kept))
        durable.sync_folder(os.path.dirname(target))
    except OSError as error:
        raise KernelError("move", kept_path(uuid), error.errno or 0) from error


def delete_discarded(sysfs: Sysfs, now: float) -> None:
    """Delete images that were moved aside here longer than `KEEP_S` ago."""
    for name in sysfs.names(FOLDER):
        path = sysfs.real(f"{FOLDER}/{name}")
        if name.endswith(".kvmfleet-discarded") and now - os.lstat(path).st_ctime > KEEP_S:
            durable.remove(path)


def is_there(sysfs: Sysfs, uuid: str, name: str) -> bool:
    """Whether libvirt finds a domain's kept image, or its guard."""
    return is_shown(sysfs, uuid, name) or guard.is_put(sysfs, uuid, name)


def is_shown(sysfs: Sysfs, uuid: str, name: str) -> bool:
    """Whether libvirt finds the kept image of a domain."""
    try:
        return os.path.samefile(sysfs.real(path(name)), sysfs.real(kept_path(uuid)))
    except FileNotFoundError:
        return False


def is_saved(sysfs: Sysfs, uuid: str) -> bool:
    """Whether a transient domain's image is there, whole."""
    source = unkept_path(uuid)
    return is_kept(sysfs, uuid) or (sysfs.exists(source) and _mark(sysfs, source) == COMPLETE)


def is_kept(sysfs: Sysfs, uuid: str) -> bool:
    return sysfs.exists(kept_path(uuid))


def forget(sysfs: Sysfs, uuid: str) -> None:
    """Remove the second name: the memory is history."""
    durable.remove(sysfs.real(kept_path(uuid)))


def _read(sysfs: Sysfs, uuid: str, name: str, file_path: str) -> SaveImage:
    digest = hashlib.sha256()
    try:
        with open(sysfs.real(file_path), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            for number in range(SAMPLES):
                digest.update(os.pread(file.fileno(), SAMPLE, found.st_size * number // SAMPLES))
            digest.update(os.pread(file.fileno(), SAMPLE, max(0, found.st_size - SAMPLE)))
    except OSError as error:
        raise KernelError("read", file_path, error.errno or 0) from error
    return SaveImage(uuid, name, found.st_size, found.st_mtime_ns, digest.hexdigest())


def _mark(sysfs: Sysfs, file_path: str) -> bytes:
    return sysfs.read_bytes(file_path, len(COMPLETE))


def _sync(real: str) -> None:
    handle = os.open(real, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
