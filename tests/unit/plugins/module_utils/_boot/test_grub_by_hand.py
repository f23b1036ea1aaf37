# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people add to GRUB's menu, against what GRUB starts.

The lines are a custom.cfg, which Debian's grub.cfg reads last.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import grub_reading
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.grub import Grub
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.unknown import UnknownBootError
from tests.fake.boot.grub import NEW, OLD, GrubRoot, entry, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}"),
]


def starts(name: str, release: str, before: str = "") -> str:
    """An entry."""
    return f"menuentry {name} --id {name} {{\n{before}\nlinux /boot/vmlinuz-{release} root=/dev/vdb\n}}\n"


BOTH = starts("a", NEW) + starts("b", OLD)
UNDERSTOOD = {
    "a default within a submenu": f"set default=sub\nsubmenu sub --id sub {{\nset default=b\n{BOTH}}}\n",
    "a default within a submenu, past the path": (
        f"set default='sub>a'\nsubmenu sub --id sub {{\nset default=1\n{BOTH}}}\n"
    ),
    "a path that a submenu takes away": f"set default='sub>b'\nsubmenu sub --id sub {{\nunset default\n{BOTH}}}\n",
    "a submenu that loads a kernel": f"set default='s>b'\nsubmenu s --id s {{\nlinux /boot/vmlinuz-{NEW}\n{BOTH}}}\n",
    "a kernel loaded before the menu": f"linux /boot/vmlinuz-{NEW}\n",
    "a kernel loaded before an entry": f"linux /boot/vmlinuz-{OLD}\nset default=e\nmenuentry e {{\ntrue\n}}\n",
    "`boot` before another kernel": f"set default=b\n{starts('b', NEW, f'linux /boot/vmlinuz-{OLD}; boot')}",
    "`boot` with nothing loaded": "boot\n",
    "a kernel that is not there, after another": f"set default=b\n{starts('b', 'none', f'linux /boot/vmlinuz-{OLD}')}",
    "a kernel that is not there, or another": (
        f"set default=b\nmenuentry b {{\nif linux /boot/none; then true; else linux /boot/vmlinuz-{OLD}; fi\n}}\n"
    ),
    "`return` outside of a function": f"return\nset default=a\n{BOTH}",
    "the tenth argument": f"set default=t\nmenuentry t 2 3 4 5 6 7 8 9 {OLD} {{\nlinux /boot/vmlinuz-$10\n}}\n",
    "a link of a link": "set default=k\nmenuentry k {\nlinux /boot/more/one\n}\n",
}
REFUSED = {
    "`boot` before the menu": f"linux /boot/vmlinuz-{NEW}\nboot\n",
    "`boot` where a file exists": f"if [ -e /boot/vmlinuz-{NEW} ]; then linux /boot/vmlinuz-{NEW}; boot; fi\n",
    "another menu": "configfile /boot/grub/more.cfg\n",
    "a pattern of POSIX": "regexp --set=1:found '^([[:alpha:]]*)' a-b\nset default=$found\n" + BOTH,
    "alternatives, of which the longest counts": "regexp --set=1:found '^(b|a|aa)' a\nset default=$found\n" + BOTH,
}


def root_of(folder: Path, text: str) -> GrubRoot:
    """A root with OLD as its default, unless ``text`` decides otherwise."""
    root = GrubRoot.make(folder)
    root.settings("GRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_DEFAULT=saved\n")
    root.update()
    root.environment(f"saved_entry={entry(OLD)}")
    (folder / "boot/grub/custom.cfg").write_text(text)
    (folder / "boot/grub/more.cfg").write_text(f"set timeout=0\n{starts('c', NEW)}")
    (folder / "boot/more").mkdir()
    (folder / "boot/more/one").symlink_to("../two")
    (folder / "boot/two").symlink_to(f"vmlinuz-{OLD}")
    return root


@pytest.mark.parametrize("text", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_what_starts_by_lines_of_an_operator(tmp_path: Path, text: str) -> None:
    root = root_of(tmp_path / "root", text)
    default = grub_reading.read(root.host(), "/boot/grub").answer(()).default
    assert (default.release, default.missing) == (root.disk().start(), ())


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_starts_before_or_beside_the_menu_is_not_known(tmp_path: Path, text: str) -> None:
    root = root_of(tmp_path / "root", text)
    assert root.disk().start() == NEW
    with pytest.raises(UnknownBootError, match=r"before there is a menu|shows another menu|pattern"):
        grub_reading.read(root.host(), "/boot/grub").answer(())


LINE = r"""dyndbg=\"file drivers/x.c +p\" a=b\\'c d=\\\"e f=\\\\g 'h  i' k=\"q'r\" z"""


def test_quotes_of_a_command_line_are_tried_as_they_are(tmp_path: Path) -> None:
    """The kernel gets what is said of both."""
    root = root_of(tmp_path / "root", "")
    root.settings(f'GRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX="{LINE}"\n')
    root.update()
    grub = Grub(root.host(), root.run, "/boot/grub", ())
    grub.set_once(grub.answer().choice(NEW), ("x=y z",))
    answer, disk = grub.answer(), root.disk()
    for start, more in ((answer.next, ' "x=y z"'), (answer.default, "")):
        release, line = disk.boots()
        assert line == f"BOOT_IMAGE=/boot/vmlinuz-{release} {start.command_line}"
        assert line.endswith(r""" ro "dyndbg=file drivers/x.c +p" a=b\'c d=\"e f=\\g "h  i" k=q\'r z""" + more)
    assert answer.next.release == NEW
