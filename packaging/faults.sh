#!/bin/sh
# Plants the table of faults (tests/debian13/faults.py) in a booted Debian 13 that is central, broker
# and terminal at once: each is named by the doctor, and mended by the line that the doctor prints.
set -eu
db=/var/lib/canteen-central/central.db
settings=/etc/canteen-agent

central() {
    canteen-central --db $db "$@"
}
within() { # within SECONDS COMMAND, until it succeeds
    seconds=$1
    shift
    timeout "$seconds" sh -c "until $*; do sleep 0.2; done"
}

central init --town borgofiorito > /dev/null
central ca init --enrol localhost:8884 --broker mqtts://localhost:8883 > /dev/null
central broker-config > /dev/null
systemctl restart mosquitto
central service primaria lunch --opens 00:00 --closes 23:59 --weekdays 1234567 > /dev/null
systemctl enable --now canteen-central canteen-central-enrol 2> /dev/null

# Two readers: one of PC/SC, which enrol configures, and one of serial bytes.
sed -i 's/^FRIENDLYNAME.*/FRIENDLYNAME "Identiv uTrust 3700 F CL Reader"/' /etc/reader.conf.d/vpcd
systemctl restart pcscd.service polkit.service
(cd /root/canteen-agent && exec python3 -m tests.debian13.serial_card /run/serial-reader) &
serial=$!
within 20 "test -e /run/serial-reader"
readlink /run/serial-reader > /run/serial-pty
code=$(central enrol new t-1 --site primaria | sed -n 's/.*canteen-agent enrol //p')
canteen-agent enrol "$code" > /dev/null
cat >> $settings/agent.toml << END

[[reader]]
name = "desk"
profile = "rdm6300"
port = "/run/serial-reader"
END
systemctl restart canteen-agent
systemctl enable --now canteen-screen 2> /dev/null
within 30 "canteen-agent status | grep -q 'link .*up'"
mkdir -p /root/right
cp $settings/* /root/right

cd /root/canteen-agent
python3 -m tests.debian13.planted
kill $serial
