# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel sources and configurations on a build host."""

from __future__ import annotations

import gzip
import lzma
import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.source import (
    config_path,
    epoch_of,
    identify,
    read_config,
    tree_version,
    unpack,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError

MAKEFILE = "# comment\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\nNAME = x\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "linux-source-6.12"
    (path / "drivers").mkdir(parents=True)
    (path / "Makefile").write_text(MAKEFILE)
    (path / "Kconfig").write_text("mainmenu\n")
    (path / "drivers/a.c").write_text("int a;\n")
    return path


@pytest.fixture
def archive(tree: Path, tmp_path: Path) -> Path:
    path = tmp_path / "linux-source-6.12.tar.xz"
    subprocess.run(["tar", "-cJf", str(path), "-C", str(tmp_path), tree.name], check=True)
    return path


def test_archive(archive: Path, tmp_path: Path) -> None:
    source = identify(archive)
    theirs = subprocess.run(["sha256sum", str(archive)], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert (source.name, source.sha256) == ("linux-source-6.12", theirs.split()[0])
    made = unpack(source, tmp_path / "base")
    assert made == tmp_path / "base/linux-source-6.12"
    assert (made / "drivers/a.c").read_text() == "int a;\n"
    assert tree_version(made) == "6.12.117"


def test_a_name_with_a_colon_is_no_other_host(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tar takes what is before it for a host, and connects."""
    archive.rename(tmp_path / "host:linux-source-6.12.tar.xz")
    monkeypatch.chdir(tmp_path)
    made = unpack(identify(Path("host:linux-source-6.12.tar.xz")), tmp_path / "base")
    assert (made / "drivers/a.c").exists()


def test_unpack_once(archive: Path, tmp_path: Path) -> None:
    made = unpack(identify(archive), tmp_path / "base")
    (made / "drivers/a.c").write_text("kept\n")
    assert (unpack(identify(archive), tmp_path / "base") / "drivers/a.c").read_text() == "kept\n"


def test_an_interrupted_unpack_is_done_again(archive: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    made = unpack(identify(archive), base)
    (base / "source.json").unlink()
    (made / "drivers/a.c").unlink()
    (base / "unpack.partial/half").mkdir(parents=True)
    assert (unpack(identify(archive), base) / "drivers/a.c").exists()
    assert not (base / "unpack.partial").exists()


def test_tree_is_copied_and_known_by_content(tree: Path, tmp_path: Path) -> None:
    (tree / ".git").mkdir()
    first = identify(tree)
    made = unpack(first, tmp_path / "base")
    assert (made / "drivers/a.c").exists()
    assert not (made / ".git").exists()
    (tree / ".git/index").write_text("changes with every status")
    assert identify(tree) == first
    (tree / "drivers/a.c").write_text("int b;\n")
    assert identify(tree).sha256 != first.sha256


@pytest.mark.parametrize(
    ("fields", "version"), [("SUBLEVEL = 0\nEXTRAVERSION = -rc3\n", "7.3.0-rc3"), ("SUBLEVEL = 9\n", "7.3.9")]
)
def test_tree_version(tree: Path, fields: str, version: str) -> None:
    (tree / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 3\n" + fields)
    assert tree_version(tree) == version


def test_the_time_of_a_source(tree: Path, archive: Path, tmp_path: Path) -> None:
    """It is the archive's, a commit's, or the Makefile's.

    Whatever a patch does to that.
    """
    os.utime(tree / "Makefile", (77, 77))
    assert identify(tree).epoch == 77
    subprocess.run(["tar", "-cJf", str(archive), "-C", str(tmp_path), tree.name], check=True)
    source = identify(archive)
    made = unpack(source, tmp_path / "base")
    os.utime(made / "Makefile", (99, 99))
    assert (source.epoch, epoch_of(source, tmp_path / "base", made)) == (None, 77)
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    day = {**os.environ, "GIT_COMMITTER_DATE": "@1000000000 +0000"}
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "x"], check=True, env=day)
    assert identify(tree).epoch == 1000000000


def test_a_source_with_another_compression_is_named(tmp_path: Path) -> None:
    """Ubuntu's package has one."""
    (tmp_path / "linux-source-6.8.0.tar.bz2").write_text("")
    with pytest.raises(BadInputError, match=r"does not exist: .*\(there is .*/linux-source-6.8.0.tar.bz2\)"):
        identify(tmp_path / "linux-source-6.8.0.tar.xz")


def test_what_is_not_a_source(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"/none.tar.xz does not exist"):
        identify(tmp_path / "none.tar.xz")
    with pytest.raises(BadInputError, match="not a kernel source tree: it has no Kconfig"):
        identify(tmp_path)
    (tmp_path / "a.tar").write_text("no archive")
    with pytest.raises(SriovError, match=r"cannot unpack .*a.tar: tar: "):
        unpack(identify(tmp_path / "a.tar"), tmp_path / "base")
    subprocess.run(["tar", "-cf", str(tmp_path / "b.tar"), "-C", str(tmp_path), "a.tar"], check=True)
    with pytest.raises(BadInputError, match="not a kernel source archive"):
        unpack(identify(tmp_path / "b.tar"), tmp_path / "base")


def test_config_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uname = os.uname_result(("Linux", "host", "6.12.5", "#1", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: uname)
    places = {
        "running": ["proc/config.gz", "boot/config-6.12.5"],  # the second wins
        "distribution": ["usr/src/linux-config-6.12/config.amd64_none_amd64.xz"],
    }
    for wanted, files in places.items():
        with pytest.raises(BadInputError, match=f"configuration '{wanted}' is not there: looked for {tmp_path}/"):
            config_path(wanted, "linux-source-6.12", tmp_path)
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True)
            (tmp_path / file).write_text("")
            assert config_path(wanted, "linux-source-6.12", tmp_path) == tmp_path / file
    with pytest.raises(BadInputError, match="configuration '/none' is not there"):
        config_path("/none", "linux-source-6.12")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_read_config(tmp_path: Path, pack: type[bytes]) -> None:
    (tmp_path / "config").write_bytes(pack(b"CONFIG_PCI_IOV=y\n"))
    assert read_config(tmp_path / "config") == "CONFIG_PCI_IOV=y\n"


# files as somebody leaves them, and what the error says
NO_CONFIGURATIONS = [
    (gzip.compress(b"CONFIG_PCI=y\n" * 99, mtime=0)[:-9], "Compressed file ended"),
    (lzma.compress(b"CONFIG_PCI=y\n" * 99)[:-9], "Compressed file ended"),
    (b"\x1f\x8b\x08\x00rubbish", "rror|ended|nvalid"),
    (b"\xfd7zXZ\0rubbish", "rror|ended|nvalid|orrupt"),
    (b"CONFIG_X=\xff\n", "can't decode"),
    (b"\0\0\0\0", "too long, or no text"),
    (gzip.compress(b"#" * (17 << 20), mtime=0), "too long, or no text"),
]


@pytest.mark.parametrize(("content", "message"), NO_CONFIGURATIONS)
def test_what_is_no_configuration(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "config").write_bytes(content)
    with pytest.raises(BadInputError, match=f"kernel configuration {tmp_path}/config cannot be read: .*({message})"):
        read_config(tmp_path / "config")


def test_a_configuration_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read: Is a directory; give a whole one"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "text", ["-1", "[]", "{", "[" * 2000, '{"tree": 1}', '{"tree": "../..", "sha256": "{sha256}"}']
)
def test_a_damaged_record_of_what_was_unpacked(archive: Path, tmp_path: Path, text: str) -> None:
    """It is unpacked again.

    Nothing elsewhere is taken for the tree, or deleted.
    """
    source, base = identify(archive), tmp_path / "a/b/base"
    unpack(source, base)
    (base / "source.json").write_text(text.replace("{sha256}", source.sha256))
    assert unpack(source, base) == base / "linux-source-6.12"
    assert (epoch_of(source, base, base / "linux-source-6.12"), archive.exists()) == (
        int((base / "linux-source-6.12/Makefile").stat().st_mtime),
        True,
    )


@pytest.mark.parametrize("makefile", [b"VERSION = $(X)\n", b"VERSION = ../..\nPATCHLEVEL = 1\n", b"VERSION = \xff\n"])
def test_a_makefile_without_a_version(tree: Path, makefile: bytes) -> None:
    (tree / "Makefile").write_bytes(makefile)
    with pytest.raises(BadInputError, match="Makefile has no kernel's version"):
        tree_version(tree)
