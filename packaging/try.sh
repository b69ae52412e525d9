#!/bin/sh
# Tries the Debian packages of a folder in a clean Debian 13, as root: install, upgrade, use,
# remove, purge. `make deb` calls it there. Ends with 1 at the first thing that is wrong.
set -eu
debs=$(realpath "$1")
export DEBIAN_FRONTEND=noninteractive
state=/var/lib/canteen-agent
older=$(realpath "$(dirname "$0")/../tests/central/books/frozen/schema-1.sql")

claim() { # claim WORDS COMMAND...
    words=$1
    shift
    if "$@" > /tmp/claim 2>&1; then echo "ok: $words"; else
        cat /tmp/claim
        echo "WRONG: $words: $*"
        exit 1
    fi
}

apt-get update -qq
apt-get install -y -qq --no-install-recommends "$debs"/*.deb polkitd man-db openssl > /dev/null

claim "the programs start" canteen-agent --version
claim "the central starts" canteen-central --version
cd /root
claim "a central makes its books" canteen-central --db prova.db init --town prova
claim "its books are in order" canteen-central --db prova.db check
claim "an older central's books are taken over" sh -c "python3 -c 'import sqlite3; \
    sqlite3.connect(\"older.db\").executescript(open(\"$older\").read())' && \
    canteen-central --db older.db check"
claim "PostgreSQL's driver came with it" sh -c \
    "canteen-central --db postgresql://127.0.0.1:9/x town list 2>&1 | grep 'cannot be opened'"
claim "the screen's program starts" canteen-agent screen --help
claim "every profile passes its self-tests" canteen-agent profile check
claim "the agent's user exists" getent passwd canteen-agent
claim "the screen's user exists" getent passwd canteen-screen
claim "the kiosk's user exists" getent passwd canteen-kiosk
claim "the user of the server of payments exists" getent passwd canteen-central
claim "the kiosk's first page is where its unit looks" sh -c \
    "test -e \$(grep -o '/usr/share/[^#]*' /usr/lib/systemd/system/canteen-kiosk.service)"
claim "systemd accepts the units" systemd-analyze verify \
    /usr/lib/systemd/system/canteen-agent.service /usr/lib/systemd/system/canteen-screen.service \
    /usr/lib/systemd/system/canteen-central-web.service
claim "the manual pages are readable" man --warnings -l /usr/share/man/man8/canteen-agent.8.gz
claim "bash completes words" sh -c \
    "COMP_WORDS='canteen-agent sta' COMP_CWORD=1 _CANTEEN_AGENT_COMPLETE=bash_complete \
    canteen-agent | grep status"
claim "no compiler and no broker came with it" sh -c \
    "! dpkg-query -W -f '\${db:Status-Abbrev} \${Package}\n' | grep -E '^ii +(gcc|mosquitto|vsmartcard-vpcd) '"
claim "a wrong agent.toml ends with 78" sh -c \
    "echo x > /etc/canteen-agent/agent.toml; canteen-agent run; test \$? = 78"

ledger() { # ledger PENDING: a ledger with two entries, of which so many are not acknowledged
    install -d -o canteen-agent "$state"
    rm -f "$state"/terminal.db*
    python3 - "$1" <<'PROGRAM'
import sqlite3
import sys

sql = sqlite3.connect("/var/lib/canteen-agent/terminal.db")
sql.execute("PRAGMA journal_mode = WAL")
sql.execute("CREATE TABLE entry (n INTEGER PRIMARY KEY)")
sql.execute("CREATE TABLE terminal (acked INTEGER)")
sql.executemany("INSERT INTO entry VALUES (?)", [(1,), (2,)])
sql.execute("INSERT INTO terminal VALUES (?)", [2 - int(sys.argv[1])])
sql.commit()
PROGRAM
}

ledger 1
claim "it installs again over itself" apt-get install -y -qq --reinstall "$debs"/canteen-agent_*.deb
claim "an upgrade keeps the ledger" test -e "$state/terminal.db"
claim "it is removed" apt-get remove -y -qq canteen-agent
claim "a removal keeps the ledger" test -e "$state/terminal.db"
claim "a removal leaves no index beside the ledger" test ! -e "$state/terminal.db-shm"
apt-get purge -y -qq canteen-agent > /tmp/purge 2>&1
claim "a purge says that entries wait" grep "entries without acknowledgement: 1" /tmp/purge
claim "a purge keeps a ledger with entries that wait" test -e "$state/terminal.db"
claim "a purge removes the settings" test ! -e /etc/canteen-agent/agent.toml

apt-get install -y -qq --no-install-recommends "$debs"/*.deb > /dev/null
ledger 0
apt-get purge -y -qq canteen-agent > /tmp/purge 2>&1
claim "a purge deletes a ledger that is acknowledged" test ! -e "$state"
rm -rf "$state"
apt-get purge -y -qq 'canteen-*' > /dev/null
claim "no file is left" sh -c "! find /etc /usr /var/lib/canteen* /run -name 'canteen*' | grep ."
