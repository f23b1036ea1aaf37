# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running QEMU's images against those of its command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import block_answers, block_graph

Chain = Sequence[str]


def image(chain: Chain, headers: Mapping[str, str] | None = None) -> dict[str, object] | None:
    """ImageInfo of a chain, whose headers are right unless given."""
    if not chain:
        return None
    found: dict[str, object] = {"filename": chain[0], "format": "qcow2"}
    header = (headers or {}).get(chain[0], chain[1] if len(chain) > 1 else "")
    below = image(chain[1:], headers)
    found |= {"full-backing-filename": header} if header else {}
    return found | ({"backing-image": below} if below else {})


def block(device: str, chain: Chain, qdev: str = "", headers: Mapping[str, str] | None = None) -> dict[str, object]:
    """An entry of query-block, as QEMU 10.0 gives it."""
    inserted = image(chain, headers)
    entry: dict[str, object] = {"device": device, "qdev": qdev} if qdev else {"device": device}
    return entry if inserted is None else {**entry, "inserted": {"file": chain[0], "image": inserted}}


def problems(argv: Sequence[str], *blocks: object, jobs: object = ()) -> list[str]:
    found = block_graph.differences(["qemu", *argv], list(blocks), list(jobs) if isinstance(jobs, tuple) else jobs)
    assert all(fix for _problem, fix in found)
    return [problem for problem, _fix in found]


DRIVE = ["-drive", "file=/a.qcow2,if=none,id=d0", "-device", "virtio-blk-pci,drive=d0"]
TREE = ["-blockdev", json.dumps({"driver": "qcow2", "node-name": "n", "file": {"driver": "file", "filename": "/a"}}),
        "-device", "virtio-blk-pci,drive=n,id=v"]  # fmt: skip
PATH = "/machine/peripheral/v/virtio-backend"
LISTED = [
    "-blockdev", '{"driver":"file","filename":"/base","node-name":"bs"}',
    "-blockdev", '{"driver":"qcow2","node-name":"b","file":"bs","backing":null}',
    "-blockdev", '{"driver":"qcow2","node-name":"t","file":{"driver":"file","filename":"/top"},"backing":"b"}',
    "-device", '{"driver":"scsi-hd","drive":"t","id":"v"}',
]  # fmt: skip
"""As libvirt writes it: every image of the chain is named."""
THROTTLED = [
    "-blockdev", "driver=throttle,node-name=t,file.driver=qcow2,file.file.driver=file,file.file.filename=/a",
    "-device", "virtio-blk-pci,drive=t,id=v",
]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "blocks"),
    [
        (DRIVE, [block("d0", ["/a.qcow2"])]),
        (DRIVE, [block("d0", ["/a.qcow2", "/base", "/older"])]),
        (DRIVE, [block("d0", ["/a.qcow2"]), block("ide2-cd0", []), block("floppy0", [])]),
        (["-hda", "a,b=c"], [block("ide0-hd0", ["a,b=c"])]),
        (["./disk.img"], [block("ide0-hd0", ["disk.img"])]),
        (["-cdrom", "/cd", "-drive", "file=/x,,y"], [block("ide2-cd0", ["/cd"]), block("ide0-hd1", ["/x,y"])]),
        (["-drive", "if=ide,media=cdrom"], [block("ide1-cd0", [])]),
        (["-drive", "if=pflash,file=/fw,unit=0"], [block("pflash0", ["/fw"])]),
        (["-pflash", "/fw"], [block("pflash0", ["/fw"])]),
        (["-drive", "driver=raw,file.driver=file,file.filename=/r"], [block("virtio0", ["/r"])]),
        (["-drive", "file=/r,file.locking=off"], [block("virtio0", ["/r"])]),
        (["-drive", "file=/r,backing.file.filename=/q"], [block("v0", ["/r", "/q"], headers={"/r": "/other"})]),
        (["-drive", 'file=json:{"driver":"raw",,"file":{"driver":"file",,"filename":"/j"}}'], [block("v0", ["/j"])]),
        (["-drive", "driver=null-co,id=z"], [block("z", ["null-co://"])]),
        (TREE, [block("", ["/a"], PATH)]),
        (TREE, [block("", ["/a", "/base"], PATH)]),
        (LISTED, [block("", ["/top", "/base"], "v")]),
        (THROTTLED, [block("", ['json:{"driver":"throttle","file":{"driver":"qcow2","file":"/a"}}', "/a"], PATH)]),
        (["-machine", "q35,pflash0=n", *TREE[:2]], [block("", ["/a"], "/machine/system.flash0")]),
        ([*TREE[:2], "-device", "virtio-blk-pci,drive=n"], [block("", ["/a"], "/machine/peripheral-anon/device[0]")]),
        (["-device", "ide-cd,id=e"], [block("", [], "e")]),
        (["-drive", "file=nbd:h:10809:exportname=e,id=z"], [block("z", ["nbd://h/e"])]),
        (["-drive", "file=nbd:unix:/s:exportname=e,id=z"], [block("z", ["nbd+unix:///e?socket=/s"])]),
        (["-drive", "file=rbd:p/i:id=me:key=x,id=z"],
         [block("z", ['json:{"driver":"raw","file":{"driver":"rbd","pool":"p","image":"i","user":"me"}}'])]),
        (["-drive", "file=iscsi://me%25pw@h/iqn.t/1,id=z"],
         [block("z", ['json:{"driver":"iscsi","portal":"h","target":"iqn.t","lun":1,"user":"me"}'])]),
    ],
)  # fmt: skip
def test_the_same(argv: list[str], blocks: list[object]) -> None:
    assert problems(argv, *blocks) == []


