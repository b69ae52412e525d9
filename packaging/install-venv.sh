#!/bin/sh
# Installs a terminal with its screen into /opt/canteen-agent on Debian 12, as root:
#
#   sudo packaging/install-venv.sh
#
# Debian 13 has packages instead (make deb). The versions are those of requirements/terminal.lock,
# with hashes. Calling it again upgrades. What is in /etc/canteen-agent and the ledger stay.
set -eu
cd "$(dirname "$0")/.."
INTO=/opt/canteen-agent

[ "$(id -u)" = 0 ] || { echo "this needs root: sudo packaging/install-venv.sh" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
# The compiler is for pyscard and evdev, which have no Linux wheels.
apt-get install -y -qq --no-install-recommends python3-venv python3-dev gcc libc6-dev swig \
    pkg-config libpcsclite-dev pcscd systemd udev kmod >/dev/null

# The wheels are built apart, so that nothing that only builds is left on the terminal.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
python3 -m venv "$build/venv"
pip="$build/venv/bin/pip --quiet --disable-pip-version-check"
$pip install --require-hashes --only-binary :all: -r requirements/build.lock
$pip wheel --require-hashes --no-deps --no-build-isolation --wheel-dir "$build/wheels" \
    -r requirements/terminal.lock
$pip wheel --no-deps --no-build-isolation --wheel-dir "$build/wheels" .

[ -x "$INTO/bin/python" ] || python3 -m venv "$INTO"
"$INTO/bin/pip" --quiet --disable-pip-version-check install --no-index --no-deps --force-reinstall \
    "$build"/wheels/*.whl
ln -sf "$INTO/bin/canteen-agent" /usr/local/bin/canteen-agent

install -D -m 644 systemd/canteen-agent.sysusers /etc/sysusers.d/canteen-agent.conf
install -D -m 644 packaging/debian/canteen-screen.sysusers /etc/sysusers.d/canteen-screen.conf
install -D -m 644 systemd/canteen-kiosk.html /usr/local/share/canteen-agent/canteen-kiosk.html
install -D -m 644 systemd/50-canteen-agent.rules /etc/polkit-1/rules.d/50-canteen-agent.rules
install -D -m 644 systemd/70-canteen-agent.rules /etc/udev/rules.d/70-canteen-agent.rules
install -D -m 644 systemd/canteen-agent.modprobe.conf /etc/modprobe.d/canteen-agent.conf
install -D -m 644 systemd/canteen-agent.journald.conf \
    /etc/systemd/journald.conf.d/50-canteen-agent.conf
install -D -m 644 systemd/canteen-agent.watchdog.conf \
    /etc/systemd/system.conf.d/50-canteen-agent.conf
for unit in canteen-agent canteen-screen canteen-kiosk; do
    install -D -m 644 "systemd/$unit.service" "/etc/systemd/system/$unit.service"
done
for unit in canteen-agent-renew.service canteen-agent-renew.timer; do
    install -D -m 644 "systemd/$unit" "/etc/systemd/system/$unit"
done
# systemd 252 does not know this value, and would warn at each start.
sed -i '/^PrivateUsers=identity/d' /etc/systemd/system/canteen-agent.service
systemd-sysusers
# A ledger of before there was the group canteen-technician. systemd sets the group at the start.
chmod -f g+r /var/lib/canteen-agent/terminal.db /var/lib/canteen-agent/terminal.db-* || true
install -d -m 755 /etc/canteen-agent
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    udevadm control --reload
fi
du -sh "$INTO"
echo "next: sudo canteen-agent enrol CODE, with the code of canteen-central enrol new"
