#!/bin/sh
# Tries a booted Debian 13 whose root is read-only and whose state folder is a file system of its
# own. It runs in the root that boot.sh has set up.
set -eu
settings=/etc/canteen-agent

claim() { # claim WORDS COMMAND...
    words=$1
    shift
    if "$@" > /tmp/claim 2>&1; then echo "ok: $words"; else
        cat /tmp/claim
        journalctl -u canteen-agent --no-pager | tail -n 5
        echo "WRONG: $words: $*"
        exit 1
    fi
}
seq() { # seq NUMBER: the newest entry has at least this number
    newest=$(canteen-agent ledger --newest 1 --json | sed -n 's/.*"seq": *\([0-9]*\).*/\1/p' | head -n 1)
    test "${newest:-0}" -ge "$1"
}
until_true() { # until_true COMMAND...
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || return 1
        sleep 0.2
    done
}

claim "the root is read-only" sh -c "! touch /etc/x && ! touch $settings/x"
(cd /root/canteen-agent && exec python3 -m tests.debian13.serial_card /run/serial-reader) &
serial=$!
claim "the agent starts" systemctl start canteen-agent
claim "a card is recorded" until_true seq 1
before=$(canteen-agent ledger --newest 1 --json | sed -n 's/.*"seq": *\([0-9]*\).*/\1/p' | head -n 1)
claim "the doctor sees the state folder on a disk" sh -c \
    "canteen-agent doctor | grep '^ok *storage.medium'; canteen-agent doctor | grep '^ok *storage.folder'"
systemctl kill -s KILL canteen-agent
claim "after a kill it serves again" until_true canteen-agent status
claim "nothing that was recorded is lost" seq "$before"
kill $serial
