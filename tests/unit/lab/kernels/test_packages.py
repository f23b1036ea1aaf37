"""Kernels of unchanged inputs are not built, nor looked up, again."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import playbook
from lab.kernels import packages
from lab.kernels.flavour import FLAVOURS


class Role:
    """In place of role kernel_build: flavours by run, tiny packages."""

    def __init__(self) -> None:
        self.runs: list[list[str]] = []

    def run(self, _log: Path, _name: Path, _inventory: None, _option: str, variables: str) -> None:
        given: dict[str, Any] = json.loads(variables)
        self.runs.append([flavour["name"] for flavour in given["lab_flavours"]])
        for name in self.runs[-1]:
            folder = Path(given["lab_kernels"]) / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "image.deb").write_text("x")
            packages = [
                {"name": f"linux-{kind}-6.12-{name}", "file": "image.deb", "size": 1} for kind in ("image", "headers")
            ]
            manifest = {"release": f"6.12-{name}", "packages": packages}
            (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Role:
    found = Role()
    archive = tmp_path / "linux-source-6.12.tar.xz"
    archive.write_text("source")
    base = FLAVOURS["stock"].base
    monkeypatch.setattr(type(base), "archive", archive)
    monkeypatch.setattr(playbook, "run_to", found.run)
    monkeypatch.setattr(packages, "run", lambda _argv: "gcc 12")
    return found


def test_the_same_is_built_once(role: Role, tmp_path: Path) -> None:
    packages._build(("stock", "series"), tmp_path, headers=False)
    packages._build(("stock", "series"), tmp_path, headers=False)
    assert role.runs == [["stock", "series"]]


def test_each_input_counts(role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages._build(("stock", "series"), tmp_path, headers=False)
    packages._build(("stock",), tmp_path, headers=True)
    packages._build(("stock",), tmp_path, headers=False)
    (tmp_path / "linux-source-6.12.tar.xz").write_text("a newer source")
    packages._build(("stock",), tmp_path, headers=False)
    monkeypatch.setattr(packages, "run", lambda _argv: "gcc 13")
    packages._build(("stock",), tmp_path, headers=False)
    changed = replace(FLAVOURS["stock"], configs=("guest-6.12.config",))
    monkeypatch.setitem(FLAVOURS, "stock", changed)
    packages._build(("stock", "series"), tmp_path, headers=False)
    assert role.runs == [["stock", "series"], ["stock"], ["stock"], ["stock"], ["stock"], ["stock", "series"]]


def test_what_is_gone_or_cut_is_built_again(role: Role, tmp_path: Path) -> None:
    packages._build(("stock", "series"), tmp_path, headers=False)
    (tmp_path / "stock" / "image.deb").unlink()
    packages._build(("stock", "series"), tmp_path, headers=False)
    (tmp_path / "series" / "image.deb").write_text("")
    packages._build(("stock", "series"), tmp_path, headers=False)
    assert role.runs == [["stock", "series"], ["stock"], ["series"]]


def test_headers_follow_their_kernel(role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "cache", lambda: tmp_path)
    packages.build(("stock", "series", "guest"), with_headers=("stock", "series"))
    assert role.runs == [["stock"], ["stock"], ["series"], ["series"], ["guest"]]


def test_the_package_of_the_manifest_is_booted_not_an_earlier_one(tmp_path: Path) -> None:
    for build in ("1+old", "2+now", "3+newer"):
        tree = tmp_path / build
        (tree / "boot").mkdir(parents=True)
        (tree / "DEBIAN").mkdir()
        (tree / "boot" / "vmlinuz-6.12-a").write_text(build)
        control = f"Package: linux-image-6.12-a\nVersion: {build}\nArchitecture: all\nMaintainer: a\nDescription: a\n"
        (tree / "DEBIAN" / "control").write_text(control)
        file = tmp_path / f"linux-image-6.12-a_{build}_amd64.deb"
        subprocess.run(["dpkg-deb", "--build", "-Znone", tree, file], check=True, capture_output=True)
    for build in ("2+now", "1+old", "2+now"):
        entry = {"name": "linux-image-6.12-a", "file": f"linux-image-6.12-a_{build}_amd64.deb", "size": 1}
        (tmp_path / "manifest.json").write_text(json.dumps({"release": "6.12-a", "packages": [entry]}))
        assert packages.Kernel("a", tmp_path, "6.12-a").image.read_text() == build
