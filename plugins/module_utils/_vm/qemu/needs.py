# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host must have before a QEMU is started.

Read while the VM runs, so that only what is there now is awaited after the kexec: files, the file systems that they are
on (below an absent one there may be an older file), listeners at sockets, bridges, free huge pages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..._holders.processes import open_files
from ..._model.errors import BadInputError, KernelError
from ..._model.paths import NETDEVS
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..candidates import control_group, program
from ..candidates import unit as _unit_of
from . import paths as _paths

BRIDGE, FILE, FILE_SYSTEM, HUGE_PAGES, SOCKET = "bridge", "file", "file system", "huge pages", "listener at socket"
VOLATILE = ("tmpfs", "ramfs")
OF_THE_KERNEL = ("proc", "sysfs", "devtmpfs", "devpts", *VOLATILE)
LISTENS = 0x10000
"""Flag of a listening socket in /proc/net/unix (__SO_ACCEPTCON, include/linux/net.h)."""
_SOCKET = re.compile(
    r"[0-9a-f]{1,16}: [0-9A-F]{8} [0-9A-F]{8} (?P<flags>[0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +"
    r"(?P<inode>[0-9]{1,20}) (?P<path>.+)"
)
"""A line of /proc/net/unix (net/unix/af_unix.c, unix_seq_show)."""
STARTED_AT_BOOT = ("enabled", "static", "indirect", "generated", "alias", "linked")
"""States of unit files whose units a boot can start (systemctl(1), is-enabled)."""
MEMINFO, UNIX, MOUNTS = "/proc/meminfo", "/proc/net/unix", "/proc/mounts"


@dataclass(frozen=True)
class Need:
    """Something that must be there.

    ``what``: a path or a name; ``detail``: type of a file system, or bytes of memory.
    """

    kind: str
    what: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.what}" + (f" ({self.detail})" if self.detail else "")

    def met(self, sysfs: Sysfs) -> bool:
        """Whether the host has it now; nothing is opened or connected."""
        if self.kind == BRIDGE:
            return sysfs.exists(f"{NETDEVS}/{self.what}")
        if self.kind == FILE_SYSTEM:
            os.path.exists(sysfs.real(f"{self.what}/."))  # asks an automounter for it
            return (self.what, self.detail) in _mounts(sysfs)
        if self.kind == SOCKET:
            return self.what in _listeners(sysfs)
        if self.kind == HUGE_PAGES:
            return _free_bytes(sysfs, self.what) >= int(self.detail.split()[0])
        return os.path.exists(sysfs.real(self.what))

    @classmethod
    def parse(cls, data: object, where: str) -> tuple[Need, ...]:
        """Parse the needs of a manifest; `BadInputError` names the path."""
        kinds = (BRIDGE, FILE, FILE_SYSTEM, HUGE_PAGES, SOCKET)
        keys = {"kind", "what", "detail"}
        if not isinstance(data, (list, tuple)):
            raise BadInputError(f"{where}: expected a list, found {data!r}")
        for number, item in enumerate(data):
            texts = isinstance(item, Mapping) and set(item) == keys and all(isinstance(item[key], str) for key in keys)
            if not texts or item["kind"] not in kinds:
                raise BadInputError(f"{where}[{number}]: expected kind, what and detail, found {item!r}")
        return tuple(cls(**item) for item in data)