@pytest.mark.parametrize(
    ("argv", "blocks", "words"),
    [
        (DRIVE, [block("d0", ["/snap", "/a.qcow2"])],
         "its disk d0 has /snap on /a.qcow2 open, its restore would open /a.qcow2"),
        (DRIVE, [block("d0", ["/mirror"])], "its disk d0 has /mirror open, its restore would open /a.qcow2"),
        (DRIVE, [block("d0", [])], "its disk d0 is gone or empty, its restore would open /a.qcow2"),
        (DRIVE, [], "its disk d0 is gone or empty"),
        (DRIVE, [block("d0", ["/a.qcow2", "/new"], headers={"/a.qcow2": "/old"})],
         "its disk d0 has /a.qcow2 on /new open, its restore would open /a.qcow2 on /old"),
        (DRIVE, [block("d0", ["/a.qcow2"], headers={"/a.qcow2": "/old"})],
         "its restore would open /a.qcow2 on /old"),
        (["-cdrom", "/cd"], [block("ide2-cd0", ["/other"])], "its disk ide2-cd0 has /other open"),
        (["-drive", "if=ide,media=cdrom"], [block("ide1-cd0", ["/cd"])], "its restore would open nothing there"),
        ([], [block("ide2-cd0", ["/cd"])], "its disk ide2-cd0 has /cd open, its restore would open nothing there"),
        (["-device", "ide-cd,id=e"], [block("", ["/cd"], "e")], "its disk e has /cd open"),
        (["-hda", "/a", "-hdb", "/b"], [block("ide0-hd0", ["/b"]), block("ide0-hd1", ["/a"])],
         "its disk ide0-hd0 has /b open, its restore would open /a"),
        (TREE, [], "its disk v is gone or empty"),
        (TREE, [block("", ["/snap", "/a"], PATH)], "its disk v has /snap on /a open"),
        (LISTED, [block("", ["/top"], "v")], "its disk v has /top open, its restore would open /top on /base"),
        (LISTED, [block("", ["/top", "/mid", "/base"], "v")], "has /top on /mid on /base open"),
        (LISTED, [block("", ["/top", "/base", "/more"], "v")], "its restore would open /top on /base"),
        (["-machine", "pflash0=n", *TREE[:2]], [block("", ["/b"], "/machine/system.flash0")], "its disk pflash0 has"),
        (["-drive", "file=nbd:h:10809:exportname=e,id=z"], [block("z", ["nbd://h/other"])],
         "its disk z has nbd:h:10809/other open"),
    ],
)  # fmt: skip
def test_each_difference(argv: list[str], blocks: list[object], words: str) -> None:
    assert any(words in problem for problem in problems(argv, *blocks)), problems(argv, *blocks)


def test_a_block_job_is_no_end() -> None:
    (found,) = problems(DRIVE, block("d0", ["/a.qcow2"]), jobs=({"device": "d0", "type": "mirror"},))
    assert found == "a block job is at work on its disk 'd0' ('mirror')"


@pytest.mark.parametrize("answer", [5, None, {}, "x", [3], [None], [{"device": 5}], [{"device": "d0", "inserted": 5}],
    [{"device": "d0", "inserted": {"image": []}}], [{"device": "d0", "inserted": {"image": {"filename": 5}}}],
    [{"device": "d0", "inserted": {"image": {"filename": "/a", "full-backing-filename": 5}}}]])  # fmt: skip
def test_answers_of_wrong_types(answer: object) -> None:
    with pytest.raises(SriovError, match="QEMU"):
        block_graph.differences(["qemu", *DRIVE], answer, [])


@pytest.mark.parametrize("answer", [5, [3], [{"file": 3}]])
def test_nodes_and_jobs_of_wrong_types(answer: object) -> None:
    with pytest.raises(SriovError, match="QEMU"):
        block_answers.images(answer)
    with pytest.raises(SriovError, match="QEMU"):
        block_graph.differences(["qemu"], [], 5)


def test_a_chain_without_an_end() -> None:
    endless: dict[str, object] = {"filename": "/a"}
    endless["backing-image"] = {"filename": "/b", "backing-image": endless}
    with pytest.raises(SriovError, match="without an end"):
        block_answers.chain({"image": endless})


@pytest.mark.parametrize(
    "name",
    ["json:" + "[" * 5000, "json:{", "json:3", 'json:{"file":{"file":{"file":3}}}', "a:" * 1000, "nbd:", "rbd:", "://",
     "json:" + '{"file":' * 400 + "{}" + "}" * 400, "json:{\"a.b.c\":1,\"a\":2,\"a.b\":3}"],
)  # fmt: skip
def test_odd_names_are_names(name: str) -> None:
    assert isinstance(block_answers.images([{"file": name}]), tuple)
    if "file" not in name:
        assert problems(["-drive", f"file={name.replace(',', ',,')},id=z"], block("z", [name])) == []


def test_images_are_named_once_without_passwords() -> None:
    nodes = ["/b", "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/b\"}}", "/a", "null-co://",
             "https://me:pw@h/x", "iscsi://me%25pw@h/t/0", "rbd:p/i:key=secret"]  # fmt: skip
    found = block_answers.images([{"file": node} for node in nodes])
    assert found == ("/a", "/b", "https://h/x", "iscsi://h/t/0", "rbd:p/i")
