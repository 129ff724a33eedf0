#!/bin/sh
# `make test-peers`: installs the peers, then brokers between them. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/../.."
sh tests/peers/install.sh
exec .venv/bin/python -m pytest -p no:cacheprovider -o addopts='-ra --strict-markers --strict-config' -q tests/peers "$@"
