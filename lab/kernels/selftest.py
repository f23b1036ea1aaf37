"""The series' own selftest, as a tree of tools/testing/selftests/ has it, for a host to run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..progress import run
from . import series
from .base import DEFAULT

SELFTESTS = Path("tools/testing/selftests")
OURS = SELFTESTS / "pci_iov"
HELPERS = SELFTESTS / "kselftest" / "ktap_helpers.sh"
"""Of the kernel that the series is for."""


@contextmanager
def tree() -> Iterator[Path]:
    """A folder with `pci_iov/` as the series makes it, and what it needs of `kselftest/`."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / HELPERS).parent.mkdir(parents=True)
        shutil.copy(series.tree() / HELPERS, root / HELPERS)
        for patch in sorted(DEFAULT.patches.glob("*.patch")):
            if f"+++ b/{OURS}/" in patch.read_text():
                run(["git", "apply", f"--include={OURS}/*", patch], cwd=root)
        yield root / SELFTESTS
