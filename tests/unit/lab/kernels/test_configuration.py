"""Options that the built kernel does not have, named.

Of two lines about one option the last counts.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.kernels import configuration, packages
from lab.progress import LabError

FRAGMENTS = (
    "CONFIG_PCI=y\n# CONFIG_NUMA is not set\n# CONFIG_SWAP is not set\nCONFIG_NR_CPUS=8\n",
    'CONFIG_NUMA=y\nCONFIG_LOCALVERSION="-x"\n# CONFIG_UIO is not set any more\nCONFIG_TUN=n\n',
)
MADE = '# Linux/x86\nCONFIG_PCI=y\nCONFIG_NUMA=y\nCONFIG_NR_CPUS=8\n# CONFIG_TUN is not set\nCONFIG_LOCALVERSION="-x"\n'


@pytest.mark.parametrize(
    ("made", "gone"),
    [
        (MADE, []),
        (MADE.replace("CONFIG_PCI=y", "CONFIG_PCI=m"), ["CONFIG_PCI=y"]),
        (MADE.replace("CONFIG_NUMA=y", "# CONFIG_NUMA is not set"), ["CONFIG_NUMA=y"]),
        (MADE.replace("CONFIG_NUMA=y\n", ""), ["CONFIG_NUMA=y"]),
        (MADE.replace("CPUS=8", "CPUS=64"), ["CONFIG_NR_CPUS=8"]),
        (MADE + "CONFIG_SWAP=y\n", ["CONFIG_SWAP=n"]),
        (MADE.replace("# CONFIG_TUN is not set", "CONFIG_TUN=y"), ["CONFIG_TUN=n"]),
    ],
)
def test_what_did_not_hold(made: str, gone: list[str]) -> None:
    assert configuration.lost(FRAGMENTS, made) == gone


def test_a_kernel_that_lacks_an_option_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("CONFIG_PCI=y\n")
    monkeypatch.setattr(packages, "_build", lambda *_names, headers: None)
    monkeypatch.setattr(packages, "built", lambda _flavour: SimpleNamespace(config=config))
    with pytest.raises(LabError, match=r"the kcsan kernel was not built as .*CONFIG_KCSAN=y.* did not hold"):
        packages.build(("kcsan",))
