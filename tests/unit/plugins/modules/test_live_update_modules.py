# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the live update on a fake node.

Check mode, a change, again, again in check mode; and refusals.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import reservation, resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp
from ansible_collections.kvmfleet.sriov.plugins.modules import kexec_image, live_update, live_update_info
from tests.fake.tools.payload import packed
from tests.fake.vm.node import NEW, FakeNode, Rebooted

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNode]:
    folder = Path(tempfile.mkdtemp(prefix="kf"))
    found = FakeNode(folder)
    monkeypatch.setattr(qmp, "_peer_pid", found.pid_of)
    pf = found.igb()
    found.vm("web1", pf, 6, vlan=100)
    yield found
    for qemu in found.qemus:
        qemu.end()
    shutil.rmtree(folder)


@pytest.fixture
def call(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(main: Callable[[Any], None], entry: object = None, **args: object) -> dict[str, Any]:
        with patch_module_args(args), pytest.raises(SystemExit):
            main(entry or node.live)
        return dict(json.loads(capsys.readouterr().out))

    return run


ARM = {"state": "armed", "kernel": NEW, "host": "h1", "budget_s": 30.0}


def test_arming_four_times(node: FakeNode, call: Call) -> None:
    check = call(live_update.main, **ARM, _ansible_check_mode=True)
    assert (node.live.folder.read_status(), node.live.kexec.loaded()) == (None, False)
    do = call(live_update.main, **ARM)
    again = call(live_update.main, **ARM)
    again_check = call(live_update.main, **ARM, _ansible_check_mode=True)
    assert [check["changed"], do["changed"], again["changed"], again_check["changed"]] == [True, True, False, False]
    assert check["diff"] == do["diff"]
    assert do["diff"]["after"]["vms"] == {"web1": ["0000:04:11.4"]}
    assert do["phase"] == "armed"
    assert do["manifest_id"] == again["manifest_id"]
    assert node.live.kexec.loaded()


def test_documented_examples(node: FakeNode, call: Call) -> None:
    """The examples, with the node's own kernel release and host name."""
    arm, start, forget = (task["kvmfleet.sriov.live_update"] for task in yaml.safe_load(live_update.EXAMPLES))
    ask = yaml.safe_load(live_update_info.EXAMPLES)[0]["kvmfleet.sriov.live_update_info"]
    assert call(live_update_info.main, **{**ask, "kernel": NEW})["preflight"]["refusals"] == []
    assert call(live_update.main, **{**arm, "kernel": NEW, "host": "h1"})["changed"]
    assert call(live_update.main, **start)["changed"]
    with pytest.raises(Rebooted):
        save.run(node.live)
    resume.resume(node.live)
    assert call(live_update.main, **forget)["changed"]


def test_documented_examples_of_kexec(node: FakeNode, call: Call) -> None:
    load, unload = (task["kvmfleet.sriov.kexec_image"] for task in yaml.safe_load(kexec_image.EXAMPLES))
    files = {key: path.replace("6.12.0-kvmfleet", NEW) for key, path in load.items()}
    assert call(kexec_image.main, node.live.kexec, **files)["changed"]
    assert node.live.kexec.loaded()
    assert call(kexec_image.main, node.live.kexec, **unload)["changed"]
    assert not node.live.kexec.loaded()


MOVE = {
    **ARM, "state": "moved", "vms": [{"name": "web1", "strategy": "migrate", "to": "hv9"}],
    "options": {"move_away": ["/usr/local/bin/evacuate"]},
}  # fmt: skip


def test_moving_four_times(node: FakeNode, call: Call) -> None:
    node.on_move = lambda words: node.qemus[0].end()
    check = call(live_update.main, **MOVE, _ansible_check_mode=True)
    assert node.live_vm("web1") is not None
    do = call(live_update.main, **MOVE)
    again = call(live_update.main, **MOVE)
    again_check = call(live_update.main, **MOVE, _ansible_check_mode=True)
    assert [check["changed"], do["changed"], again["changed"], again_check["changed"]] == [True, True, False, False]
    assert [check["moved"], do["moved"], again["moved"]] == [["web1"], ["web1"], []]
    assert check["preflight"]["moves"] == [{"name": "web1", "words": ["/usr/local/bin/evacuate", "web1", "hv9"]}]
    assert {"name": "web1", "strategy": "migrate"}.items() <= check["preflight"]["vms"][0].items()
    assert call(live_update.main, **{**MOVE, "state": "armed"})["changed"]


def test_a_host_whose_vm_is_to_leave_is_not_armed(node: FakeNode, call: Call) -> None:
    found = call(live_update.main, **{**MOVE, "state": "started"})
    assert found["failed"]
    assert "VM web1 is to be moved to another host, and runs here still: use state: moved before" in found["msg"]
    assert node.live.folder.read_status() is None
    assert call(live_update.main, **{**MOVE, "state": "armed"}, _ansible_check_mode=True)["changed"]


def test_another_request_arms_anew(call: Call) -> None:
    first = call(live_update.main, **ARM)
    second = call(live_update.main, **{**ARM, "budget_s": 25.0})
    assert second["changed"]
    assert first["manifest_id"] != second["manifest_id"]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"kernel": "7.0.0"}, "/boot/vmlinuz-7.0.0 does not exist: install kernel 7.0.0 first"),
        ({"budget_s": 3.0}, "the budget is 3 s"),
        ({"options": {"boots_s": 3}}, "options.boots_s: unknown key, did you mean boot_s?"),
        ({"vms": [{"name": "web2"}]}, "no VM named 'web2' runs here; running: web1"),
        ({"initrd": "/boot/nothing"}, "/boot/nothing does not exist"),
    ],
)
def test_what_cannot_be_armed_changes_nothing(node: FakeNode, call: Call, change: dict[str, Any], part: str) -> None:
    answer = call(live_update.main, **{**ARM, **change})
    assert answer["failed"]
    assert part in answer["msg"]
    assert node.live.folder.read_status() is None
    assert not node.live.kexec.loaded()


