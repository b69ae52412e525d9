#!/bin/sh
# Tries the units in a booted Debian 13 in which the packages are installed: a wrong set-up ends in
# `failed` with a reason and does not start again and again, and a right one serves.
set -eu
settings=/etc/canteen-agent

begin() { # begin: start the unit, wait until systemd has decided
    systemctl reset-failed canteen-agent 2> /dev/null || true
    timeout 20 systemctl start canteen-agent > /dev/null 2>&1 || true
}

ends() { # ends CODE WORDS: the unit failed with this code, and was not started again
    begin
    sleep 3 # longer than RestartSec
    state=$(systemctl show canteen-agent -p ActiveState -p ExecMainStatus -p NRestarts | tr '\n' ' ')
    expected="NRestarts=0 ExecMainStatus=$1 ActiveState=failed "
    if [ "$state" = "$expected" ]; then echo "ok: $2"; else
        journalctl -u canteen-agent --no-pager | tail -n 5
        echo "WRONG: $2: $state, not $expected"
        exit 1
    fi
}

ends 243 "a missing credential ends in failed"
echo 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff > $settings/card-key
echo none > $settings/tls-key
ends 78 "a missing agent.toml ends in failed"
echo x > $settings/agent.toml
ends 78 "a wrong agent.toml ends in failed"
chmod 600 $settings/agent.toml
ends 78 "an unreadable agent.toml ends in failed"
chmod 644 $settings/agent.toml
mv /usr/bin/canteen-agent /usr/bin/canteen-agent.away
ends 203 "a missing program ends in failed"
mv /usr/bin/canteen-agent.away /usr/bin/canteen-agent
userdel canteen-agent
ends 217 "a missing user ends in failed"
systemd-sysusers
systemd-analyze security --no-pager canteen-agent.service canteen-screen.service | tail -n 2
