#!/bin/sh
# Tries the units in a booted Debian 13 in which the packages are installed: a wrong set-up ends in
# `failed` with a reason and does not start again and again, and the doctor names it. A right one
# runs.
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

names() { # names ID WORDS: the doctor names the fault
    canteen-agent doctor > /tmp/doctor.txt 2>&1 || true
    if grep -q "^fault *$1 .*$2" /tmp/doctor.txt; then echo "ok: doctor: $1: $2"; else
        cat /tmp/doctor.txt
        echo "WRONG: the doctor does not say: $1: $2"
        exit 1
    fi
}

well() { # well ID: the doctor sees nothing wrong with it
    canteen-agent doctor > /tmp/doctor.txt 2>&1 || true
    if grep -q "^ok *$1 " /tmp/doctor.txt && ! grep -q "^fault *$1 " /tmp/doctor.txt; then
        echo "ok: doctor: $1 is well"
    else
        cat /tmp/doctor.txt
        echo "WRONG: the doctor does not say that $1 is well"
        exit 1
    fi
}

ends 243 "a missing credential ends in failed"
names service.state "failed with 243: a secret of the unit is missing"
echo 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff > $settings/card-key
echo none > $settings/tls-key
ends 78 "a missing agent.toml ends in failed"
names service.state "failed with 78: the configuration is wrong"
names configuration.file "agent.toml: cannot be read"
echo x > $settings/agent.toml
ends 78 "a wrong agent.toml ends in failed"
names configuration.file "agent.toml: "
cat > $settings/agent.toml << END
town = "borgofiorito"
terminal = "t-1"
card_key_file = "credential:card-key"
[broker]
url = "mqtt://127.0.0.1:1"
[[reader]]
name = "counter"
profile = "rdm6300"
port = "/dev/serial/by-path/none"
END
chmod 600 $settings/agent.toml
ends 78 "an unreadable agent.toml ends in failed"
names configuration.file "the user canteen-agent may not read it"
chmod 644 $settings/agent.toml
well configuration.file
chmod 644 $settings/card-key
names credential.file "card-key has mode 0644"
chmod 600 $settings/card-key
well credential.file
mv /usr/bin/canteen-agent /usr/bin/canteen-agent.away
ends 203 "a missing program ends in failed"
mv /usr/bin/canteen-agent.away /usr/bin/canteen-agent
userdel canteen-agent
ends 217 "a missing user ends in failed"
names service.state "failed with 217: the user canteen-agent is missing"
systemd-sysusers
chown -R canteen-agent: /var/lib/canteen-agent 2> /dev/null || true
begin
well service.state
well agent.answer
names agent.reader "counter: down"
names reader.plugged "none is missing"
names broker.port "127.0.0.1:1 takes no connection"
names service.enabled "canteen-agent.service is disabled"
systemctl enable canteen-agent 2> /dev/null
well service.enabled
systemctl kill -s KILL canteen-agent
timeout 20 sh -c 'until canteen-agent status > /dev/null 2>&1; do sleep 0.2; done'
well service.state
systemctl stop canteen-agent
names service.state "canteen-agent.service is inactive"
names agent.answer "no agent answers"
systemd-analyze security --no-pager canteen-agent.service canteen-screen.service | tail -n 2
