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

ends() { # ends CODE WORDS: the unit failed with this code and a sentence, and was not started again
    since=$(date '+%F %T')
    begin
    sleep 3 # longer than RestartSec
    state=$(systemctl show canteen-agent -p ActiveState -p ExecMainStatus -p NRestarts | tr '\n' ' ')
    expected="NRestarts=0 ExecMainStatus=$1 ActiveState=failed "
    sentence=$(journalctl -u canteen-agent --since "$since" -p warning -o cat --no-pager | head -n 1)
    if [ "$state" = "$expected" ] && [ -n "$sentence" ]; then echo "ok: $2: $sentence"; else
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

scores() { # scores UNIT SCORE_MAX: what systemd says of the unit's sandbox, 10 for none
    score=$(systemd-analyze security --no-pager "$1" | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
    if awk "BEGIN { exit !($score <= $2) }"; then echo "ok: $1 scores $score"; else
        systemd-analyze security --no-pager "$1" | grep -v "✓"
        echo "WRONG: $1 scores $score, more than $2"
        exit 1
    fi
}

claim() { # claim WORDS COMMAND...
    words=$1
    shift
    if "$@" > /tmp/claim 2>&1; then echo "ok: $words"; else
        cat /tmp/claim
        echo "WRONG: $words: $*"
        exit 1
    fi
}

# The unit says what is left and why. Less would take away the look at the clock, or the readers.
scores canteen-agent.service 1.7
scores canteen-screen.service 1.1
claim "systemd has nothing to say of the units" sh -c \
    "systemd-analyze verify canteen-agent.service canteen-screen.service 2>&1 | tee /tmp/verify; test ! -s /tmp/verify"

ends 243 "a missing credential ends in failed"
names service.state "failed with 243: a secret of the unit is missing"
echo 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff > $settings/card-key
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
sed -i 's/"borgofiorito"/"borgo fiorito"/' $settings/agent.toml
ends 78 "a wrong name of a town ends in failed"
sed -i 's/"borgo fiorito"/"borgofiorito"/; s/"rdm6300"/"rdm9999"/' $settings/agent.toml
ends 78 "an unknown profile ends in failed"
sed -i 's/"rdm9999"/"rdm6300"/' $settings/agent.toml
mv $settings/card-key $settings/card-key.right
echo 0011 > $settings/card-key
ends 78 "a wrong card key ends in failed"
mv $settings/card-key.right $settings/card-key
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

# Readers in the unit's sandbox: one of serial bytes, and one of PC/SC for which polkit is asked.
sed -i 's/^FRIENDLYNAME.*/FRIENDLYNAME "ACS ACR122U PICC Interface"/' /etc/reader.conf.d/vpcd
systemctl restart pcscd.service polkit.service
(cd /root/canteen-agent && exec python3 -m tests.debian13.serial_card /run/serial-reader) &
serial=$!
sed -i 's,^port.*,port = "/run/serial-reader",' $settings/agent.toml
cat >> $settings/agent.toml << END
[[reader]]
name = "desk"
profile = "acs-acr122u"
END
begin
ready() { # ready NAME: the agent can use this reader
    timeout 20 sh -c "until canteen-agent status | grep 'reader $1 .*ready'; do sleep 0.2; done"
}
claim "a serial reader is ready" ready counter
claim "a PC/SC reader is ready" ready desk
claim "a card at the serial reader is recorded" timeout 20 sh -c \
    "until canteen-agent ledger --json | grep -q '\"seq\": *1'; do sleep 0.2; done"

# Groups, with real users.
for group in staff technician; do
    useradd "a-$group"
    usermod -aG "canteen-$group" "a-$group"
done
useradd a-nobody
as() { # as USER COMMAND...
    user=$1
    shift
    runuser -u "$user" -- "$@"
}
db=/var/lib/canteen-agent/terminal.db
claim "technicians see the status" as a-technician canteen-agent status
claim "technicians give commands" as a-technician canteen-agent day "$(date +%F)"
claim "technicians read the ledger while the agent runs" as a-technician canteen-agent ledger verify
claim "technicians do not write the ledger" as a-technician sh -c "! test -w $db"
claim "staff see the status" as a-staff canteen-agent status
claim "staff give no commands" as a-staff sh -c \
    "! canteen-agent day $(date +%F) && ! test -w /var/lib/canteen-agent/control.sock"
claim "staff do not read the ledger" as a-staff sh -c "! canteen-agent ledger && ! test -r $db"
claim "the screen's user is one of the staff" as a-staff test -w /var/lib/canteen-agent/staff.sock
claim "others see nothing" as a-nobody sh -c "! canteen-agent status && ! canteen-agent ledger"
for user in a-staff a-technician a-nobody canteen-screen; do
    claim "$user does not see the town's key" as "$user" sh -c \
        "! cat $settings/card-key && ! cat /run/credentials/canteen-agent.service/card-key"
done
systemctl start canteen-screen
claim "the screen shows the terminal" timeout 20 sh -c "until python3 -c \"
import urllib.request
lines = urllib.request.urlopen('http://127.0.0.1:8080/events')
assert b'snapshot' in lines.readline() + lines.readline()
\"; do sleep 0.2; done"
systemctl kill -s KILL canteen-agent
systemctl stop canteen-agent
claim "a killed agent leaves its log" test -s "$db-wal"
claim "technicians read the ledger while the agent is stopped" as a-technician \
    canteen-agent ledger verify
claim "technicians look with the doctor" sh -c \
    "runuser -u a-technician -- canteen-agent doctor | grep '^ok *storage.database'"
kill $serial

# A main loop that stands still: the watchdog ends it, and the journal names the line.
mkdir -p /opt/stuck /run/systemd/system/canteen-agent.service.d
cat > /opt/stuck/sitecustomize.py << END
import signal


def stand_still(*_):
    while True:
        pass


signal.signal(signal.SIGALRM, stand_still)
signal.setitimer(signal.ITIMER_REAL, 4)
END
cat > /run/systemd/system/canteen-agent.service.d/stuck.conf << END
[Service]
WatchdogSec=3
Environment=PYTHONPATH=/opt/stuck
END
systemctl daemon-reload
begin
claim "a main loop that stands still is ended" timeout 30 sh -c \
    "until journalctl -u canteen-agent | grep -q 'Watchdog timeout'; do sleep 0.5; done; sleep 1"
claim "the journal names the line where it stood" sh -c \
    "journalctl -u canteen-agent -o cat | grep -A 200 'Fatal Python error: Aborted' | tee /tmp/trace;
     grep 'sitecustomize.py\", line [56] in stand_still' /tmp/trace && grep 'process.py' /tmp/trace"
rm -r /run/systemd/system/canteen-agent.service.d
systemctl daemon-reload
systemctl restart canteen-agent
canteen-agent doctor > /tmp/doctor.txt 2>&1 || true
claim "the doctor knows of it" grep '^warning *machine.boots .*hung' /tmp/doctor.txt

# Limits of the machine, which the package sets.
claim "the machine's own watchdog is used" sh -c \
    "systemctl show -p RuntimeWatchdogUSec | grep =30s"
claim "the logs of earlier boots are kept, within a limit" sh -c \
    "systemd-analyze cat-config systemd/journald.conf | grep SystemMaxUse=64M; test -d /var/log/journal"
systemctl stop canteen-agent

# The devices of readers under the unit's DevicePolicy. No keyboard is plugged in here: of one that is
# allowed the kernel says that there is none.
mkdir -p /dev/input
mknod /dev/input/event0 c 13 64
mknod /dev/not-listed c 10 200
unit=/usr/lib/systemd/system/canteen-agent.service
listed=$(sed -n 's/^\(Device[A-Za-z]*\)=\(.*\)/-p "\1=\2"/p' $unit | tr '\n' ' ')
closed="-p DevicePolicy=closed"
opens() { # opens DEVICE PROPERTIES: print what the kernel says to a program with these properties
    eval "systemd-run --quiet --pipe --wait $2 python3 -c '
import errno, os, sys
try:
    os.close(os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
    print(\"open\")
except OSError as error:
    print(errno.errorcode[error.errno])' $1"
}
claim "a device that the unit does not list is refused" test "$(opens /dev/not-listed "$listed")" = EPERM
claim "a keyboard reader needs its line in the unit" test "$(opens /dev/input/event0 "$closed")" = EPERM
claim "a keyboard reader is allowed" test "$(opens /dev/input/event0 "$listed")" = ENXIO
if [ -e /sys/class/tty/ttyS0 ]; then
    mknod /dev/ttyS0 c 4 64 2> /dev/null || true
    claim "a serial port needs its line in the unit" test "$(opens /dev/ttyS0 "$closed")" = EPERM
    claim "a serial port is allowed" test "$(opens /dev/ttyS0 "$listed")" = open
fi
