#!/bin/sh
# mmdebstrap hook: download the package of Debian's current kernel into /var/cache of the new root file system ($1).
set -e
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
cd "$1/var/cache"
apt-get -q download "$package"
