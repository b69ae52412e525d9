#!/bin/sh
# Runs the tests of the rooms with Debian 13's own versions of all libraries, in a clean Debian 13,
# as root. `make deb` calls it there. The packages of the project are installed already.
set -eu
cd "$(dirname "$0")/.."
export DEBIAN_FRONTEND=noninteractive

apt-get update -qq
apt-get install -y -qq --no-install-recommends "$1"/*.deb mosquitto openssl faketime e2fsprogs \
    gcc hledger libc6-dev pcscd poppler-utils vsmartcard-vpcd \
    python3-pytest python3-pytest-timeout python3-hypothesis python3-jsonschema python3-yaml \
    > /dev/null
python3 -m pip --version > /dev/null 2>&1 && exit 1 # nothing here may come from another index
dpkg-query -W -f '${Package} ${Version}\n' python3-click python3-msgspec python3-paho-mqtt \
    python3-rich python3-tenacity sqlite-utils python3-pyscard python3-serial python3-evdev \
    python3-starlette python3-uvicorn python3-babel python3-openpyxl
# Known faults of paho-mqtt 2.1.0, see docs/decisions/0032: these fail, and nothing else may.
known="test_the_keep_alive_of_the_broker_is_used or test_the_reason_of_a_disconnection_has_words"
known="$known or test_a_client_whose_identity_is_in_use_elsewhere_is_a_takeover_and_backs_off"
rooms="tests/domain tests/store tests/sync tests/terminal tests/central tests/readers"
python3 -m pytest -q $rooms -k "not ($known)"
echo "left out: $known"
