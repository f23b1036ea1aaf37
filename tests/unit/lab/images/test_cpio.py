"""Archives read by cpio(1), the same for the same input.

cpio(1) is an independent reader.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.images.cpio import Archive


def archive() -> Archive:
    made = Archive()
    made.file("bin/tool", b"#!/bin/sh\n", 0o755)
    made.file("bin/odd", b"x" * 5)
    made.folder("dev")
    made.link("sh", "bin/tool")
    return made


@pytest.mark.skipif(shutil.which("cpio") is None, reason="no cpio(1) on this machine")
def test_cpio_reads_it(tmp_path: Path) -> None:
    subprocess.run(["cpio", "-i", "--quiet"], input=gzip.decompress(archive().gzip()), cwd=tmp_path, check=True)
    assert (tmp_path / "bin/tool").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "bin/odd").read_bytes() == b"xxxxx"
    assert (tmp_path / "dev").is_dir()
    assert (tmp_path / "sh").readlink() == Path("bin/tool")


def test_it_is_reproducible() -> None:
    assert archive().gzip() == archive().gzip()
