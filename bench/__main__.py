"""All ratios in one run: `python -m bench`, or with `--quick` or BENCH_QUICK=1 for fewer rounds."""

import argparse
import logging
import os
import platform
from datetime import UTC, datetime

from bench import access, jwt, login, provisioning, saml, satosa, scim, token_request, tokens


def main() -> None:
    parser = argparse.ArgumentParser(description="Ratios beside named peers and limits, as paired medians of one run.")
    parser.add_argument("--quick", action="store_true", help="few rounds: whether it runs, not how fast")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    is_quick = arguments.quick or bool(os.environ.get("BENCH_QUICK"))
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}, {os.cpu_count()} cores")
    print("\n== JWT ==")
    jwt.main(rounds=10 if is_quick else 60)
    print("\n== A token request ==", flush=True)
    token_request.main(rounds=5 if is_quick else 60)
    print("\n== Tokens beside oidc-provider and django-oauth-toolkit ==", flush=True)
    tokens.main(rounds=2 if is_quick else 15, seconds=1 if is_quick else 2, is_quick=is_quick)
    print("\n== SAML ==")
    saml.main(rounds=4 if is_quick else 25)
    print("\n== Login ==")
    login.main(rounds=4 if is_quick else 20)
    print("\n== Decisions ==", flush=True)
    access.main(rounds=3 if is_quick else 40)
    print("\n== A login beside SATOSA ==", flush=True)
    satosa.main(rounds=3 if is_quick else 15, is_quick=is_quick)
    if is_quick:
        # Their databases alone take longer than all of the above: `python -m bench.scim --quick` and so on run them.
        print("\nleft out: SCIM and provisioning; a run without --quick has them")
        return
    print("\n== SCIM beside django-scim2 ==", flush=True)
    scim.main(rounds=8, seconds=2)
    print("\n== Provisioning ==", flush=True)
    provisioning.main()


if __name__ == "__main__":
    main()
