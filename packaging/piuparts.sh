#!/bin/sh
# Runs piuparts over the packages of `make deb`: install, upgrade, remove, purge. As root:
#
#   apt-get install piuparts apt-utils && packaging/piuparts.sh
set -eu
cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

cp -a .make/debian/trixie/base/. "$root"
mirror=$(sed -n 's/^deb \([^ ]*\) .*/\1/p' "$root/etc/apt/sources.list" | head -n 1)
# systemd is there before: a machine does not let it be removed again, and piuparts would fail.
systemd-nspawn --quiet --register=no --keep-unit --as-pid2 --console=pipe --directory "$root" \
    sh -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends systemd-sysv dbus" > /dev/null 2>&1
mkdir -p "$root/srv/canteen"
cp .make/deb/*.deb "$root/srv/canteen"
(cd "$root/srv/canteen" && apt-ftparchive packages . > Packages)
piuparts --existing-chroot="$root" --distribution trixie --mirror "$mirror main" \
    --extra-repo "deb [trusted=yes] file:/srv/canteen ./" --no-eatmydata --warn-on-others \
    --log-level info .make/deb/*.deb
