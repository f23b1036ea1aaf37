"""The command line that a jump gives to the next kernel."""

from __future__ import annotations

from lab.scenarios.kexec_program import with_words

PLAIN = "root=/dev/vdb rw nohz=off highres=off"


def test_words_are_added_and_taken_back() -> None:
    first = with_words(PLAIN, ["pci=sriov_keep_vfs", "elfcorehdr=0x1"])
    assert first == f"{PLAIN} kvmfleet.jump pci=sriov_keep_vfs elfcorehdr=0x1"
    second = with_words(f"{first} panic=30", ["quiet"])
    assert second == f"{PLAIN} kvmfleet.jump quiet"
    assert with_words(second, []) == PLAIN
    assert with_words(PLAIN, []) == PLAIN