@dataclass(frozen=True)
class Needs:
    """Needs of a VM.

    ``problems``: (problem, fix) of those that a boot does not meet.
    """

    needs: tuple[Need, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


def read(sysfs: Sysfs, run: Run, pid: int, argv: Sequence[str], cwd: str, own_monitor: str | None) -> Needs:
    """Read the needs of a running QEMU."""
    files = [path for path in _paths.files(argv, cwd) if os.path.exists(sysfs.real(path))]
    sockets = [path.replace("/var/run/", "/run/", 1) for path in _paths.client_sockets(argv)]
    mounts = {path: _mount_of(sysfs, path) for path in files}
    needs = [Need(FILE, path) for path in files]
    needs += [
        Need(FILE_SYSTEM, *mount) for mount in [*mounts.values(), *_behind(sysfs, pid, argv)] if _is_awaited(mount)
    ]
    needs += [Need(SOCKET, path) for path in sockets]
    needs += [Need(HUGE_PAGES, size, f"{number} bytes") for size, number in _huge_pages(sysfs, argv)]
    return Needs(
        tuple(dict.fromkeys(needs)),
        (
            *_volatile_files(mounts),
            *_waiting(_paths.waiting_servers(argv, own_monitor)),
            *_helpers(sysfs, run, sockets),
        ),
    )


def _volatile_files(mounts: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for path, (_point, kind) in mounts.items():
        if kind in VOLATILE:
            yield f"its file {path} is on {kind}, which a kexec empties", "put it on a disk"


def _waiting(servers: Iterable[str]) -> Iterator[tuple[str, str]]:
    for text in servers:
        yield f"it waits at its start until somebody connects ({text})", "start it with wait=off"


def _helpers(sysfs: Sysfs, run: Run, sockets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Helper processes (vhost-user, swtpm, ...) that no boot starts again."""
    listeners = _listeners(sysfs) if sockets else {}
    makers = _owners(sysfs, {listeners[path] for path in sockets if path in listeners})
    for path in sockets:
        pid = makers.get(listeners.get(path, ""))
        if pid is None:
            yield f"nobody listens at its socket {path}, to which it connects at its start", "let a unit listen there"
            continue
        unit = _unit_of(control_group(sysfs, pid))
        shown = run(["systemctl", "show", "--property=UnitFileState", "--value", unit]).strip() if unit else ""
        if shown not in STARTED_AT_BOOT:
            maker = f"process {pid} ({program(sysfs, pid)}, {unit or 'no unit'})"
            yield f"{maker} listens at its socket {path}, and no boot starts that again", "let an enabled unit do it"


def _owners(sysfs: Sysfs, inodes: set[str]) -> dict[str, int]:
    """Process id for each inode of a socket."""
    names = {f"socket:[{inode}]": inode for inode in inodes}
    return {names[target]: pid for pid, _path, target in open_files(sysfs) if target in names} if names else {}


def _listeners(sysfs: Sysfs) -> dict[str, str]:
    """Inode by path of each listening unix socket.

    Any user can bind a socket whose path has line ends, which the kernel writes as they are (net/unix/af_unix.c,
    unix_seq_show), so a line may be anything.
    """
    rows = [found for line in _text(sysfs, UNIX).split("\n") if (found := _SOCKET.fullmatch(line))]
    return {
        row["path"].replace("/var/run/", "/run/", 1): row["inode"] for row in rows if int(row["flags"], 16) & LISTENS
    }


def _mounts(sysfs: Sysfs) -> list[tuple[str, str]]:
    """(mount point, type) of all file systems.

    Later ones cover earlier ones.
    """
    rows = (line.split() for line in _text(sysfs, MOUNTS).splitlines())
    octal = re.compile(r"\\([0-7]{3})")  # blanks and the like (proc_pid_mounts(5))
    return [(octal.sub(lambda match: chr(int(match[1], 8)), row[1]), row[2]) for row in rows if len(row) > 2]


def _mount_of(sysfs: Sysfs, path: str) -> tuple[str, str]:
    """The file system that a file is on."""
    real = os.path.realpath(sysfs.real(path))[len(sysfs.root) :]
    around = [one for one in _mounts(sysfs) if real == one[0] or real.startswith(one[0].rstrip("/") + "/")]
    return max(enumerate(around), key=lambda one: (len(one[1][0]), one[0]))[1] if around else ("/", "")


def _is_awaited(mount: tuple[str, str]) -> bool:
    return mount[0] != "/" and mount[1] not in OF_THE_KERNEL


def _behind(sysfs: Sysfs, pid: int, argv: Sequence[str]) -> list[tuple[str, str]]:
    """File systems of guest memory and open files, backing files too."""
    try:
        targets = [sysfs.target(f"/proc/{pid}/fd/{name}") or "" for name in sysfs.names(f"/proc/{pid}/fd")]
    except KernelError:  # it ends
        targets = []
    memory = [path for path, _page, _bytes in _paths.huge_memory(argv)]
    found = [path for path in [*targets, *memory] if path.startswith("/") and not path.endswith(" (deleted)")]
    return [_mount_of(sysfs, path) for path in found]


def _huge_pages(sysfs: Sysfs, argv: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(size of a page such as 2048kB, bytes) of guest memory."""
    default = next(iter(re.findall(r"^Hugepagesize:\s+(\d+) kB", _text(sysfs, MEMINFO), re.MULTILINE)), "2048")
    sizes: dict[str, int] = {}
    for path, page_bytes, number in _paths.huge_memory(argv):
        if path and _mount_of(sysfs, path)[1] != "hugetlbfs":
            continue
        page = _page_of_mount(sysfs, path) if path else (page_bytes >> 10 or int(default))
        size = f"{page or int(default)}kB"
        sizes[size] = sizes.get(size, 0) + number
    yield from sizes.items()


def _page_of_mount(sysfs: Sysfs, path: str) -> int:
    """Page size in KiB of a path's hugetlbfs, 0 for the default."""
    point = _mount_of(sysfs, path)[0]
    for line in _text(sysfs, MOUNTS).splitlines():
        row = line.split()
        if len(row) > 3 and row[1] == point and row[2] == "hugetlbfs":
            return (
                _paths.size_of(dict(part.partition("=")[::2] for part in row[3].split(",")).get("pagesize", "")) >> 10
            )
    return 0


def _free_bytes(sysfs: Sysfs, size: str) -> int:
    free = _text(sysfs, f"/sys/kernel/mm/hugepages/hugepages-{size}/free_hugepages").strip()
    return int(free or 0) * int(size[:-2]) << 10


def _text(sysfs: Sysfs, path: str) -> str:
    try:
        return sysfs.read(path)
    except KernelError:
        return ""
