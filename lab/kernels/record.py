"""The file kernel/EVIDENCE.json: results below the names of bases, flavours and cases."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..paths import REPOSITORY, key

FILE = REPOSITORY / "kernel" / "EVIDENCE.json"


def load() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text())) if FILE.exists() else {}


@contextmanager
def changed() -> Iterator[dict[str, Any]]:
    """Change the record in place; written if it is another then.

    Others that record at the same time wait.
    """
    folder = os.open(FILE.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        known = load()
        before = text(known)
        yield known
        if (after := text(known)) != before:
            FILE.with_suffix(".new").write_text(after)
            FILE.with_suffix(".new").replace(FILE)
    finally:
        os.close(folder)


def text(known: dict[str, Any], depth: int = 0) -> str:
    """The record as JSON, one line for each case, patch and kernel."""
    inner = "  " * (depth + 1)
    if not any(isinstance(value, dict) for value in known.values()) and depth > 3:
        return json.dumps(known, sort_keys=True)
    lines = [
        f"{inner}{json.dumps(name)}: {text(value, depth + 1) if isinstance(value, dict) else json.dumps(value)}"
        for name, value in sorted(known.items())
    ]
    return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}" + ("" if depth else "\n")


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def contents(files: Iterable[Path]) -> str:
    """Checksum of contents in this order, without the names of files."""
    return key(path.read_bytes() for path in files)
