"""Progress of the lab, for people who wait."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

START = time.monotonic()


class LabError(Exception):
    """Failure of the lab: its subject, and where to look."""


def say(text: str) -> None:
    """Print one line with the seconds since the program started."""
    print(f"[{time.monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Print a step's name, then the time that it took."""
    say(f"{text} ...")
    begin = time.monotonic()
    yield
    say(f"{text}: done in {time.monotonic() - begin:.1f} s")


def run(
    argv: Sequence[str | Path], *, log: Path | None = None, cwd: Path | None = None, data: bytes | None = None
) -> str:
    """Run a tool to its end and return its output.

    With ``log``, all its output goes there instead. Raises LabError with the command, its status and the end of its
    output.
    """
    words = [str(word) for word in argv]
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            status = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, cwd=cwd, input=data).returncode
        output = log.read_text(errors="replace")
    else:
        done = subprocess.run(words, capture_output=True, cwd=cwd, input=data)
        status, output = done.returncode, done.stdout.decode(errors="replace")
        if status:
            output += done.stderr.decode(errors="replace")
    if status:
        where = f" (all of it: {log})" if log else ""
        raise LabError(f"{' '.join(words[:8])} ended with status {status}{where}:\n{output[-2000:]}")
    return output
