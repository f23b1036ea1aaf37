# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel packages, kept by content.

They are built by real make, on a source tree small enough to build in no time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build import result as result_
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.build import perform
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.inputs import Request, read_inputs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.result import cached
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import kernel_manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError

MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 117
EXTRAVERSION =
RELEASE = 6.12.117$(LOCALVERSION)
olddefconfig:
\tmkdir -p $(O)/include/config
\tenv | sort >$(O)/../../environment
\tsed -i /DROPPED/d $(O)/.config
\techo $(RELEASE) >$(O)/include/config/kernel.release
\tgrep -q . $(O)/.config
bindeb-pkg:
\techo built >>$(O)/../../builds
\t! grep -q broken a.c || { echo "a.c:1:1: error: expected declaration"; exit 1; }
\trm -rf $(O)/pkg && mkdir -p $(O)/pkg/DEBIAN $(O)/pkg/boot
\tcat a.c $(O)/.config >$(O)/pkg/boot/vmlinuz-$(RELEASE)
\tprintf 'Package: linux-image-$(RELEASE)\\nVersion: $(KDEB_PKGVERSION)\\n' >$(O)/pkg/DEBIAN/control
\tprintf 'Architecture: amd64\\nMaintainer: t\\nDescription: t\\n' >>$(O)/pkg/DEBIAN/control
\tdpkg-deb --build $(O)/pkg $(O)/../linux-image-$(RELEASE)_$(KDEB_PKGVERSION)_amd64.deb
\techo >$(O)/../linux-libc-dev_$(KDEB_PKGVERSION)_amd64.deb
\techo >$(O)/../linux-upstream_$(KDEB_PKGVERSION)_amd64.changes
"""
PATCH = """\
diff --git a/a.c b/a.c
--- a/a.c
+++ b/a.c
@@ -1 +1 @@
-int stock;
+int {word};
"""


def add_series(folder: Path, word: str) -> Path:
    folder.mkdir()
    (folder / "series").write_text("0001-a.patch\n")
    (folder / "0001-a.patch").write_text(PATCH.format(word=word))
    return folder


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    tree = tmp_path / "linux-source-6.12"
    tree.mkdir()
    for name, text in {"Makefile": MAKEFILE, "Kconfig": "x\n", "a.c": "int stock;\n"}.items():
        (tree / name).write_text(text)
    archive = tmp_path / "linux-source-6.12.tar.gz"
    subprocess.run(["tar", "-czf", str(archive), "-C", str(tmp_path), tree.name], check=True)
    (tmp_path / "config").write_text("CONFIG_PCI_IOV=y\n")
    cache = tmp_path / "cache"
    return Request(archive, None, (str(tmp_path / "config"),), "-test", cache, 1)


def builds(request: Request) -> int:
    log = request.cache / "builds"
    return len(log.read_text().splitlines()) if log.exists() else 0


def image(result: dict[str, Any]) -> str:
    """The kernel image's contents, unpacked and checked by other tools.

    They are not those of the code.
    """
    scratch = Path(result["folder"], "unpacked")
    package = Path(result["folder"], result["manifest"]["packages"][0]["file"])
    subprocess.run(["dpkg-deb", "-x", str(package), str(scratch)], check=True)
    file = scratch / str(result["manifest"]["image"]["file"]).lstrip("/")
    sums = f"{result['manifest']['image']['sha256']}  {file}\n"
    subprocess.run(["sha256sum", "--check", "--quiet"], input=sums, text=True, check=True)
    return file.read_text()


def test_build_and_manifest(request_: Request, tmp_path: Path) -> None:
    result = perform(replace(request_, series=add_series(tmp_path / "t", "patched")), check=False)
    manifest = result["manifest"]
    assert (result["changed"], result["built"]) == (True, True)
    assert image(result) == "int patched;\nCONFIG_PCI_IOV=y\n"
    assert (manifest["release"], manifest["series"]) == ("6.12.117-test", "t")
    assert manifest["source"]["version"] == "6.12.117"
    assert [patch["name"] for patch in manifest["patches"]] == ["0001-a.patch"]
    assert [package["name"] for package in manifest["packages"]] == ["linux-image-6.12.117-test"]
    assert manifest["packages"][0]["version"] == f"6.12.117-1+{manifest['key'][:12]}"
    assert json.loads(Path(result["folder"], "manifest.json").read_text()) == manifest
    sums = "".join(f"{p['sha256']}  {p['file']}\n" for p in manifest["packages"])
    subprocess.run(["sha256sum", "--check"], input=sums, text=True, check=True, cwd=result["folder"])


def test_a_dropped_option_is_an_error_before_anything_is_compiled(request_: Request, tmp_path: Path) -> None:
    other = tmp_path / "fragment"
    other.write_text("CONFIG_DROPPED=y\n")
    message = r"CONFIG_DROPPED=y \(of fragment\) became '# CONFIG_DROPPED is not set': this source has no such option"
    with pytest.raises(BadInputError, match=message):
        perform(replace(request_, configs=(*request_.configs, str(other))), check=False)
    assert builds(request_) == 0
    assert not list(request_.cache.glob("results/*"))


def test_a_whole_configuration_is_known_by_its_head(request_: Request, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_text("#\n# Automatically generated file; DO NOT EDIT.\n#\nCONFIG_PCI_IOV=y\nCONFIG_DROPPED=y\n")
    result = perform(replace(request_, configs=(str(whole),)), check=False)
    assert result["notes"] == ["this source does not have 1 options of a whole configuration: DROPPED"]
    assert perform(replace(request_, configs=(str(whole),)), check=True)["notes"] == result["notes"]


def test_the_manifest_says_for_whom_and_by_what_it_was_built(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCFLAGS", "-g")
    manifest = perform(request_, check=False)["manifest"]
    assert (manifest["schema"], manifest["architecture"], manifest["handover"]) == (2, "amd64", [])
    assert manifest["build"] is None  # the image here is text, which says nothing of itself
    assert manifest["tools"]["make"].startswith("GNU Make")
    assert manifest["variables"] == {"KCFLAGS": "-g"}
    fields = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    assert manifest["suite"] == fields["VERSION_CODENAME"].strip('"')
    assert kernel_manifest.read(json.dumps(manifest), "m.json") == manifest


@pytest.mark.parametrize(("text", "fine"), [("#1+{key} SMP", True), ("#1 SMP", False), ("#1+{key}0 SMP", False)])
def test_the_key_is_in_the_version_of_the_kernel(
    request_: Request, monkeypatch: pytest.MonkeyPatch, text: str, fine: bool
) -> None:
    """An image whose `uname -v` has another build is no result."""
    key = read_inputs(request_).key[:12]
    monkeypatch.setattr(result_, "image_build", lambda _head: text.format(key=key))
    if fine:
        assert perform(request_, check=False)["manifest"]["build"] == f"#1+{key} SMP"
    else:
        with pytest.raises(SriovError, match=r"which does not begin with its key"):
            perform(request_, check=False)


def test_variables_that_are_in_no_key_do_not_reach_make(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    key = read_inputs(request_).key
    monkeypatch.setenv("CFLAGS", "-O0")
    monkeypatch.setenv("KCONFIG_ALLCONFIG", "/none")
    assert read_inputs(request_).key == key
    perform(request_, check=False)
    names = {line.split("=")[0] for line in (request_.cache / "environment").read_text().splitlines()}
    assert "KBUILD_BUILD_HOST" in names
    assert not {"CFLAGS", "KCONFIG_ALLCONFIG"} & names


def test_a_source_that_is_unpacked_again_has_no_old_objects(request_: Request) -> None:
    """make would keep objects that are newer than its files."""
    base = Path(perform(request_, check=False)["log"]).parent
    (base / "obj/old.o").write_text("of a patched a.c")
    shutil.rmtree(base / "linux-source-6.12")
    shutil.rmtree(request_.cache / "results")
    perform(request_, check=False)
    assert not (base / "obj/old.o").exists()


def test_a_hit_builds_nothing(request_: Request) -> None:
    first = perform(request_, check=False)
    second = perform(request_, check=False)
    assert (second["changed"], second["built"], second["manifest"]) == (False, False, first["manifest"])
    assert builds(request_) == 1


def test_whatever_decides_the_contents_is_in_the_key(request_: Request, tmp_path: Path) -> None:
    other = tmp_path / "fragment"
    other.write_text("CONFIG_DEBUG=y\n")
    variants = [
        request_,
        replace(request_, localversion="-other"),
        replace(request_, configs=(*request_.configs, str(other))),
        replace(request_, series=add_series(tmp_path / "t", "one")),
        replace(request_, series=add_series(tmp_path / "u", "two")),
    ]
    results = [perform(variant, check=False) for variant in variants]
    assert len({result["manifest"]["key"] for result in results}) == len(variants)
    assert [image(result) for result in results] == [
        "int stock;\nCONFIG_PCI_IOV=y\n",
        "int stock;\nCONFIG_PCI_IOV=y\n",
        "int stock;\nCONFIG_PCI_IOV=y\n\nCONFIG_DEBUG=y\n",
        "int one;\nCONFIG_PCI_IOV=y\n",
        "int two;\nCONFIG_PCI_IOV=y\n",
    ]
    assert not any(perform(variant, check=False)["changed"] for variant in variants)
    assert builds(request_) == len(variants)


def test_check_mode_reports_and_writes_nothing(request_: Request) -> None:
    forecast = perform(request_, check=True)
    assert (forecast["changed"], forecast["built"], forecast["manifest"]) == (True, True, {})
    assert not request_.cache.exists()
    built = perform(request_, check=False)
    forecast = perform(request_, check=True)
    assert (forecast["changed"], forecast["built"], forecast["manifest"]) == (False, False, built["manifest"])


def test_output(request_: Request, tmp_path: Path) -> None:
    request = replace(request_, output=tmp_path / "out")
    perform(request_, check=False)
    assert perform(request, check=True)["changed"]
    assert perform(request, check=False)["changed"]
    assert cached(tmp_path / "out")
    assert not perform(request, check=False)["changed"]
    assert not perform(request, check=True)["changed"]
    next((tmp_path / "out").glob("*.deb")).write_text("damaged")
    assert perform(request, check=True)["changed"]
    assert perform(request, check=False)["changed"]
    assert cached(tmp_path / "out")


def test_a_damaged_result_is_built_again(request_: Request) -> None:
    result = perform(request_, check=False)
    next(Path(result["folder"]).glob("*.deb")).write_text("damaged")
    assert perform(request_, check=False)["built"]
    assert image(result) == "int stock;\nCONFIG_PCI_IOV=y\n"


def test_a_failed_build_says_why_and_leaves_no_result(request_: Request, tmp_path: Path) -> None:
    broken = replace(request_, series=add_series(tmp_path / "t", "broken"))
    with pytest.raises(SriovError, match=r"(?s)bindeb-pkg' failed with status 2 .*error: expected declaration"):
        perform(broken, check=False)
    assert not list(request_.cache.glob("results/*"))
    assert image(perform(request_, check=False)) == "int stock;\nCONFIG_PCI_IOV=y\n"


def test_a_source_that_moved_past_the_series(request_: Request, tmp_path: Path) -> None:
    series = add_series(tmp_path / "t", "patched")
    (series / "0001-a.patch").write_text(PATCH.format(word="x").replace("int stock", "int older"))
    message = r"series t does not apply to linux-source-6.12 6.12.117: patch 0001-a.patch fails in a.c\."
    with pytest.raises(BadInputError, match=message):
        perform(replace(request_, series=series), check=False)


def test_two_at_a_time_build_once(request_: Request) -> None:
    results: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: results.append(perform(request_, check=False))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result["built"] for result in results) == [False, True]
    assert builds(request_) == 1


def test_a_cache_that_was_deleted_in_part(request_: Request) -> None:
    base = Path(perform(request_, check=False)["log"]).parent
    shutil.rmtree(base / "linux-source-6.12")
    shutil.rmtree(request_.cache / "results")
    assert perform(request_, check=False)["built"]


def test_localversion_must_fit_a_package_name(request_: Request) -> None:
    with pytest.raises(BadInputError, match="localversion '_A' cannot be part of a package name"):
        perform(replace(request_, localversion="_A"), check=False)
    assert not request_.cache.exists()
