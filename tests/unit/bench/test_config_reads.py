"""Reads counted by function, from QEMU's trace.

The lines are those of its log backend.
"""

from __future__ import annotations

from bench.config_reads import reads, results

LOG = """\
pci_cfg_read nvme 01:00.1 @0x0 -> 0xffffffff
1234@5.6:pci_cfg_read nvme 01:00.1 @0x100 -> 0x1
pci_cfg_write nvme 01:00.1 @0x4 <- 0x6
pci_cfg_read pcie-root-port 00:10.0 @0x3e -> 0x2
another line about 01:00.1 @0x0
"""


def test_reads_are_counted_by_function() -> None:
    assert reads(LOG) == {"01:00.1": 2, "00:10.0": 1}


def test_results_are_medians() -> None:
    samples = {"stock": [{"reads": value} for value in (100.0, 101.0, 300.0)], "series": [{"reads": 50.5}]}
    assert results(samples) == {"config_reads_per_vf": {"stock": 101.0, "series": 50.5, "series_over_stock": 0.5}}
