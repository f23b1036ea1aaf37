#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_build
short_description: Build kernel packages from a source, a patch series and a configuration
version_added: 0.1.0
description:
  - Makes Debian packages of a kernel with C(make bindeb-pkg), and a manifest with the checksums of all that went in and
    came out.
  - Results are kept by content below O(cache). When nothing that decides the packages' contents has changed, nothing is
    built.
  - Variants of one source and configuration (without a series, with one, with a newer one) share one object tree, so
    that only what differs is compiled again.
  - An option that a configuration asks for and C(make olddefconfig) drops or changes is an error that names it, with
    the likely reason. A whole configuration (as kconfig writes it) must hold by itself, a fragment line by line.
  - What decides the packages' contents are the source, the series, the configuration, O(localversion), O(headers), the
    versions of compiler, linker, objcopy, pahole and make, and of the environment the variables E(ARCH),
    E(CROSS_COMPILE), E(LLVM), E(LLVM_IAS), E(LD_LIBRARY_PATH), E(KCFLAGS), E(KCPPFLAGS), E(KAFLAGS), E(KRUSTFLAGS),
    E(HOSTCFLAGS), E(HOSTLDFLAGS), E(KBUILD_DEBARCH), E(SOURCE_DATE_EPOCH), E(CC), E(HOSTCC), E(LD), E(AR), E(NM),
    E(OBJCOPY), E(STRIP) and E(PAHOLE), and the certificate of O(sign_key). Other variables do not reach C(make), except
    those that find programs and folders (E(PATH), E(HOME), E(TMPDIR), those of ccache).
  - An interrupted build leaves a state from which the next run converges.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  source:
    description:
      - A source archive, for example C(/usr/src/linux-source-6.12.tar.xz), or a source tree.
      - It is only read; the work is done in a copy below O(cache).
    type: path
    required: true
  series:
    description:
      - Folder of a patch series in C(git format-patch) form with a file C(series) that lists the patches in order.
      - A patch that applies only with fuzz is an error that names the patch and the file.
      - Without it the source is built as it is.
    type: path
  config:
    description:
      - Configurations, merged in this order (a later one wins), then completed by C(make olddefconfig).
      - Each one is a path (plain, gzip or xz), V(running) for the build host's own kernel, or V(distribution) for what
        Debian's package C(linux-config-X.Y) holds for the source of the same version.
    type: list
    elements: str
    default: [distribution]
  localversion:
    description: The end of the kernel's release string.
    type: str
    default: -kvmfleet
  headers:
    description: Whether to make the package with the headers too, which out-of-tree modules need.
    type: bool
    default: false
  jobs:
    description: How many compilers run at a time; by default as many as there are CPUs.
    type: int
  cache:
    description: Folder of work trees and results. It is safe to delete.
    type: path
    default: ~/.cache/kvmfleet-sriov/kernel_build
  output:
    description: A folder to copy packages and C(manifest.json) to.
    type: path
  sign_key:
    description:
      - A file of the build host with the private key, PEM without a passphrase, that modules and image are signed with,
        for Secure Boot and lockdown. The kernel trusts modules that are signed with it.
      - It is read for this build alone. The cache, the build's key, logs and results have none of it.
    type: path
  sign_certificate:
    description: A file of the build host with the certificate of O(sign_key), PEM; by default it is in the same file.
    type: path
requirements:
  - make, gcc, flex, bison, bc, patch, tar, rsync, kmod, cpio, debhelper, libelf-dev and libssl-dev on the build host
  - openssl and sbsigntool there for O(sign_key)
seealso:
  - description: The role around this module, which finds sources and series by name.
    name: Role kvmfleet.sriov.kernel_build
    link: https://docs.ansible.com/ansible/latest/collections/kvmfleet/sriov/
"""

EXAMPLES = r"""
- name: Build the distribution's kernel with the series
  kvmfleet.sriov.kernel_build:
    source: /usr/src/linux-source-6.12.tar.xz
    series: /srv/series/6.12
    config: [distribution]
    output: /srv/kernels/6.12-kvmfleet
  async: 14400
  poll: 30
"""

RETURN = r"""
manifest:
  description: What was built, from what, as in C(manifest.json); empty in check mode when it is not built yet.
  returned: success
  type: dict
  sample:
    schema: 2
    key: 3f0c...
    release: 6.12.117-kvmfleet
    build: "#1+3f0c1a2b3c4d SMP PREEMPT_DYNAMIC Sat Nov 14 12:56:01 UTC 2026"
    architecture: amd64
    distribution: debian
    suite: bookworm
    handover: []
    source: {name: linux-source-6.12, sha256: 585a..., version: 6.12.117}
    config: {sha256: 77aa...}
    certificate_sha256: ''
    series: "6.12"
    image: {file: /boot/vmlinuz-6.12.117-kvmfleet, sha256: 1f...}
    patches: [{name: 0001-PCI-IOV-Example.patch, sha256: 0b1c...}]
    packages:
      - {name: linux-image-6.12.117-kvmfleet, version: 6.12.117-1+3f0c, file: a.deb, sha256: 9d..., size: 4711}
    tools: {compiler: gcc (Debian 12.2.0-14+deb12u1) 12.2.0, linker: GNU ld (GNU Binutils for Debian) 2.40, pahole: ''}
    variables: {}
    notes: []
    built_at: 1767225600
built:
  description: Whether something was compiled (in check mode, would be).
  returned: success
  type: bool
notes:
  description:
    - Options of whole configurations that the source does not have, or that fragments take away; they are warnings too.
    - Options that were asked for and did not hold are an error.
  returned: success
  type: list
  elements: str
folder:
  description: Where packages and manifest are.
  returned: success
  type: str
log:
  description: Where make's output goes.
  returned: success
  type: str
seconds:
  description: How long it took.
  returned: success
  type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.build import perform
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.inputs import request_from
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import printable_lines

ARGUMENTS = {
    "source": {"type": "path", "required": True},
    "series": {"type": "path"},
    "config": {"type": "list", "elements": "str", "default": ["distribution"]},
    "localversion": {"type": "str", "default": "-kvmfleet"},
    "headers": {"type": "bool", "default": False},
    "jobs": {"type": "int"},
    "cache": {"type": "path", "default": "~/.cache/kvmfleet-sriov/kernel_build"},
    "output": {"type": "path"},
    "sign_key": {"type": "path", "no_log": False},  # a path, which is no secret
    "sign_certificate": {"type": "path"},
}


def main() -> None:
    """Build, or in check mode report what would be built."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = perform(request_from(module.params), check=module.check_mode)
    except SriovError as error:
        module.fail_json(msg=printable_lines(str(error)))
    except OSError as error:
        module.fail_json(msg=printable_lines(f"the kernel cannot be built: {error}"))
    for note in result["notes"]:
        module.warn(f"the kernel's configuration: {note}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
