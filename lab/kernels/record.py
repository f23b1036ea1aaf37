"""The file kernel/EVIDENCE.json: results below the names of bases, flavours and cases."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tools import evidence
from tools.evidence import today

from ..paths import REPOSITORY, key

__all__ = ["changed", "contents", "load", "today"]

FILE = REPOSITORY / "kernel" / "EVIDENCE.json"
DEPTH = 4
"""Names above an entry: base, flavour, cases or kernels, and its own."""


def load() -> dict[str, Any]:
    return evidence.load(FILE)


def changed() -> AbstractContextManager[dict[str, Any]]:
    """Change the record in place; others that record meanwhile wait."""
    return evidence.changed(FILE, DEPTH)


def contents(files: Iterable[Path]) -> str:
    """Checksum of contents in this order, without the names of files."""
    return key(path.read_bytes() for path in files)
