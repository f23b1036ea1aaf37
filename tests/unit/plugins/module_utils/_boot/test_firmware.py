# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the firmware starts, by BootOrder and BootNext."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import efi_options, loaders
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.efi import GLOBAL
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.firmware import TRIAL
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.unknown import UnknownBootError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError
from tests.fake.boot.efi import PART, EfiHost, load_option

OLD, NEW = "6.1.0-18-amd64", "6.12.9-kvmfleet1"
SHIM = r"\EFI\debian\shimx64.efi"
GONE = "99999999-1111-2222-3333-bbbbbbbbbbbb"
CONFIGURATION = f"""set timeout=0
menuentry x --id linux-{OLD} {{
	linux /boot/vmlinuz-{OLD}
}}
"""


@pytest.fixture
def host(tmp_path: Path) -> EfiHost:
    """A host with shim and GRUB, whose ESP is mounted."""
    made = EfiHost.make(tmp_path, SHIM)
    made.write("boot/grub/grub.cfg", CONFIGURATION)
    made.write(f"boot/vmlinuz-{OLD}", "x")
    made.write("boot/efi/EFI/debian/shimx64.efi", "shim")
    return made


def option(host: EfiHost, number: int, file: str, partition: str = PART, active: bool = True) -> None:
    host.variable(f"Boot{number:04X}", load_option("other", file, partition, active), GLOBAL)


def test_an_option_of_the_firmware() -> None:
    found = efi_options.parse(3, load_option("debian", SHIM, PART))
    assert found == (3, "debian", True, "/EFI/debian/shimx64.efi", PART)
    assert str(found) == "Boot0003 ('debian', /EFI/debian/shimx64.efi)"
    again = efi_options.of_another_file(load_option("debian", SHIM, PART), "x", "/EFI/a/b.efi")
    assert efi_options.parse(9, again) == (9, "x", True, "/EFI/a/b.efi", PART)


@pytest.mark.parametrize(
    ("file", "partition", "active"),
    [
        (r"\EFI\other\grubx64.efi", GONE, True),  # of a disk that is gone
        (r"\EFI\other\grubx64.efi", PART, True),  # a file that is gone
        (r"\EFI\Microsoft\bootmgfw.efi", "", False),
        (r"\efi\DEBIAN\shimx64.EFI", PART, True),  # the same
    ],
)
def test_options_that_start_nothing_else(host: EfiHost, file: str, partition: str, active: bool) -> None:
    option(host, 1, file, partition, active)
    host.order(1, 7, 3)
    assert loaders.find(host.sysfs, host.run).answer().default.release == OLD


def test_what_the_firmware_tries_first_is_named(host: EfiHost) -> None:
    option(host, 1, "")
    host.order(1, 3)
    assert (
        "the firmware tries Boot0001 ('other', no file) first" in loaders.find(host.sysfs, host.run).answer().evidence
    )


@pytest.mark.parametrize("loader", ["grub", "systemd-boot"])
def test_a_boot_that_came_about_otherwise_says_nothing(host: EfiHost, loader: str) -> None:
    """Chosen in the firmware's menu: the default is another system's."""
    if loader == "systemd-boot":
        host.variable("LoaderInfo", "systemd-boot 252")
        host.variable("LoaderDevicePartUUID", PART)
        host.kernel(OLD)
    option(host, 1, r"\EFI\other\grubx64.efi")
    host.write("boot/efi/EFI/Other/grubx64.efi", "grub")
    host.order(1, 3)
    with pytest.raises(UnknownBootError, match=r"starts Boot0001 .* by default, and this boot came from Boot0003"):
        loaders.find(host.sysfs, host.run).answer()
    host.order(3, 1)
    assert loaders.find(host.sysfs, host.run).answer().default.release == OLD
    host.order(3, TRIAL)
    with pytest.raises(UnknownBootError, match="BootOrder has Boot4B56"):
        loaders.find(host.sysfs, host.run)


@pytest.mark.parametrize("loader", ["grub", "systemd-boot"])
def test_what_waits_in_the_firmware_starts_next(host: EfiHost, loader: str) -> None:
    if loader == "systemd-boot":
        host.variable("LoaderInfo", "systemd-boot 252")
        host.variable("LoaderDevicePartUUID", PART)
        host.kernel(OLD)
    option(host, 5, r"\EFI\fwupd\fwupdx64.efi")
    host.order(5, name="BootNext")
    found = loaders.find(host.sysfs, host.run)
    answer = found.answer()
    assert (answer.next.entry, answer.next.kernel, answer.default.release) == ("Boot0005", None, OLD)
    for start in (answer.default, None):
        with pytest.raises(RefusedError, match=r"starts Boot0005 .* next, as BootNext says"):
            found.set_once(start)
    assert loaders.find(host.sysfs, host.run).answer() == answer
