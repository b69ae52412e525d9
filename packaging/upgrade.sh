#!/bin/sh
# Tries upgrades of a terminal whose outbox is full, in a booted Debian 13. `make deb ONLY=upgrade`
# calls it at each boot, and kills the machine at a moment of the upgrade that /mnt/begin announces.
# The boot with /mnt/last goes back to the version before, with the ledger that was copied aside.
set -eu
cd "$(dirname "$0")/.."
export DEBIAN_FRONTEND=noninteractive
state=/var/lib/canteen-agent
ENTRIES=5000

claim() { # claim WORDS COMMAND...
    words=$1
    shift
    if "$@" > /tmp/claim 2>&1; then echo "ok: $words"; else
        cat /tmp/claim
        journalctl -u canteen-agent --no-pager | tail -n 8
        echo "WRONG: $words: $*"
        exit 1
    fi
}
serves() {
    timeout 30 sh -c "until canteen-agent status > /dev/null 2>&1; do sleep 0.2; done"
}
newest() {
    canteen-agent ledger --newest 1 --json | sed -n 's/.*"seq": *\([0-9]*\).*/\1/p' | head -n 1
}
whole() { # whole ENTRIES: the ledger is right, and has so many entries
    canteen-agent ledger verify && test "$(newest)" = "$1"
}
version() {
    dpkg-query -W -f '${Version}' canteen-agent
}
install_version() { # install_version VERSION
    apt-get install -y -qq --allow-downgrades --no-install-recommends \
        "canteen-common=$1" "canteen-agent=$1" "canteen-screen=$1"
}

if [ -e /mnt/cut ]; then
    half=$(dpkg --audit | grep -c '^ canteen' || true)
    ended=$([ ! -e /mnt/upgraded ] || echo ", after it had ended")
    echo "== cut $(cat /mnt/cut) s after the upgrade began$ended: $half packages are half installed"
    # What docs/start/updates.md tells the technician.
    claim "the packages are mended" sh -c "cd /root;
        apt-get download canteen-common canteen-agent canteen-screen && dpkg --install canteen-*.deb"
    claim "no package is half installed" sh -c "! dpkg --audit | grep ."
    systemctl start canteen-agent
    claim "version $(version) serves" serves
    claim "nothing of the outbox is lost" whole $ENTRIES
    rm /mnt/cut
else
    # The first boot: a terminal of the first version.
    mkdir -p /etc/canteen-agent
    echo 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff > /etc/canteen-agent/card-key
    chmod 600 /etc/canteen-agent/card-key
    cat > /etc/canteen-agent/agent.toml << END
town = "borgofiorito"
terminal = "t-1"
[broker]
url = "mqtt://127.0.0.1:1"
[[reader]]
name = "counter"
profile = "rdm6300"
port = "/run/serial-reader"
END
    install -d -m 711 $state
    (umask 0027 && python3 -m tests.debian13.outbox $state/terminal.db $ENTRIES)
    chown -R canteen-agent:canteen-technician $state
    cp -a $state /root/state
    systemctl enable canteen-agent
fi

if [ ! -e /mnt/last ]; then
    systemctl stop canteen-agent
    claim "the first version is there" install_version 0.1.0
    systemctl stop canteen-agent # the package started it
    rm -rf $state
    cp -a /root/state $state
    systemctl start canteen-agent
    claim "it serves" serves
    touch /mnt/begin
    apt-get install -y -qq canteen-common canteen-agent canteen-screen > /root/upgrade.log 2>&1
    touch /mnt/upgraded
    exec sleep 1000
fi

# The way back, as docs/start/updates.md tells it.
claim "the next version is there" install_version 0.1.1
claim "it serves" serves
claim "the ledger of the version before is aside" sh -c "ls $state/terminal.db.schema-*"
(exec python3 -m tests.debian13.serial_card /run/serial-reader) &
serial=$!
claim "the next version records a card" timeout 30 sh -c \
    "until canteen-agent ledger --newest 1 --json | grep -q '\"seq\": *$((ENTRIES + 1))'; do sleep 0.3; done"
kill $serial
claim "the agent stops" systemctl stop canteen-agent
claim "the version before is back" install_version 0.1.0
systemctl start canteen-agent
claim "it does not touch the newer ledger" sh -c "journalctl -u canteen-agent -n 20 | grep -i newer"
systemctl stop canteen-agent
cd $state
mv terminal.db terminal.db.newer
mv terminal.db.schema-* terminal.db
claim "what was recorded since is brought back" runuser -u canteen-agent -g canteen-technician -- \
    canteen-agent ledger salvage terminal.db.newer
systemctl start canteen-agent
claim "the version before serves" serves
claim "nothing is lost on the way back" whole $((ENTRIES + 1))
claim "the doctor knows of the power cuts" sh -c "canteen-agent doctor | grep 'boots ended by a power cut'"
