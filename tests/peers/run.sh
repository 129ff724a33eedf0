#!/bin/sh
# `make test-peers`: installs the peers, runs the documents' snippets for Node, then brokers between the
# peers. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/../.."
sh tests/peers/install.sh
.venv/bin/python -m pytest -p no:cacheprovider -q -m node tests/docs
exec .venv/bin/python -m pytest -p no:cacheprovider -o addopts='-ra --strict-markers --strict-config' -q tests/peers "$@"
