#!/bin/sh
# Writes docker/secrets/ for compose.yml: one file per secret, never over one that is there.
# The folder is closed to others; the files in it are readable, because each container reads them with an account of
# its own. Keep master_keys and postgres_password somewhere else too: without them nothing sealed opens again.
set -eu
folder=${1:-$(dirname "$0")/secrets}
umask 077
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

# random BYTES: hexadecimal digits of that many random bytes.
random() {
	od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# keep NAME TEXT: writes the secret if there is none, whole or not at all.
keep() {
	[ -e "$folder/$1" ] && return 0
	printf '%s\n' "$2" >"$folder/.$1.$$"
	ln "$folder/.$1.$$" "$folder/$1"
	rm "$folder/.$1.$$"
	echo "made $folder/$1"
}

keep secret_key "$(random 32)"
keep master_keys "k1:$(head -c 32 /dev/urandom | base64 | tr -d '\n')"
keep metrics_token "$(random 32)"
keep postgres_password "$(random 24)"
keep valkey_password "$(random 24)"
keep database_url "postgresql://countersign:$(cat "$folder/postgres_password")@postgres:5432/countersign"
keep redis_url "redis://:$(cat "$folder/valkey_password")@valkey:6379/0"
