#!/bin/sh
# Writes a folder that apt installs from, signed with a key of yours: make apt-repo KEY=…
#
#   packaging/apt-repo.sh DEBS FOLDER KEY
#
# Packages that are in the folder already stay, so that a terminal can go back to them.
set -eu
debs=$1 folder=$2 key=$3
suite=trixie

for tool in apt-ftparchive gpg; do
    command -v $tool > /dev/null || { echo "missing: apt-get install apt-utils gnupg" >&2; exit 1; }
done
gpg --list-secret-keys "$key" > /dev/null
mkdir -p "$folder/pool" "$folder/dists/$suite/main"
cp "$debs"/*.deb "$folder/pool"
cd "$folder"
# The packages are for all architectures; apt asks for those of its own.
for arch in amd64 arm64; do
    mkdir -p "dists/$suite/main/binary-$arch"
    apt-ftparchive packages pool > "dists/$suite/main/binary-$arch/Packages"
    xz -kf "dists/$suite/main/binary-$arch/Packages"
done
rm -f "dists/$suite/Release" "dists/$suite/InRelease"
apt-ftparchive -o APT::FTPArchive::Release::Origin=canteen \
    -o APT::FTPArchive::Release::Suite=$suite -o APT::FTPArchive::Release::Codename=$suite \
    -o APT::FTPArchive::Release::Components=main \
    -o "APT::FTPArchive::Release::Architectures=amd64 arm64" \
    release "dists/$suite" > .release
mv .release "dists/$suite/Release"
gpg --batch --yes --local-user "$key" --clearsign -o "dists/$suite/InRelease" "dists/$suite/Release"
gpg --batch --yes --armor --export -o canteen.asc "$key"
echo "written: $folder; terminals need canteen.asc, see docs/start/updates.md"
