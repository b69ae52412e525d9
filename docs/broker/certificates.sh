#!/bin/sh
# Makes a town's certificates with openssl, in the current folder.
#
#   sh certificates.sh ca NAME           ca.crt, ca.key: the authority that signs the others
#   sh certificates.sh broker HOST       broker.crt, broker.key; HOST is a DNS name or IPv4 address
#   sh certificates.sh client IDENTITY   IDENTITY.crt, IDENTITY.key: for a terminal or a central
#
# DAYS is how long a certificate is valid: DAYS=365 sh certificates.sh client borgofiorito/t/t-1
# Python 3.13 and later verify strictly: they refuse a CA without keyUsage or a certificate without
# authorityKeyIdentifier. So every extension is written here and none is left to openssl's defaults.
set -eu
umask 077
COMMON_NAME_MAX=64 # characters, by X.509

usage() {
    echo "usage: sh certificates.sh ca NAME | broker HOST | client IDENTITY" >&2
    echo "IDENTITY: TOWN/central or TOWN/t/TERMINAL" >&2
    exit 2
}

refuse() {
    echo "certificates.sh: $1" >&2
    exit 1
}

settings() { # the common name, then the lines of the extensions
    cat <<END
[req]
prompt = no
utf8 = yes
distinguished_name = name
[name]
CN = $1
[extensions]
$2
END
}

key_of() { # the file
    mkdir -p "$(dirname "$1")"
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
}

signed() { # the file, the common name, the lines of the extensions
    [ -f ca.key ] || refuse "no ca.key in this folder; make it first: sh certificates.sh ca NAME"
    key_of "$1"
    settings "$2" "$3" >"$1.cnf"
    openssl req -new -config "$1.cnf" -key "$1.key" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days "${DAYS:-730}" \
        -extfile "$1.cnf" -extensions extensions -out "$1.crt"
    chmod 644 "$1.crt"
    rm "$1.cnf" "$1.csr"
}

[ $# = 2 ] || usage
[ ${#2} -le $COMMON_NAME_MAX ] ||
    refuse "'$2' has ${#2} characters; a common name has at most $COMMON_NAME_MAX"

case $1 in
ca)
    [ ! -e ca.key ] || refuse "ca.key exists; a new one would make every certificate useless"
    key_of ca
    settings "$2" 'basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash' >ca.cnf
    openssl req -x509 -new -config ca.cnf -extensions extensions -key ca.key \
        -days "${DAYS:-3650}" -out ca.crt
    chmod 644 ca.crt
    rm ca.cnf
    ;;
broker)
    if expr "$2" : '[0-9.]*$' >/dev/null; then kind=IP; else kind=DNS; fi
    signed broker "$2" "basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = $kind:$2
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid"
    ;;
client)
    id='[A-Za-z0-9._-][A-Za-z0-9._-]*'
    expr "$2" : "$id/central\$" >/dev/null || expr "$2" : "$id/t/$id\$" >/dev/null ||
        refuse "'$2' is no identity; write TOWN/central or TOWN/t/TERMINAL"
    signed "$2" "$2" 'basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid'
    ;;
*) usage ;;
esac
