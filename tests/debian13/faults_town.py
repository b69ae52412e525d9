"""The faults of broker, central, screen and versions that are planted in a booted Debian 13."""

from tests.debian13.fault import AGAIN, START, STATE, STOP, Planted, toml

CENTRAL = "canteen-central --db /var/lib/canteen-central/central.db"
BROKER = "systemctl restart mosquitto"
BROKER_FILES = "/etc/mosquitto/canteen"
OWN = f"{STATE}/terminal.pem"
MADE = "cd /root/canteen-agent; python3 -m tests.debian13.certificates"
NEXT = "/etc/apt/sources.list.d/next.list"
OURS = "canteen-common{0} canteen-agent{0} canteen-screen{0} canteen-central{0}"

TLS = (
    Planted(
        how="the terminal's certificate ends soon",
        plant=f"{MADE} own 345 > {OWN}",
        check="broker.certificate",
        seen="in 19 days",
    ),
    Planted(
        how="the terminal's certificate has ended",
        plant=f"{MADE} own 400 > {OWN}",
        check="broker.certificate",
        seen="ended on",
    ),
    Planted(
        how="the terminal has no certificate",
        plant=f"rm {OWN}",
        check="broker.tls",
        seen="No such file",
    ),
    Planted(
        how="the terminal's key is broken",
        plant=f"echo no key > {OWN}",
        check="broker.tls",
        seen="cannot be used as certificate and key",
    ),
    Planted(
        how="the terminal's certificate is taken back",
        plant=f"{CENTRAL} enrol revoke t-1; {CENTRAL} broker-config; {BROKER}",
        check="broker.tls",
        seen="is revoked",
    ),
    Planted(
        how="the broker's authority is another town's",
        plant=f"{MADE} broker > {BROKER_FILES}/broker.pem; {BROKER}",
        check="broker.tls",
        seen="of an authority that ca_file does not hold",
    ),
    Planted(
        how="the broker does not know the town's authority",
        plant=f"{MADE} authority > {BROKER_FILES}/ca.crt;"
        f" sed -i '/^crlfile/d' /etc/mosquitto/conf.d/canteen.conf; {BROKER}",
        check="broker.tls",
        seen="does not know the authority",
    ),
    toml(
        "the broker's certificate has another name",
        "^url = .*",
        'url = "mqtts://127.0.0.1:8883"',
        "certificate is for another",
        "broker.tls",
    ),
)
LINK = (
    toml(
        "the broker's name has no address",
        "^url = .*",
        'url = "mqtts://broker.invalid"',
        "broker.invalid has no address",
        "broker.name",
    ),
    Planted(
        how="nothing listens at the broker's port",
        plant="systemctl stop mosquitto",
        check="broker.port",
        seen="takes no connection",
    ),
    Planted(
        how="the link is down",
        plant=f"systemctl stop mosquitto; {START}",
        check="agent.link",
        seen="down: broker",
        hand=BROKER,
    ),
    Planted(
        how="the broker's access list denies entries",
        plant=f"sed -i '/^pattern write/d' {BROKER_FILES}/acl; {BROKER}; {START}",
        check="agent.link",
        seen="up, but",
        after=START,
    ),
    Planted(
        how="the central books nothing",
        plant=f"systemctl stop canteen-central; {START}",
        check="agent.booked",
        seen="nothing booked since",
    ),
    Planted(
        how="the central never answers",
        plant=f"systemctl stop canteen-central; {STOP}; rm {STATE}/terminal.db*; {START}",
        check="agent.central",
        seen="has never answered",
    ),
    Planted(
        how="the central has closed the terminal",
        plant=f"{CENTRAL} terminals retire t-1",
        check="agent.central",
        seen="has closed this terminal",
    ),
)
SCREEN = (
    Planted(
        how="the staff's page is stopped",
        plant="systemctl stop canteen-screen",
        check="screen.answer",
        seen="no page at port 8080",
    ),
    Planted(
        how="another program has the port of the staff's page",
        plant="systemctl stop canteen-screen;"
        " (exec python3 -m http.server -b 127.0.0.1 -d /none 8080 > /dev/null 2>&1 &); sleep 2",
        check="screen.answer",
        seen="is no page of ours",
    ),
)
UPGRADE = (
    Planted(
        how="the ledger is of a newer program",
        plant=f"echo 'deb [trusted=yes] file:/srv/next ./' > {NEXT}; apt-get update;"
        f" apt-get install -y {OURS.format('=0.1.1')}; {START};"
        f" apt-get install -y --allow-downgrades {OURS.format('=0.1.0')}; {START}",
        check="storage.database",
        seen="newer program",
        after=f"rm {NEXT}; {AGAIN}",
    ),
)
TOWN = (*TLS, *LINK, *SCREEN, *UPGRADE)
