# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child process that starts a program apart, and kills it.

It is started from this source (`dry_run`), so it must not import its neighbours. Namespaces are for good, and whoever
is killed takes the next one along: a dry start outlives nobody. What the lists of the command line should have missed
meets a file system without writing, an empty network, and limits.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from typing import Any

CLONE_NEWNS, CLONE_NEWNET, MS_REC, MS_PRIVATE = 0x00020000, 0x40000000, 0x4000, 0x40000
"""Numbers of include/uapi/linux/sched.h and mount.h."""
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
"""Of mount_setattr(2), Linux 5.12."""
PR_SET_PDEATHSIG = 1
SAID, LONGEST, PIECE = 2000, 1 << 20, 65536
"""Bytes that are kept of output and of a monitor's answers."""
QUESTIONS = b"""{"execute":"qmp_capabilities"}
{"execute":"query-migrate-capabilities","id":"kvmfleet-has"}
{"execute":"query-status","id":"kvmfleet"}
"""
LIBC = ctypes.CDLL(None, use_errno=True)


class MountAttr(ctypes.Structure):
    """struct mount_attr: attr_set, attr_clr, propagation, userns_fd."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def main() -> None:
    """Start argv[3:] as argv[2] says, and print what became of it.

    Settings, JSON: ``cwd``; ``environment_of``: process id; ``memory_bytes`` of address space; ``deadline_s`` of the
    program, ``kill_s`` of its end;
    ``monitor``: whether it is a QEMU that is asked for its status, without network.
    Answer, JSON: ``apart``: an error when it was not started; ``status`` of query-status; ``code`` of its exit, null
    for one that was killed; ``said``: the end of its output; ``has``: migration capabilities, where it names them.
    """
    settings = json.loads(sys.argv[2])
    signal_at_end_of_parent()
    try:
        set_apart(settings["monitor"])
    except OSError as error:
        answer = {"apart": str(error)}
    else:
        answer = trial(sys.argv[3:], settings)
    sys.stdout.write(json.dumps(answer) + "\n")


def signal_at_end_of_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def set_apart(network: bool) -> None:
    """Leave the host's mounts and, with ``network``, its network.

    All file systems are read-only here, sockets and logs cannot be made. When memory gets scarce this one goes first.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    os.nice(10)
    _call(LIBC.unshare, CLONE_NEWNS | (CLONE_NEWNET if network else 0))
    _call(LIBC.mount, b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
    attributes = MountAttr(MOUNT_ATTR_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _call(LIBC.syscall, MOUNT_SETATTR, AT_FDCWD, b"/", ctypes.c_uint(AT_RECURSIVE), ctypes.byref(attributes), size)


def _call(function: Any, *arguments: object) -> None:  # noqa: ANN401 - a function of ctypes
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def trial(words: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    """Start a program, and kill it.

    At its answer, its end or the deadline.
    """
    own, its = socket.socketpair()
    with own, its:
        if settings["monitor"]:
            words = [*words, "-chardev", f"socket,id=kvmfleet-dry-qmp,fd={its.fileno()}",
                     "-mon", "chardev=kvmfleet-dry-qmp,mode=control"]  # fmt: skip
            own.sendall(QUESTIONS)
        try:
            process = subprocess.Popen(
                words, cwd=settings["cwd"], env=environment(settings["environment_of"]), pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                preexec_fn=lambda: limit(settings["memory_bytes"]),
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            return {"status": None, "code": 127, "said": str(error)}
        its.close()
        try:
            return follow(process, own, settings)
        finally:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(settings["kill_s"])


def limit(memory_bytes: int) -> None:
    """Limits of the program, set between fork and exec.

    A file size of 0: no byte can be written to a file. Nor is a core.
    """
    for kind, number in (
        (resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(kind, (number, number))
    signal_at_end_of_parent()


def environment(pid: int) -> dict[str, str]:
    """Variables of a running process, in the C locale, without systemd's socket."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        pairs = [text.decode(errors="surrogateescape").partition("=") for text in file.read().split(b"\0") if text]
        found = {name: value for name, _equals, value in pairs if name}
        return {**found, "PATH": found.get("PATH") or os.defpath, "LC_ALL": "C", "NOTIFY_SOCKET": ""}
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def follow(process: subprocess.Popen[bytes], monitor: socket.socket, settings: dict[str, Any]) -> dict[str, Any]:
    """Read monitor and output until there is an answer."""
    if process.stdout is None:
        raise ValueError("the program's output is no pipe")
    until = time.monotonic() + settings["deadline_s"]
    output, answers, said, heard = process.stdout.fileno(), monitor.fileno(), b"", b""
    reading = [output, *([answers] if settings["monitor"] else [])]
    status = None
    while status is None and output in reading and time.monotonic() < until:
        ready, _writing, _failed = select.select(reading, [], [], max(0.0, until - time.monotonic()))
        if answers in ready:
            piece = _read(answers)
            heard = (heard + piece)[:LONGEST]
            status = status_in(heard)
            reading = [one for one in reading if one != answers or piece]
        if output in ready:
            piece = _read(output)
            said = (said + piece)[-SAID:]
            reading = [one for one in reading if one != output or piece]
    code = None
    if output not in reading:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(settings["kill_s"])
    return {"status": status, "code": code, "said": said.decode(errors="replace"), **has_in(heard)}


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, PIECE)
    except OSError:
        return b""


def status_in(heard: bytes) -> str | None:
    """The status in a monitor's answers, None while there is none.

    An error of QEMU is a status, too.
    """
    message = answer_to("kvmfleet", heard)
    if message is None:
        return None
    answer = message.get("return")
    return str(answer.get("status") if isinstance(answer, dict) else message.get("error"))[:SAID]


def has_in(heard: bytes) -> dict[str, list[str]]:
    """Migration capabilities in a monitor's answers, if any."""
    answer = (answer_to("kvmfleet-has", heard) or {}).get("return")
    if not isinstance(answer, list):
        return {}
    return {"has": [str(one.get("capability"))[:SAID] for one in answer if isinstance(one, dict)]}


def answer_to(question: str, heard: bytes) -> dict[str, Any] | None:
    """The answer with this id among whole lines, None without one."""
    for line in heard.split(b"\n")[:-1]:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and message.get("id") == question:
            return message
    return None


if __name__ == "__main__":
    main()
