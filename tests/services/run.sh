#!/bin/sh
# `make test-services`: installs PostgreSQL and Redis where they are missing (Debian, root), then runs the whole suite
# on them, or what SUITE names (`make test-faults`). Arguments go there.
set -eu
cd "$(dirname "$0")/../.."

missing=
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing="$missing postgresql"
command -v redis-server >/dev/null || missing="$missing redis-server"
if [ -n "$missing" ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "${SUITE:-tests.services}: not installed:$missing. As root: apt-get install --no-install-recommends$missing" >&2
		exit 1
	fi
	echo "Installing$missing …"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	# shellcheck disable=SC2086 # a list of names
	{
		apt-get update -qq &&
			apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing
	} >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		echo "${SUITE:-tests.services}: apt-get could not install$missing" >&2
		exit 1
	}
	rm -f "$log"
fi
exec .venv/bin/python -m "${SUITE:-tests.services}" "$@"
