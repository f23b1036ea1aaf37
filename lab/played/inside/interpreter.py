"""Python of a played host, whose kernel takes writes to /sys.

Reads need nothing: the kernel keeps the files up to date. It takes what Ansible and the engine give an interpreter: a
program on stdin, a file, or the text behind -c. Bytecode of Ansible's modules is kept (lab/bytecode).
"""

from __future__ import annotations

import errno
import json
import os
import re
import runpy
import socket
import sys
from typing import Any

KERNEL = "/run/played/kernel"
HERE = "/run/played/python"
GROUP = re.compile(r"/dev/vfio/(\d+)$")

_open, _write, _stat = os.open, os.write, os.stat
_written: dict[int, str] = {}
"""Paths of files below /sys that are open for writing, by handle."""


def ask(question: dict[str, object]) -> dict[str, Any]:
    """The kernel's answer to a question, both JSON objects of one line."""
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.connect(KERNEL)
        kernel.sendall(json.dumps(question).encode() + b"\n")
        return dict(json.loads(kernel.makefile().readline()))


def opened(path: str | bytes | os.PathLike[str], flags: int, *more: int, **names: int) -> int:
    """As os.open: what is opened for writing below /sys is kept apart."""
    writes = str(path).startswith("/sys/") and flags & (os.O_WRONLY | os.O_RDWR)
    if writes:
        _stat(path)  # ENOENT, if it is not there
        if os.geteuid():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    handle = _open("/dev/null" if writes else path, flags, *more, **names)
    _written.pop(handle, None)
    if writes:
        _written[handle] = str(path)
    return handle


def written(handle: int, data: bytes) -> int:
    """As os.write, with the errno that the kernel has for it."""
    path = _written.get(handle)
    if path is None:
        return _write(handle, data)
    number = ask({"write": path, "value": data.decode()})["errno"]
    if number:
        raise OSError(number, os.strerror(number), path)
    return len(data)


def looked_at(path: object, **names: bool) -> os.stat_result:
    """As os.stat: open VFIO groups are character devices."""
    if isinstance(path, str) and path.startswith("/proc/") and "/fd/" in path:
        group = GROUP.match(os.readlink(path))
        if group:
            with open(f"/sys/class/vfio/{group.group(1)}/dev", encoding="ascii") as file:
                major, minor = map(int, file.read().split(":"))
            return os.stat_result([0o020600, *[0] * 9], {"st_rdev": os.makedev(major, minor)})
    return _stat(path, **names)  # type: ignore[arg-type]  # whatever os.stat takes


def main(words: list[str]) -> None:
    sys.path.insert(0, os.path.dirname(HERE))
    __import__("sitecustomize")
    os.open, os.write, os.stat = opened, written, looked_at  # type: ignore[assignment]  # narrower than os has them
    sys.executable = HERE
    while words and words[0].startswith("-") and words[0] != "-c":
        words = words[1:]
    if words[:1] == ["-c"]:
        sys.argv, text = ["-c", *words[2:]], words[1]
    elif words:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
        return
    else:
        sys.argv, text = ["-"], sys.stdin.read()
    exec(compile(text, "<program>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})


if __name__ == "__main__":
    main(sys.argv[1:])
