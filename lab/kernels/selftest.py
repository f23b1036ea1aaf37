"""The series' own selftest, for a host to run.

Laid out as a tree of tools/testing/selftests/.
"""

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
"""A helper of the selftest, from the series' kernel."""


@contextmanager
def tree() -> Iterator[Path]:
    """A folder with the series' `pci_iov/`, and its helper in `kselftest/`."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / HELPERS).parent.mkdir(parents=True)
        shutil.copy(series.tree() / HELPERS, root / HELPERS)
        for patch in sorted(DEFAULT.patches.glob("*.patch")):
            if f"+++ b/{OURS}/" in patch.read_text():
                run(["git", "apply", f"--include={OURS}/*", patch], cwd=root)
        yield root / SELFTESTS
