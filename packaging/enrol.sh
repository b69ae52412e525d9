#!/bin/sh
# From installed packages to a served child, in a booted Debian 13 that is central, broker and
# terminal at once: the units, one code, a meal in the town's books; then renewed, and revoked.
set -eu
db=/var/lib/canteen-central/central.db
began=$(date +%s)

claim() { # claim WORDS COMMAND...
    words=$1
    shift
    if "$@" > /tmp/claim 2>&1; then echo "ok: $words"; else
        cat /tmp/claim
        journalctl --no-pager -q -n 30
        echo "WRONG: $words: $*"
        exit 1
    fi
}

within() { # within SECONDS COMMAND, until it succeeds
    seconds=$1
    shift
    timeout "$seconds" sh -c "until $*; do sleep 0.5; done"
}

central() {
    canteen-central --db $db "$@"
}

# The central and its broker, as docs/start/install.md says it.
central init --town borgofiorito > /dev/null
central ca init --enrol localhost:8884 --broker mqtts://localhost:8883 > /dev/null
central broker-config > /dev/null
systemctl restart mosquitto
central service primaria lunch --opens 00:00 --closes 23:59 --weekdays 1234567 > /dev/null
cat > /root/roster.csv << END
account,site,prices,cards
a-1,primaria,lunch 2026-01-01 3.66,em:010063e9ae
END
central import-roster /root/roster.csv > /dev/null
systemctl enable --now canteen-central canteen-central-enrol 2> /dev/null
claim "the central serves as a user of its own" within 20 \
    "journalctl -u canteen-central | grep -q 'Connected to the broker'"
claim "the central's files are that user's" sh -c \
    "test \$(stat -c %U $db.ca/ca.key $db | sort -u) = canteen-central"

# The terminal: one code.
(cd /root/canteen-agent && exec python3 -m tests.debian13.serial_card /run/serial-reader) &
serial=$!
code=$(central enrol new t-1 --site primaria | sed -n 's/.*canteen-agent enrol //p')
within 20 "test -e /run/serial-reader"
canteen-agent enrol $code > /tmp/enrol 2>&1 || true # 1: no PC/SC reader is plugged in
claim "the box is a terminal" grep "this box is terminal t-1 of borgofiorito" /tmp/enrol
claim "the service runs, and starts with the machine" sh -c \
    "systemctl is-active canteen-agent && systemctl is-enabled canteen-agent canteen-agent-renew.timer"
claim "the key is the agent's alone" sh -c \
    "test \"\$(stat -c '%U %a' /var/lib/canteen-agent/terminal.pem)\" = 'canteen-agent 600'"
claim "the enrolment's copy of the key is gone" test ! -e /var/lib/canteen-agent/terminal.key
sed -i 's,^profile.*,profile = "rdm6300"\nport = "/run/serial-reader",' /etc/canteen-agent/agent.toml
systemctl restart canteen-agent
claim "a child is served, and the meal is in the town's books" within 30 \
    "canteen-central --db $db statement a-1 --json | grep -q -- -366"
echo "ok: from installed packages to a served child in $(($(date +%s) - began)) s"

claim "a second box with this code is refused" sh -c \
    "! canteen-agent enrol -c /tmp/b/agent.toml --state-dir /tmp/b/state --no-start $code"
claim "the central has an incident of it" sh -c \
    "python3 -c \"import sqlite3; print(sqlite3.connect('$db').execute(
    'SELECT kind FROM incident').fetchall())\" | grep enrolment_refused"
claim "the same code on this box gives the same terminal no more" sh -c \
    "! canteen-agent enrol $code"

# Renewal, by the unit, without a restart of the agent.
before=$(sha256sum /var/lib/canteen-agent/terminal.pem)
agent=$(systemctl show -p MainPID canteen-agent)
systemctl start canteen-agent-renew || journalctl -u canteen-agent-renew -n 20 --no-pager
claim "a young certificate is not renewed" sh -c \
    "journalctl -u canteen-agent-renew | grep 'nothing to do yet'"
mkdir -p /run/systemd/system/canteen-agent-renew.service.d
cat > /opt/later.py << END
import datetime, sys
from agent.terminal import enrolling
later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=300)
print(enrolling.renew(__import__("pathlib").Path("/etc/canteen-agent/agent.toml"), later))
END
cat > /run/systemd/system/canteen-agent-renew.service.d/later.conf << END
[Service]
ExecStart=
ExecStart=/usr/bin/python3 /opt/later.py
END
systemctl daemon-reload
systemctl start canteen-agent-renew || journalctl -u canteen-agent-renew -n 20 --no-pager
claim "an older certificate is renewed in the unit's sandbox" sh -c \
    "test \"\$(sha256sum /var/lib/canteen-agent/terminal.pem)\" != '$before' &&
    test \"\$(stat -c '%U %a' /var/lib/canteen-agent/terminal.pem)\" = 'canteen-agent 600'"
systemctl restart mosquitto
claim "the agent that runs connects with it" sh -c \
    "sleep 1; timeout 30 sh -c 'until canteen-agent status | grep -q \"link .*up\"; do sleep 0.5; done'
    test \"\$(systemctl show -p MainPID canteen-agent)\" = '$agent'"

# A stolen box.
central enrol revoke t-1 > /dev/null
central broker-config > /dev/null
systemctl restart mosquitto
claim "a revoked terminal is refused, and says why" within 40 \
    "canteen-agent status | grep -q 'certificate is revoked'"
code=$(central enrol new t-1 | sed -n 's/.*canteen-agent enrol //p')
canteen-agent enrol $code > /tmp/enrol 2>&1 || true
claim "enrolled again it connects, with its own agent.toml" sh -c \
    "timeout 60 sh -c 'until canteen-agent status | grep -q \"link .*up\"; do sleep 0.5; done'
    grep rdm6300 /etc/canteen-agent/agent.toml"
kill $serial
