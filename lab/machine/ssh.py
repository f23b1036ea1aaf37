"""Commands on an emulated host, over ssh on 127.0.0.1."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..progress import LabError

OPTIONS = (
    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
    "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6", "-o", "BatchMode=yes",
)  # fmt: skip


@dataclass(frozen=True)
class Ssh:
    port: int
    key: Path

    def argv(self, *command: str) -> list[str]:
        return ["ssh", *OPTIONS, "-i", str(self.key), "-p", str(self.port), "root@127.0.0.1", *command]

    def run(self, command: str, *, data: bytes | None = None, timeout_s: float = 600) -> str:
        """Run a shell command and return its output.

        Raises LabError with the output if it fails.
        """
        done = subprocess.run(self.argv(command), input=data or b"", capture_output=True, timeout=timeout_s)
        if done.returncode:
            output = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
            raise LabError(f"on port {self.port}: {command[:200]} ended with status {done.returncode}:\n{output}")
        return done.stdout.decode(errors="replace")

    def unattended(self, command: str) -> None:
        """Run a command in a unit of its own until it ends.

        Its status is ignored. A lost connection does not end the command.
        """
        unit = "systemd-run --quiet --wait --collect --unit=conformance"
        self.run(f"{unit} sh -c {shlex.quote(command)} || true", timeout_s=7200)

    def put(self, source: Path, target: str) -> None:
        """Copy one file's bytes to the host."""
        self.run(f"mkdir -p $(dirname {target}) && cat > {target}", data=source.read_bytes())

    def answers(self) -> bool:
        try:
            return (
                subprocess.run(self.argv("true"), capture_output=True, timeout=30, stdin=subprocess.DEVNULL).returncode
                == 0
            )
        except subprocess.TimeoutExpired:
            return False

    def wait(self, deadline_s: float = 300, alive: Callable[[], None] = lambda: None) -> float:
        """Wait until a command runs; returns the seconds it took.

        ``alive`` is called before each try, and raises when there is nothing to wait for.
        """
        begin = time.monotonic()
        while True:
            alive()
            if self.answers():
                return time.monotonic() - begin
            if time.monotonic() - begin > deadline_s:
                raise LabError(f"no ssh on port {self.port} within {deadline_s:.0f} s: see the host's console.log")
            time.sleep(1)
