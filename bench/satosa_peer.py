"""SATOSA as its documentation sets it up: the package, its example configuration, gunicorn with one worker, xmlsec1.

It lives in .peers/satosa, made from satosa-requirements.lock (which `uv pip compile --python-version 3.11
--generate-hashes --no-header --no-emit-index-url` writes from satosa-requirements.in).
"""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import yaml

from bench.satosa_driver import SERVICE_PROVIDER, Broker, Company
from tests.fakes.fake_idp import POST, REDIRECT, FakeIdentityProvider
from tests.fakes.saml_keys import key_pair

ROOT = Path(__file__).resolve().parent.parent
LOCK = Path(__file__).with_name("satosa-requirements.lock")
HOME = ROOT / ".peers" / "satosa"
STAMP = HOME / "installed.lock"
START_SECONDS = 60
DOMAIN = "bench-0.example"


def is_installed() -> bool:
    return STAMP.is_file() and STAMP.read_bytes() == LOCK.read_bytes() and shutil.which("xmlsec1") is not None


def install() -> None:
    """Make the environment anew. Ends the run when xmlsec1 is missing: that is Debian's, and wants root."""
    if not shutil.which("xmlsec1"):
        sys.exit("xmlsec1 is missing: apt-get install xmlsec1")
    print("Installing SATOSA …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
    pip = [HOME / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", LOCK], check=True)
    shutil.copyfile(LOCK, STAMP)


def versions() -> str:
    """SATOSA, pysaml2, gunicorn and xmlsec1 as they are installed."""
    code = """
from importlib.metadata import version
print(", ".join(f"{name} {version(name)}" for name in ("SATOSA", "pysaml2", "gunicorn")))
"""
    packages = subprocess.run([HOME / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    program = subprocess.run(["xmlsec1", "--version"], capture_output=True, text=True, check=True)
    return f"{packages.stdout.strip()}, {program.stdout.split(' (')[0].strip()}"


@contextlib.contextmanager
def running(folder: Path, *, port: int) -> Iterator[Broker]:
    """SATOSA with one identity provider and one service provider, in `folder`, until the end of the block."""
    base_url = f"http://127.0.0.1:{port}"
    fake = FakeIdentityProvider("https://bench-0.example/saml", sso_url="https://bench-0.example/sso")
    configure(folder, base_url=base_url, fake=fake)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [HOME / "bin" / "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1", "satosa.wsgi:app"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until_it_answers(f"{base_url}/Saml2IDP/proxy.xml", process, folder / "log")
        company = Company(fake, DOMAIN, f"{base_url}/Saml2/sso/redirect")
        certificate = key_pair("satosa frontend").der
        yield Broker("SATOSA", base_url, f"{base_url}/Saml2IDP/proxy.xml", [company], certificate, process.pid)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the server answers anything but a failure. Ends the run when it does not."""
    opener = build_opener(ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            opener.open(url, timeout=5).close()
        except HTTPError as answer:
            with answer:
                if answer.code < 500:
                    return
        except (URLError, OSError):
            pass
        else:
            return
        time.sleep(0.1)
    sys.exit(f"no answer from {url}: {log.read_text(errors='replace')[-2000:]}")


def configure(folder: Path, *, base_url: str, fake: FakeIdentityProvider) -> None:
    """Write the example configuration, with these two parties."""
    for name in ("frontend", "backend"):
        pair = key_pair(f"satosa {name}")
        (folder / f"{name}.key").write_bytes(pair.private_pem)
        (folder / f"{name}.crt").write_bytes(pair.certificate_pem)
    (folder / "idp.xml").write_text(fake.metadata())
    (folder / "sp.xml").write_text(SERVICE_PROVIDER.metadata(keys=()))
    documents: dict[str, Any] = {
        "proxy_conf.yaml": {
            "BASE": base_url,
            "COOKIE_STATE_NAME": "SATOSA_STATE",
            "STATE_ENCRYPTION_KEY": "the bench's own state encryption key",
            "INTERNAL_ATTRIBUTES": "internal_attributes.yaml",
            "BACKEND_MODULES": ["saml2_backend.yaml"],
            "FRONTEND_MODULES": ["saml2_frontend.yaml"],
            "MICRO_SERVICES": [],
            # Without this it logs each message at DEBUG, which costs it time.
            "LOGGING": {"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO"}},
        },
        "internal_attributes.yaml": {
            "attributes": {
                "mail": {"saml": ["mail"]},
                "displayname": {"saml": ["displayName"]},
                "groups": {"saml": ["isMemberOf"]},
            },
        },
        "saml2_backend.yaml": _backend(),
        "saml2_frontend.yaml": _frontend(),
    }
    for name, document in documents.items():
        (folder / name).write_text(yaml.safe_dump(document))


def _backend() -> dict[str, Any]:
    """Towards the identity provider: requests are signed, and a signed Response is wanted."""
    service_provider = {
        "authn_requests_signed": True,
        "want_response_signed": True,
        "allow_unsolicited": True,
        "endpoints": {"assertion_consumer_service": [["<base_url>/<name>/acs/post", POST]]},
        "name_id_format_allow_create": True,
    }
    return {
        "module": "satosa.backends.saml2.SAMLBackend",
        "name": "Saml2",
        "config": {
            "entityid_endpoint": True,
            "sp_config": {
                "key_file": "backend.key",
                "cert_file": "backend.crt",
                "metadata": {"local": ["idp.xml"]},
                "entityid": "<base_url>/<name>/proxy_saml2_backend.xml",
                "accepted_time_diff": 60,
                "service": {"sp": service_provider},
                "xmlsec_binary": shutil.which("xmlsec1"),
            },
        },
    }


def _frontend() -> dict[str, Any]:
    """Towards the service provider: requests need no signature; Response and assertion are signed, as ours are."""
    identity_provider = {
        "endpoints": {"single_sign_on_service": []},
        "name": "Proxy IdP",
        "name_id_format": ["urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"],
        "policy": {
            "default": {
                "fail_on_missing_requested": False,
                "lifetime": {"minutes": 15},
                "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
                "sign_response": True,
                "sign_assertion": True,
            }
        },
        "subject_data": "./idp.subject",
        "want_authn_requests_signed": False,
    }
    return {
        "module": "satosa.frontends.saml2.SAMLFrontend",
        "name": "Saml2IDP",
        "config": {
            "idp_config": {
                "key_file": "frontend.key",
                "cert_file": "frontend.crt",
                "metadata": {"local": ["sp.xml"]},
                "entityid": "<base_url>/<name>/proxy.xml",
                "service": {"idp": identity_provider},
                "xmlsec_binary": shutil.which("xmlsec1"),
            },
            "endpoints": {"single_sign_on_service": {POST: "sso/post", REDIRECT: "sso/redirect"}},
        },
    }
