# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the engine runs, on a fake host.

They are `ip`, `devlink`, `modprobe` and `_namespaces_child`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BlockedError, DeadlineError, ToolError

from ..linux import links
from ..scenarios.faults import KILL, KILL_AFTER, LATE, LIE, NONSENSE, OTHER, STATUS, STUCK, Killed
from . import devlink, ip

if TYPE_CHECKING:
    from ..linux.host import FakeHost
    from ..linux.pf import FakePf

MODULES = ("vfio-pci", "vfio_pci", "igbvf", "nvme")


class FakeTools:
    """Runs programs as `process.run` does.

    ``calls`` lists the programs that change something, ``asked`` all of them. ``missing`` are programs that this host
    does not have, ``switched_off`` modules that its modprobe.d keeps from being loaded.
    """

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.calls: list[list[str]] = []
        self.asked: list[list[str]] = []
        self.missing: set[str] = set()
        self.switched_off: set[str] = set()

    def __call__(self, argv: Sequence[str]) -> str:
        words = list(argv)
        self.asked.append(words)
        if words[0] in self.missing:
            raise ToolError(words, 127, "cannot run it: No such file or directory")
        with self.host.lock:
            if words[0] == "ip" and (act := links.action(self.host, words)):
                return self._change(words, act)
            if words[:3] == ["ip", "link", "set"]:
                return self._change(words, lambda: ip.set_vf(self._pf(words, words[4]), words))
            if words[:2] == ["modprobe", "--dry-run"]:
                self._find(words)
                return "install /bin/false \n" if words[-1] in self.switched_off else ""
            if words[0] == "modprobe":
                return self._change(words, lambda: self._load(words))
            if "kvmfleet-sriov-namespaces" in words:
                paths = words[words.index("kvmfleet-sriov-namespaces") + 1 :]
                return json.dumps([self.host.namespaces.get(path[len(str(self.host.root)) :]) for path in paths])
            if words[:4] == ["devlink", "dev", "eswitch", "set"]:
                return self._change(words, lambda: devlink.set_mode(self.host, words))
            if words[:4] == ["devlink", "port", "function", "set"]:
                return self._change(words, lambda: devlink.set_function(self.host, words))
            return self._ask(words)

    def _show(self, words: list[str]) -> str:
        if words == ["devlink", "-j", "port", "show"]:
            return devlink.ports(self.host)
        if words[:5] == ["devlink", "-j", "dev", "eswitch", "show"]:
            return devlink.show(self.host, words)
        if words[:4] == ["devlink", "-j", "dev", "info"]:
            return devlink.info(self.host, words)
        if words[:2] == ["ip", "-json"] and words[-4:-1] == ["link", "show", "dev"]:
            return json.dumps([{}, ip.link(self._pf(words, words[-1]), "-details" in words)])
        if words == ["ip", "-json", "-details", "link", "show"]:
            return json.dumps([ip.link(pf, details=True) for pf in self.host.pfs.values() if pf.netdev])
        if words == ["ip", "-json", "address", "show"]:
            return json.dumps(ip.addresses(self.host.addresses))
        if words[:2] == ["ip", "-json"] and words[-4:] == ["route", "show", "table", "all"]:
            return json.dumps([{}, *(one for one in self.host.routes if (":" in str(one)) is ("-6" in words))])
        raise ToolError(words, 127, "the fake host has no such program")

    def _change(self, words: list[str], act: Callable[[], None]) -> str:
        """Run a program that changes something.

        When `ip` fails, it has already done the first half of its work.
        """
        try:
            fault = self.host.count(" ".join(words), "program")
        except OSError as error:
            self._half(words)
            text = f"{'RTNETLINK' if words[0] == 'ip' else 'kernel'} answers: {os.strerror(error.errno or 0)}"
            raise ToolError(words, 2, text) from error
        if fault in (STATUS, KILL) or (fault in (LATE, STUCK) and words[0] == "ip"):
            self._half(words)
        elif fault != LIE:
            self.calls.append(words)
            act()
        self.host.draw()
        if fault in (KILL, KILL_AFTER):
            raise Killed(words)
        self._fail(words, fault)
        return ""

    def _half(self, words: list[str]) -> None:
        if words[0] == "ip" and "vf" in words:
            ip.set_vf(self._pf(words, words[4]), words, limit=1)

    def _ask(self, words: list[str]) -> str:
        self.host.asked += 1
        fault = self.host.wrong.get(self.host.asked, "")
        self._fail(words, fault)
        return {NONSENSE: "6: eth0: <UP>", OTHER: '[{"ifname": "lo", "vfinfo_list": 7}]'}.get(fault) or self._show(
            words
        )

    def _fail(self, words: list[str], fault: str) -> None:
        if fault == STATUS:
            raise ToolError(words, 255, "it has a bad day")
        if fault == LATE:
            raise DeadlineError(f"'{' '.join(words)}' did not end within 60 s")
        if fault == STUCK:
            raise BlockedError(f"'{' '.join(words)}' did not end within 60 s, and cannot be killed")

    def _load(self, words: list[str]) -> None:
        self._find(words)
        self.host.drivers.add(words[-1])

    def _find(self, words: list[str]) -> None:
        if words[-1] not in MODULES:
            raise ToolError(words, 1, f"modprobe: FATAL: Module {words[-1]} not found in directory /lib/modules/fake")

    def _pf(self, words: list[str], name: str) -> FakePf:
        for pf in self.host.pfs.values():
            if name in (pf.netdev, pf.altname):
                return pf
        raise ToolError(words, 1, f'Device "{name}" does not exist.')
