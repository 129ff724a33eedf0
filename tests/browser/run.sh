#!/bin/sh
# `make test-browser`: installs Chromium and certutil where they are missing (Debian, root), starts the demonstration on
# free ports and drives it. Arguments go to pytest. The pictures are in shots/.
set -eu
cd "$(dirname "$0")/../.."

if ! command -v chromium >/dev/null || ! command -v certutil >/dev/null; then
	packages="chromium fonts-dejavu-core libnss3-tools"
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "test-browser: not installed: chromium or certutil. As root: apt-get install $packages" >&2
		exit 1
	fi
	echo "Installing $packages …"
	log=$(mktemp)
	{
		apt-get update -qq &&
			DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
				$packages
	} >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		echo "test-browser: apt-get could not install $packages" >&2
		exit 1
	}
	rm -f "$log"
fi

# What the caller's shell says to a broker is not meant for this one.
for name in $(env | sed -n 's/^\(BROKER_[A-Z_]*\|DJANGO_[A-Z_]*\)=.*/\1/p'); do
	unset "$name"
done
folder=$(mktemp -d)
demonstration=
stop() {
	if [ -n "$demonstration" ]; then
		kill "$demonstration" 2>/dev/null || true
		wait "$demonstration" 2>/dev/null || true
	fi
	rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

PORT=$(.venv/bin/python -m tests.browser.ports) BROKER_VAR=$folder/var \
	.venv/bin/python -m demo >"$folder/said" 2>&1 &
demonstration=$!
waited=0
until grep -q "one-time password" "$folder/said"; do
	waited=$((waited + 1))
	if ! kill -0 "$demonstration" 2>/dev/null || [ "$waited" -gt 240 ]; then
		cat "$folder/said" >&2
		echo "test-browser: the demonstration did not start" >&2
		exit 1
	fi
	sleep 0.5
done

rm -rf shots
status=0
BROWSER_FOLDER=$folder .venv/bin/python -m pytest -p no:cacheprovider \
	-o addopts='-ra --strict-markers --strict-config' -q tests/browser "$@" || status=$?
if ! kill -0 "$demonstration" 2>/dev/null; then
	tail -n 60 "$folder/said" >&2
	echo "test-browser: the demonstration ended before the tests did" >&2
	status=1
fi
exit "$status"
