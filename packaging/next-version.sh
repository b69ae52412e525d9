#!/bin/sh
# Makes packages of a next version out of packages, whose ledger has one more table:
#
#   packaging/next-version.sh DEBS FOLDER
#
# Only to try upgrades, and ways back.
set -eu
mkdir -p "$2"
for deb in "$1"/*.deb; do
    tree=$(mktemp -d)
    dpkg-deb -R "$deb" "$tree"
    sed -i 's/0\.1\.0/0.1.1/g' "$tree/DEBIAN/control"
    sed -i 's/^Version: 0\.1\.0$/Version: 0.1.1/' "$tree"/usr/lib/python3/dist-packages/*.dist-info/METADATA \
        2> /dev/null || true
    schema=$tree/usr/lib/python3/dist-packages/agent/store/schema.py
    if [ -e "$schema" ]; then
        echo 'MIGRATIONS += ("CREATE TABLE later (n INTEGER PRIMARY KEY) STRICT;",)' >> "$schema"
    fi
    (cd "$tree" && find usr -type f -exec md5sum {} + > DEBIAN/md5sums)
    dpkg-deb --root-owner-group -b "$tree" "$2" > /dev/null
    rm -rf "$tree"
done
