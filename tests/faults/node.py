# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One process of the node program on a played host.

FOLDER STRIKES sriovctl ARGUMENT... as on a host, or FOLDER STRIKES module PARAMETERS for the module `live_update`,
whose result is printed. STRIKES is JSON, a list of `edges.Strike`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import machine, options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.machine import LiveHost
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import cli, live_update_command, resume_command
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp

from . import played, vfio
from .edges import Edges, Strike, name_of
from .played import PlayedHost


class EdgedSysfs(played.PlayedSysfs):
    """Writes to files of /sys are an edge."""

    edges: Edges

    def _write(self, path: str, value: str) -> None:
        self.edges.act(f"write {path} {value}", lambda: super(EdgedSysfs, self)._write(path, value))


class EdgedHost(PlayedHost):
    """The host, as this process sees it."""

    edges: Edges

    def run(self, argv: Sequence[str]) -> str:
        return str(self.edges.act(f"run {' '.join(argv)}", lambda: super(EdgedHost, self).run(argv)))

    def _load(self, number: int, kernel: int, initrd: int, length: int, text: bytes | None, flags: int) -> int:
        load = super()._load
        what = "kexec unload" if flags & 1 else "kexec load"
        return _errno(lambda: self.edges.act(what, lambda: load(number, kernel, initrd, length, text, flags)))

    def _reboot(self, command: int) -> int:
        reboot = super()._reboot
        return _errno(lambda: self.edges.act("kexec reboot", lambda: reboot(command)))


def _errno(call: Callable[[], int]) -> int:
    """The errno of a system call that an OSError stands for."""
    try:
        return call()
    except OSError as error:
        return error.errno or 0


def edged(folder: Path, strikes: list[Strike]) -> EdgedHost:
    """The host, with the edges of this process in their places."""
    host = EdgedHost(folder)
    host.edges = Edges(folder, strikes, lambda: _cut(host))
    sysfs = host.host.sysfs = EdgedSysfs(host.host, host.units)
    sysfs.edges = host.edges
    _edge_of_files(host.edges)
    _edge_of_monitors(host)
    return host


def _cut(host: PlayedHost) -> None:
    """Cut the power: every process of the host is gone."""
    (host.folder / played.CUT).touch()
    for one in host.units():
        if one.alive:
            os.kill(one.pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _edge_of_files(edges: Edges) -> None:
    for name in ("rename", "replace"):
        setattr(os, name, _edged_rename(edges, getattr(os, name)))


def _edged_rename(edges: Edges, rename: Callable[..., None]) -> Callable[..., None]:
    def edged_rename(source: Any, target: Any, **more: Any) -> None:  # noqa: ANN401 - as os.rename
        text = str(target)
        if "/kvmfleet-sriov/" not in text:
            rename(source, target, **more)
        else:
            edges.act(f"file {name_of(str(source), text)}", lambda: rename(source, target, **more))

    return edged_rename


def _edge_of_monitors(host: EdgedHost) -> None:
    execute = vfio.translated(_qmp.Qmp.execute, host.refusal)

    def edged_execute(self: _qmp.Qmp, command: str, timeout: float | None = None, **arguments: Any) -> Any:  # noqa: ANN401 - as QMP
        name = next((one.name for one in host.units() if one.pid == self.pid), "")
        return host.edges.act(f"monitor {name} {command}", lambda: execute(self, command, timeout, **arguments))

    setattr(_qmp.Qmp, "execute", edged_execute)  # noqa: B010 - a method of a class that is typed


PRELOADED = (live_update_command, resume_command)
"""Commands that the program imports when called; forks have them."""


class Answered(BaseException):
    """The end of a module."""


class PlainModule:
    """What a module of Ansible offers, without its arguments' defaults."""

    check_mode = False
    _diff = False

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params

    def warn(self, warning: str) -> None:
        print(warning, file=sys.stderr)

    def exit_json(self, **values: object) -> NoReturn:
        print(json.dumps(values))
        raise Answered(0)

    def fail_json(self, msg: str, **values: object) -> NoReturn:
        print(json.dumps({"failed": True, "msg": msg, **values}))
        raise Answered(1)


def module(host: LiveHost, params: dict[str, Any]) -> int:
    """Run the module `live_update` with these parameters, defaults added."""
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import live_update_module
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish

    defaults = {name: one.get("default") for name, one in live_update_module.REQUEST_OPTIONS.items()}
    one = PlainModule({"force": False, "discard_memory": [], "stay_reserved": False, **defaults, **params})
    try:
        finish(one, lambda: live_update_module.declare(one, host))
    except Answered as end:
        return int(end.args[0])
    raise AssertionError("a module answers")


def main(argv: Sequence[str]) -> int:
    folder, strikes, what, *words = argv
    host = edged(Path(folder), [Strike(**one) for one in json.loads(strikes)])
    machine.real = lambda _sysfs, wanted, log, *_more: host.live_host(wanted, log)
    if what == "module":
        params = json.loads(words[0])
        return module(host.live_host(options.parse(params.get("options")), lambda _line: None), params)
    sys.argv = ["sriovctl", *words]
    return cli.main(["--root", str(Sysfs(str(host.root)).root), *words])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
