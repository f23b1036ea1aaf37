"""A guest on this machine whose network is unplugged and plugged.

Its console lines are stamped as they come.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from lab.images import guest as _guest
from lab.kernels import packages
from lab.progress import LabError

NIC, SLOT = "nic0", "slot0"
PEER, ADDRESS = "10.0.2.2", "10.0.2.15"
"""Addresses of QEMU's user network, whose gateway answers pings."""
LIFE, REPLY = "life n=", " bytes from "
PERIOD_S = 0.04
"""Time in which a slowed process runs once."""


@dataclass(frozen=True)
class Line:
    """A line of the console; ``at`` by the monotonic clock."""

    at: float
    text: str


class Guest:
    """A QEMU with the lab's guest; ``words``: more of its command line."""

    def __init__(self, folder: Path, name: str, *words: str) -> None:
        self.lines: list[Line] = []
        self.socket = str(folder / f"{name}.qmp")
        append = "console=ttyS0 quiet no_timer_check tsc=reliable random.trust_cpu=on"
        self.process = subprocess.Popen(
            [
                "qemu-system-x86_64", "-M", "pc-q35-10.0", "-accel", "tcg,thread=single", "-cpu", "qemu64",
                "-m", "128", "-nodefaults", "-no-user-config", "-display", "none",
                "-kernel", str(packages.built("series").image), "-initrd", str(_guest.build()),
                "-append", f"{append} guest.address={ADDRESS} guest.peer={PEER}",
                "-device", f"pcie-root-port,id={SLOT},bus=pcie.0,chassis=1,slot=1",
                "-netdev", "user,id=net0,restrict=on", "-chardev", "stdio,id=console,signal=off",
                "-serial", "chardev:console", "-qmp", f"unix:{self.socket},server=on,wait=off", *words,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace",
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append(Line(time.monotonic(), text.rstrip()))

    def wait_for(self, text: str, since: float, within_s: float) -> None:
        """Wait for a line of the console that came after a moment."""
        self._wait(lambda: any(line.at > since and text in line.text for line in self.lines), text, within_s)

    def execute(self, command: str, **arguments: Any) -> Any:  # noqa: ANN401 - as QEMU answers
        until = time.monotonic() + 60
        while True:
            try:
                with _qmp.connect(self.socket, 60.0) as monitor:
                    return monitor.execute(command, **arguments)
            except SriovError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def unplug(self) -> None:
        with _qmp.connect(self.socket, 60.0) as monitor:
            monitor.execute("device_del", id=NIC)
            monitor.wait_event(lambda event: event["event"] == "DEVICE_DELETED", "the guest's release", 120.0)

    def plug(self) -> None:
        words = dict(part.split("=") for part in f"driver={nic()}".split(","))
        self.execute("device_add", **words)

    def migrate(self, command: str, path: Path) -> None:
        """Save to a file, or load from it, to the end."""
        self.execute(command, uri=f"file:{path}")
        self._wait(lambda: self.execute("query-migrate").get("status") == "completed", command, 120.0)

    def translated(self) -> int:
        """Blocks of guest code that QEMU has translated until now."""
        text = str(self.execute("human-monitor-command", **{"command-line": "info jit"}))
        return next((int(line.split()[2]) for line in text.splitlines() if line.startswith("TB count")), 0)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def _wait(self, condition: Callable[[], bool], what: str, within_s: float) -> None:
        until = time.monotonic() + within_s
        while not condition():
            if self.process.poll() is not None or time.monotonic() > until:
                ending = "\n".join(line.text for line in self.lines[-5:])
                raise LabError(f"gave up waiting for {what!r} after {within_s:g} s; the console ends:\n{ending}")
            time.sleep(0.01)


def nic() -> str:
    """The network device, as on a command line."""
    return f"igb,id={NIC},bus={SLOT},netdev=net0,mac=52:54:00:00:00:06,romfile="


@contextlib.contextmanager
def slowed(pid: int, times: int) -> Iterator[None]:
    """Slow a process of ours down, so many times.

    What it computes takes as many times longer, what it waits for does not.
    """
    over = threading.Event()

    def pace() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            over.wait(PERIOD_S * (times - 1) / times)
            os.kill(pid, signal.SIGCONT)
            over.wait(PERIOD_S / times)

    thread = threading.Thread(target=pace, daemon=True)
    if times > 1:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if times > 1:
            thread.join()


def beat(lines: Sequence[Line], count: int) -> float:
    """Median seconds between the last heartbeats; half a second is meant."""
    times = [line.at for line in lines if LIFE in line.text][-count:]
    return statistics.median(after - before for before, after in zip(times, times[1:]))


def first(lines: Sequence[Line], text: str, since: float) -> float | None:
    """Seconds from a moment until the first such line, or None."""
    return next((line.at - since for line in lines if line.at > since and text in line.text), None)
