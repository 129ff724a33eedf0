"""A token request as WSGI calls it, beside the raw signature of `cryptography`: `python -m bench.token_request`.

A warm client_credentials request for an RS256 token goes through all middleware, authenticates its client by a secret,
passes the flow register and writes its answer. It asks the database nothing. Its event is made and handed to the line
of those that are committed together, whose write is left out here: `bench.tokens` measures that over HTTP, on
PostgreSQL. What is compared is CPU time of the answering thread. 100 % would be a request that costs its signature.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

TARGET = 0.65
CLIENTS = 64
"""So many take turns, since a client's requests are counted."""


def main(*, rounds: int = 40) -> None:
    """Print the share, from a process with settings of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))}
    subprocess.run([sys.executable, "-m", "bench.token_request", str(rounds)], check=True, env=kept)


def compare(rounds: int) -> None:
    """Measure. Runs in a process whose settings are nobody's yet."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(BROKER_VAR=folder, BROKER_THROTTLE_PROCESSES="1", DJANGO_SETTINGS_MODULE="tests.settings")
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        from bench.paired import paired

        logging.disable(logging.CRITICAL)
        settings.ALLOWED_HOSTS.append("testserver")
        call_command("migrate", verbosity=0)
        leave_out_the_write()
        for algorithm in ("RS256", "ES256"):
            request = token_requests(algorithm)
            for _ in range(2 * CLIENTS):
                request()
            share = paired(
                raw_signature(algorithm), request, rounds=rounds, per_round=20, clock=time.thread_time
            )  # fmt: skip
            wanted = f"; target {TARGET:.0%}" if algorithm == "RS256" else ""
            print(f"{algorithm}: {share.median:.1%} of the raw signature ({share.low:.1%} to {share.high:.1%}){wanted}")
        print(f"{rounds} pairs of 20 requests, {CLIENTS} clients in turn, thread CPU time")


def leave_out_the_write() -> None:
    """Events are made and handed over as on PostgreSQL, and then nobody writes them."""
    from broker.events import grouped

    grouped.may_group = lambda: True
    grouped.committing = grouped.GroupCommit(lambda _rows: None)


def token_requests(algorithm: str) -> Callable[[], object]:
    """What sends one request and reads its answer; the clients take turns."""
    from itertools import cycle

    from bench.services import token_form
    from broker.wsgi import application

    handle, body = application, token_form(algorithm).encode()
    authorizations = cycle(_services().authorizations)
    statuses: list[str] = []

    def start_response(status: str, _headers: list[tuple[str, str]]) -> None:
        statuses[:] = [status]

    def request() -> None:
        response: Any = handle(environ_of("/oauth/token", body, next(authorizations)), start_response)
        b"".join(response)
        response.close()
        if statuses != ["200 OK"]:
            sys.exit(f"the token request answered {statuses}")

    return request


def environ_of(path: str, body: bytes, authorization: str) -> dict[str, Any]:
    """A POST of a form as a WSGI server hands it over."""
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "testserver",
        "HTTP_AUTHORIZATION": authorization,
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def raw_signature(algorithm: str) -> Callable[[], object]:
    """One signature over as many bytes as a token has."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    signed, digest = bytes(520), hashes.SHA256()
    if algorithm == "ES256":
        key, scheme = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(digest)
        return lambda: key.sign(signed, scheme)
    rsa_key, padded = rsa.generate_private_key(public_exponent=65537, key_size=2048), padding.PKCS1v15()
    return lambda: rsa_key.sign(signed, padded, digest)


_made: list[Any] = []


def _services() -> Any:
    from bench.services import make_services

    if not _made:
        _made.append(make_services(CLIENTS))
    return _made[0]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        compare(int(sys.argv[1]))
    else:
        main()
