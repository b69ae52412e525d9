#!/bin/sh
# Tries the signed folder of packages in a clean Debian 13, as root: install, refuse what is not
# signed, upgrade by itself, and go back. `make deb ONLY=repo` calls it there.
set -eu
debs=$(realpath "$1")
cd "$(dirname "$0")/.."
export DEBIAN_FRONTEND=noninteractive
repo=/srv/canteen

claim() { # claim WORDS COMMAND...
    words=$1
    shift
    if "$@" > /tmp/claim 2>&1; then echo "ok: $words"; else
        cat /tmp/claim
        echo "WRONG: $words: $*"
        exit 1
    fi
}
version() {
    dpkg-query -W -f '${Version}' "$1"
}

apt-get update -qq
apt-get install -y -qq --no-install-recommends apt-utils gnupg xz-utils unattended-upgrades > /dev/null
gpg --batch --quiet --passphrase '' --quick-generate-key try@canteen.example ed25519 sign 1d
claim "a folder is written" packaging/apt-repo.sh "$debs" $repo try@canteen.example

# As docs/start/updates.md says.
install -D -m 644 $repo/canteen.asc /etc/apt/keyrings/canteen.asc
cat > /etc/apt/sources.list.d/canteen.sources << END
Types: deb
URIs: file:$repo
Suites: trixie
Components: main
Signed-By: /etc/apt/keyrings/canteen.asc
END
cat > /etc/apt/apt.conf.d/51canteen << 'END'
Unattended-Upgrade::Origins-Pattern { "origin=canteen,codename=trixie"; };
END
claim "apt reads the folder" apt-get update -qq
claim "a terminal is installed from it" apt-get install -y -qq --no-install-recommends canteen-screen
claim "the program starts" canteen-agent --version
cp -r $repo /srv/right
printf 'X' >> $repo/dists/trixie/main/binary-amd64/Packages
rm $repo/dists/trixie/main/binary-*/Packages.xz
rm -rf /var/lib/apt/lists/*srv_canteen*
claim "apt refuses a list that was changed" sh -c "! apt-get update -qq -o APT::Update::Error-Mode=any"
rm -rf $repo /var/lib/apt/lists/*srv_canteen*
mv /srv/right $repo

packaging/next-version.sh "$debs" /root/next
claim "a next version is added" packaging/apt-repo.sh /root/next $repo try@canteen.example
apt-get update -qq
claim "it is installed by itself" unattended-upgrade -v
claim "the terminal has the next version" test "$(version canteen-agent)" = 0.1.1
claim "and so has its screen" test "$(version canteen-screen)" = 0.1.1
claim "the way back is one command" apt-get install -y -qq --allow-downgrades --no-install-recommends \
    canteen-common=0.1.0 canteen-agent=0.1.0 canteen-screen=0.1.0
claim "the version before is back" test "$(version canteen-agent)" = 0.1.0
