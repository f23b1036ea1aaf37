# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that has imported what modules import, and forks for each.

A module of Ansible takes 0.16 s to start, nearly all of it for the same imports, and a played host runs hundreds. Each
runs in a process of its own, which ends as any Python does. It has of its caller what a program has: descriptors,
environment, folder, umask, signals. What else it imports of Ansible and of collections is in the module's own zip or
not there. A caller whose Python would have started differently (`same_start`) starts one.

A watcher beside each program is in its process group, so that both sides of the socket see a group that is killed.
"""

from __future__ import annotations

import array
import builtins
import contextlib
import ctypes
import gc
import importlib
import marshal
import os
import select
import shutil
import signal
import socket
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IMPORTED = ("ansible.module_utils.basic", "ansible.module_utils._internal._ansiballz._loader", "zipfile", "zipimport")
"""What the zip of each module imports, and has in it."""
OWN = 1 << 16
"""An answer, as in `warm_client.py`."""
STARTING = ("PYTHON", "LANG", "LC_", "LD_", "KVMFLEET_BYTECODE")
"""Beginnings of variables that a Python obeys when it starts."""
PLACE = ("root", *(f"ns/{name}" for name in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")))
RIGHTS = ("Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp")
PR_SET_CHILD_SUBREAPER = 36


class Zipped:
    """The folders of a package in the zips on sys.path."""

    def __init__(self, package: str) -> None:
        self.below = package.replace(".", "/")

    def __iter__(self) -> Iterator[str]:
        return iter([f"{entry}/{self.below}" for entry in sys.path if entry.endswith(".zip")])


def prepare(folder: Path) -> None:
    """Import what modules import, from a package like that of their zips.

    It lacks the controller's side of Ansible, as theirs do; what was not imported here comes from a zip or fails.
    """
    spec = importlib.import_module("importlib.util").find_spec("ansible")
    installed = Path(next(iter(spec.submodule_search_locations)))
    package = folder / "ansible"
    package.mkdir()
    for name in ("module_utils", "release.py"):
        (package / name).symlink_to(installed / name)
    (package / "__init__.py").write_text("from ansible.release import __version__, __author__\n")
    sys.path.insert(0, str(folder))
    for name in IMPORTED:
        importlib.import_module(name)
    sys.path.remove(str(folder))
    for name, module in sys.modules.items():
        if name.split(".")[0] == "ansible" and hasattr(module, "__path__"):
            module.__path__ = Zipped(name)  # type: ignore[assignment]  # importlib takes any iterable
    gc.collect()
    gc.freeze()


def surroundings(process: int | str) -> list[object]:
    """What a process has beside its environment, for a comparison."""
    here = Path("/proc") / str(process)
    rights = [line for line in (here / "status").read_text().splitlines() if line.startswith(RIGHTS)]
    return [rights, (here / "limits").read_text(), *(os.readlink(here / name) for name in PLACE)]


def starting(environment: dict[str, str], folder: str) -> dict[str, str]:
    """What a Python obeys that starts in ``folder``."""
    found = {name: value for name, value in environment.items() if name.startswith(STARTING)}
    if "PYTHONPATH" in found:
        found["PYTHONPATH"] = ":".join(os.path.join(folder, path) for path in found["PYTHONPATH"].split(":"))
    return found


def same_start(caller: socket.socket, environment: dict[str, str], folder: str) -> bool:
    """Whether the caller's Python would start as this one has."""
    peer = array.array("i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    try:
        same = surroundings(peer) == surroundings("self")
    except OSError:
        return False
    return same and starting(environment, folder) == starting(dict(os.environ), os.getcwd())


def serve(path: str) -> None:
    """Fork a watcher for each caller, until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            if 0 in ready(0, listener):
                return
            caller = listener.accept()[0]
            if os.fork() == 0:
                listener.close()
                watch(caller)
            caller.close()


def ready(*readers: Any) -> list[Any]:  # noqa: ANN401 - numbers and objects that have one
    """Wait; return those that can be read, or have ended."""
    return select.select(readers, [], [])[0]


def watch(caller: socket.socket) -> None:
    """Fork the program of a caller, and tell how it ended."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, control, _flags, _address = caller.recvmsg(4, socket.CMSG_LEN(12))
    fds = array.array("i", control[0][2])
    with caller.makefile("rb") as file:
        asked = marshal.loads(file.read(int.from_bytes(head, "big")))
    if not same_start(caller, asked[3], asked[1]):
        caller.sendall(OWN.to_bytes(4, "big"))
        os._exit(0)
    program = os.fork()
    if program == 0:
        caller.detach()  # closed by its number: nobody closes that number again
        become(fds, *asked)
    for fd in fds:
        os.close(fd)
    ended = os.pidfd_open(program)
    if ended not in ready(ended, caller, 0):  # the caller or the tests are gone
        os.killpg(0, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    caller.sendall(status.to_bytes(4, "big", signed=True))
    os._exit(0)


def become(
    fds: array.array[int], words: tuple[str, ...], folder: str, mask: int, environment: dict[str, str],
    ignored: list[int], blocked: list[int],
) -> None:  # fmt: skip
    """Be the program that a caller has asked for; never return."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.closerange(3, 256)
    os.chdir(folder)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environment)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if (number in ignored) != (signal.getsignal(number) == signal.SIG_IGN):
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, signal.SIG_IGN if number in ignored else default)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    execute(words)
    sys.exit()


def execute(words: tuple[str, ...]) -> None:
    """Run the script that is named, or standard input."""
    name = words[0] if words else "<stdin>"
    main = types.ModuleType("__main__")
    main.__dict__.update(__annotations__={}, __builtins__=builtins, __cached__=None, __file__=name)
    source = Path(name).read_bytes() if words else sys.stdin.buffer.read()
    sys.argv = list(words) or [""]
    sys.path.insert(0, str(Path(name).resolve().parent) if words else "")
    sys.modules["__main__"] = main
    exec(compile(source, name, "exec", dont_inherit=True), main.__dict__)


def end(folder: Path) -> None:
    """End what programs have left running, and the server's folder."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while left := children.read_text().split():
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        time.sleep(0.01)
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file
    here = Path(sys.argv[1])
    prepare(here)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for watchers
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    serve(f"{here}/socket")
    end(here)
