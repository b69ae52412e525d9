#!/bin/sh
# Installs a terminal on a new Debian 12, as root, and looks at what was installed.
# `make test-debian12 ONLY="install root"` calls it there.
set -eu
cd "$(dirname "$0")/.."
SIZE_MB_MAX=150

claim() {
    echo "ok: $1"
}

packaging/install-venv.sh
canteen-agent --version
claim "the program starts"
id -u canteen-agent >/dev/null && id -u canteen-screen >/dev/null
claim "the users of the units exist"
for module in smartcard serial evdev starlette; do
    /opt/canteen-agent/bin/python -c "import $module"
done
claim "readers and screen have their libraries"
for tool in mypy ruff pytest hatchling setuptools; do
    ! /opt/canteen-agent/bin/python -c "import $tool" 2>/dev/null
done
claim "nothing that only builds or tests is installed"
[ "$(du -sm /opt/canteen-agent | cut -f1)" -le $SIZE_MB_MAX ]
claim "it takes at most $SIZE_MB_MAX MB"
for unit in canteen-agent canteen-screen canteen-kiosk; do
    [ -f "/etc/systemd/system/$unit.service" ]
done
claim "the units are there"
! canteen-agent doctor >/tmp/doctor.txt
grep -q "fault *configuration.file *.*agent.toml: cannot be read" /tmp/doctor.txt
claim "doctor names the file that must be written"
packaging/install-venv.sh
canteen-agent --version
claim "calling it again upgrades"
