#!/bin/sh
# Tries the Debian packages on arm64, as root: install, profiles, doctor, and a lunch of a few cards.
# `make deb ONLY=arm64` calls it in a Debian 13 of that architecture, under qemu. It is slow.
set -eu
debs=$(realpath "$1")
export DEBIAN_FRONTEND=noninteractive
settings=/etc/canteen-agent
cards=4

claim() { # claim WORDS COMMAND...
    words=$1
    shift
    if "$@" > /tmp/claim 2>&1; then echo "ok: $words"; else
        cat /tmp/claim
        tail -n 20 /tmp/agent.log 2> /dev/null
        echo "WRONG: $words: $*"
        exit 1
    fi
}

claim "this is arm64" test "$(dpkg --print-architecture) $(uname -m)" = "arm64 aarch64"
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$debs"/canteen-common_*.deb "$debs"/canteen-agent_*.deb \
    > /dev/null
claim "every profile passes its self-tests" canteen-agent profile check

echo 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff > $settings/card-key
chmod 600 $settings/card-key
cat > $settings/agent.toml << END
town = "borgofiorito"
terminal = "t-1"
card_key_file = "card-key"
[broker]
url = "mqtt://127.0.0.1:1"
[[reader]]
name = "counter"
profile = "rdm6300"
port = "/run/serial-reader"
END
install -d -o canteen-agent -g canteen-technician -m 711 /var/lib/canteen-agent
canteen-agent run > /tmp/agent.log 2>&1 &
agent=$!
claim "a lunch of $cards cards is recorded" sh -c \
    "cd /root/canteen-agent && timeout 300 python3 -m tests.debian13.lunch /run/serial-reader $cards"
canteen-agent doctor > /tmp/doctor.txt || true
claim "the doctor sees a ledger that is right" grep '^ok *storage.database' /tmp/doctor.txt
claim "the doctor sees the agent" grep '^ok *agent.answer' /tmp/doctor.txt
claim "the doctor names the broker that is not there" grep '^fault *broker.port' /tmp/doctor.txt
kill $agent
wait $agent || true
canteen-agent ledger --json > /tmp/ledger.json
claim "each card has its meal" test "$(grep -o '"served"' /tmp/ledger.json | wc -l)" = "$cards"
claim "the ledger is right after the stop" canteen-agent ledger verify
