"""The module, compiled once for each kernel and each source."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import paths
from lab.kernels import many_vfs, packages


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commands that were run; packages and compiler are stand-ins."""
    seen: list[str] = []

    def run(argv: list[object], **_more: object) -> str:
        words = [str(word) for word in argv]
        seen.append(words[0])
        if words[0] == "dpkg-deb":
            (Path(words[3]) / "usr/src/linux-headers-6.12-x").mkdir(parents=True)
        else:
            assert words[2].endswith("/headers/usr/src/linux-headers-6.12-x")
            (Path(words[3].removeprefix("M=")) / "many_vfs.ko").write_text("module")
        return ""

    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "many_vfs.c").write_text("first")
    monkeypatch.setattr(many_vfs, "SOURCES", sources)
    monkeypatch.setattr(many_vfs, "run", run)
    monkeypatch.setattr(many_vfs, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(packages, "headers", lambda flavour: tmp_path / f"linux-headers-6.12-x_1+{flavour}_amd64.deb")
    return seen


def test_it_is_kept_by_content(built: list[str]) -> None:
    first = many_vfs.build("series")
    assert first.read_text() == "module"
    assert many_vfs.build("series") == first
    assert built == ["dpkg-deb", "make"]


def test_another_kernel_or_source_makes_another(built: list[str]) -> None:
    first = many_vfs.build("series")
    assert many_vfs.build("stock") != first
    (many_vfs.SOURCES / "many_vfs.c").write_text("second")
    assert many_vfs.build("series") != first
    assert built == ["dpkg-deb", "make"] * 3


def test_the_source_is_there() -> None:
    assert {path.name for path in (paths.REPOSITORY / "kernel" / "many_vfs").iterdir()} >= {"Kbuild", "many_vfs.c"}
