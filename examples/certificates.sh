#!/bin/sh
# Make an authority for 30 days, and what the examples of TLS need of it, in the directory WHERE:
#
#     sh examples/certificates.sh WHERE NAMESPACE NAME...
#
# ca.crt; tls.crt and tls.key for the NAMEs; client.crt and client.key of a client, revoked.crt and revoked.key of one
# that may come no more; and tls-secret.yaml with the Secrets `secure-tls` (the NAMEs), `client` (what a client shows)
# and `authority` (ca.crt, and crl.pem, which lists the revoked one) for NAMESPACE.
set -eu
directory=$1 namespace=$2
shift 2
mkdir -p "$directory"
cd "$directory"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=examples \
  -keyout ca.key -out ca.crt 2>/dev/null

issue() { # FILE NAME...: a certificate for these names
  file=$1
  shift
  names=$(printf ',DNS:%s' "$@")
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
    -keyout "$file.key" -out "$file.csr" 2>/dev/null
  printf 'subjectAltName=%s\n' "${names#,}" >extensions
  openssl x509 -req -in "$file.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile extensions \
    -out "$file.crt" 2>/dev/null
}

issue tls "$@"
issue client alice.example
issue revoked mallory.example

printf '[ca]\ndefault_ca=this\n[this]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=30\n' >ca.conf
: >index.txt
openssl ca -config ca.conf -keyfile ca.key -cert ca.crt -revoke revoked.crt 2>/dev/null
openssl ca -config ca.conf -keyfile ca.key -cert ca.crt -gencrl -out crl.pem 2>/dev/null

secret() { # NAME TYPE KEY=FILE...
  printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\ntype: %s\ndata:\n' \
    "$1" "$namespace" "$2"
  shift 2
  for one in "$@"; do
    printf '  %s: %s\n' "${one%%=*}" "$(base64 <"${one#*=}" | tr -d '\n')"
  done
}

{
  secret secure-tls kubernetes.io/tls tls.crt=tls.crt tls.key=tls.key
  secret client kubernetes.io/tls tls.crt=client.crt tls.key=client.key
  secret authority Opaque ca.crt=ca.crt crl.pem=crl.pem
} >tls-secret.yaml
rm -f ca.conf index.txt* extensions ./*.csr ./*.srl
