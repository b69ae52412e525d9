#!/bin/sh
# Builds the Debian packages in a clean Debian 13, as root, and checks them with lintian.
# `make deb` calls it there. The packages are then in the folder above the sources.
set -eu
cd "$(dirname "$0")/.."
export DEBIAN_FRONTEND=noninteractive

cp -r packaging/debian debian
apt-get update -qq
apt-get install -y -qq --no-install-recommends build-essential lintian > /dev/null
apt-get build-dep -y -qq --no-install-recommends . > /dev/null
dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary
lintian --fail-on error --info ../canteen-agent_*.changes