def files(root: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and contents of all that is on a host, sockets without."""
    found = ((path, path.lstat()) for path in sorted(root.rglob("*")) if not path.is_socket())
    return {
        str(path): (one.st_mode, path.read_bytes() if path.is_file() and not path.is_symlink() else b"")
        for path, one in found
    }


def test_check_mode_writes_nothing_at_all(node: FakeNode, call: Call) -> None:
    """Neither the lock's file nor its folder."""

    def check(**args: object) -> None:
        before = files(node.host.root)
        call(live_update.main, **args, _ansible_check_mode=True)
        assert files(node.host.root) == before

    shutil.rmtree(node.host.root / "run/kvmfleet-sriov", ignore_errors=True)
    for state in (ARM, {**ARM, "state": "started"}, {"state": "cancelled"}, {"state": "acknowledged"}):
        check(**state)
    call(live_update.main, **ARM)
    for state in (ARM, {"state": "started"}, {"state": "cancelled"}):
        check(**state)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert resume.resume(node.live) == "done"
    check(state="acknowledged")


def test_starting(node: FakeNode, call: Call) -> None:
    assert "nothing is armed" in call(live_update.main, state="started")["msg"]
    call(live_update.main, **ARM)
    assert call(live_update.main, state="started", _ansible_check_mode=True)["changed"]
    assert not [argv for argv in node.calls if "live-update" in argv]
    assert call(live_update.main, state="started")["changed"]
    argv = next(argv for argv in node.calls if "live-update" in argv)
    assert argv[-3:] == ["/usr/local/sbin/sriovctl", "live-update", "run"]
    assert "--property=ExecStopPost=/usr/local/sbin/sriovctl live-update recover" in argv
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert not call(live_update.main, state="started")["changed"]


def test_acknowledging(node: FakeNode, call: Call) -> None:
    assert not call(live_update.main, state="acknowledged")["changed"]
    call(live_update.main, **ARM)
    assert "it can be acknowledged when it has ended" in call(live_update.main, state="acknowledged")["msg"]
    with pytest.raises(Rebooted):
        save.run(node.live)
    resume.resume(node.live)
    assert call(live_update.main, state="acknowledged", _ansible_check_mode=True)["changed"]
    assert Path(node.live.folder.state("web1")).exists()
    assert call(live_update.main, state="acknowledged")["changed"]
    assert not Path(node.live.folder.state("web1")).exists()
    assert call(live_update_info.main)["status"] is None


def test_states_that_are_still_needed_are_not_deleted(node: FakeNode, call: Call) -> None:
    call(live_update.main, **ARM)
    with pytest.raises(Rebooted):
        save.run(node.live)
    node.scripts["web1"].incoming = "fails"
    resume.resume(node.live)
    assert "the saved states of web1 would be lost" in call(live_update.main, state="acknowledged")["msg"]
    assert Path(node.live.folder.state("web1")).exists()
    assert "the saved states of web1 would be lost" in call(live_update.main, **ARM)["msg"]
    assert "no saved state" in call(live_update.main, state="acknowledged", discard_memory=["web1", "web9"])["msg"]
    assert Path(node.live.folder.state("web1")).exists()
    nameless = call(live_update.main, state="acknowledged", force=True)
    assert (nameless["kind"], "name them in discard_memory" in nameless["msg"]) == ("BadInputError", True)
    assert "saved and not running: web1" in nameless["msg"]
    for given in ({"discard_memory": ["all"]}, {"discard_memory": ["all", "web1"], "force": True}):
        assert (
            "'all' stands alone, and needs force: true" in call(live_update.main, state="acknowledged", **given)["msg"]
        )
    assert Path(node.live.folder.state("web1")).exists()
    assert call(live_update.main, state="acknowledged", force=True, discard_memory=["all"])["changed"]
    assert not Path(node.live.folder.vm("web1")).exists()


def test_a_host_stays_reserved_between_two_updates(node: FakeNode, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A way back follows: no other controller gets in between."""
    said: list[str] = []  # in a result only where no test before has loaded the controller's display
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, warning, **_more: said.append(warning))
    mine, other = {"owner": "a"}, {"owner": "b"}
    call(live_update.main, **ARM, **mine)
    with pytest.raises(Rebooted):
        save.run(node.live)
    resume.resume(node.live)
    for _again in range(2):
        call(live_update.main, state="acknowledged", stay_reserved=True, **mine)
        assert node.live.folder.read_status() is None
        assert "this host is reserved by 'a'" in call(live_update.main, **ARM, **other)["msg"]
    assert call(live_update.main, state="cancelled", _ansible_check_mode=True, **mine)["changed"]
    assert call(live_update.main, state="cancelled", **mine)["changed"]
    assert not call(live_update.main, state="cancelled", **mine)["changed"]
    assert call(live_update.main, **ARM, **other)["changed"]
    call(live_update.main, **ARM, **other, take_over=True)
    assert not [warning for warning in said if "taken over" in warning]
    assert call(live_update.main, **ARM, **mine, take_over=True, _ansible_check_mode=True)["changed"]
    assert call(live_update.main, **ARM, **mine, take_over=True)["changed"]
    assert "taken over by 'a': this host was reserved by 'b'" in said[-1]
    assert not call(live_update.main, **ARM, **mine)["changed"]
    assert "this host is reserved by 'a'" in call(live_update.main, **ARM, **other)["msg"]


def test_a_reservation_that_is_given_back_unloads_no_kernel_of_others(node: FakeNode, call: Call) -> None:
    reservation.store(node.live.folder, reservation.Reservation("a", "m", 1.0, 4e9))
    node.put("/sys/kernel/kexec_loaded", "1\n")
    assert call(live_update.main, state="cancelled", owner="a")["changed"]
    assert node.live.kexec.loaded()


def test_cancelling(node: FakeNode, call: Call) -> None:
    assert not call(live_update.main, state="cancelled")["changed"]
    call(live_update.main, **ARM)
    assert call(live_update.main, state="cancelled", _ansible_check_mode=True)["changed"]
    assert node.live.kexec.loaded()
    assert call(live_update.main, state="cancelled")["changed"]
    assert not node.live.kexec.loaded()
    assert not call(live_update.main, state="cancelled")["changed"]


def test_info_reports_all_at_once(node: FakeNode, call: Call) -> None:
    answer = call(live_update_info.main, kernel="7.0.0", budget_s=1.0)
    codes = {item["code"] for item in answer["preflight"]["refusals"]}
    assert codes == {"image-missing", "modules-missing", "budget"}
    assert answer["preflight"]["vms"][0]["vfs"] == ["0000:04:11.4"]
    assert not answer["preflight"]["kernel_runs"]
    assert not answer["changed"]
    assert call(live_update_info.main)["preflight"] is None


IMAGE = {"image": f"/boot/vmlinuz-{NEW}", "initrd": f"/boot/initrd.img-{NEW}"}


def test_image_four_times_and_unloaded(node: FakeNode, call: Call) -> None:
    entry = node.live.kexec
    check = call(kexec_image.main, entry, **IMAGE, _ansible_check_mode=True)
    assert not entry.loaded()
    do = call(kexec_image.main, entry, **IMAGE)
    again = call(kexec_image.main, entry, **IMAGE)
    again_check = call(kexec_image.main, entry, **IMAGE, _ansible_check_mode=True)
    assert [check["changed"], do["changed"], again["changed"], again_check["changed"]] == [True, True, False, False]
    assert check["diff"] == do["diff"]
    assert node.loaded == "root=/dev/vda ro quiet panic=30"
    node.put(f"/boot/vmlinuz-{NEW}", "another kernel")
    assert call(kexec_image.main, entry, **IMAGE)["changed"]
    assert call(kexec_image.main, entry, state="unloaded")["changed"]
    assert not call(kexec_image.main, entry, state="unloaded")["changed"]


def test_image_of_an_armed_update_is_not_replaced(node: FakeNode, call: Call) -> None:
    call(live_update.main, **ARM)
    loaded = node.loaded
    assert "a live update of this host is under way" in call(kexec_image.main, node.live.kexec, **IMAGE)["msg"]
    assert node.loaded == loaded


def test_missing_image_is_named(node: FakeNode, call: Call) -> None:
    answer = call(kexec_image.main, node.live.kexec, image="/boot/none")
    assert "cannot open /boot/none: ENOENT" in answer["msg"]
    assert not node.live.kexec.loaded()


def test_an_image_is_loaded_without_the_engine_and_without_vms() -> None:
    """The few files of a module with one system call.

    AnsiballZ packs what imports name, lazy ones too. Rooms are empty files.
    """
    found = packed("kexec_image")
    assert len(found) <= 20, sorted(found)
    assert not [name for name in found if name.startswith(("_plan", "_vm", "_readers"))]
    assert "_vm.qemu.backend" in packed("live_update")
