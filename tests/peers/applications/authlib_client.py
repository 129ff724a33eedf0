"""A client with Authlib's OAuth2Session. Each POST of JSON to / is one use of it; /jwks has its public key.

A use: {client_id, secret or audience, method, do, with}: `do` is a method of the session or "fetch_token", `with` its
arguments. The answer: {said, problem, status, trace_ids}. Configured by ISSUER, HOST and PORT.
"""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http, on loopback

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import RSAKey

with urllib.request.urlopen(os.environ["ISSUER"] + "/.well-known/openid-configuration", timeout=10) as answer:
    published = json.load(answer)

key = RSAKey.generate_key(2048, {"kid": "authlib", "use": "sig", "alg": "RS256"})
stranger = RSAKey.generate_key(2048, {"kid": "authlib", "use": "sig", "alg": "RS256"})
ADDRESSES = {
    "fetch_token": published["token_endpoint"],
    "introspect_token": published["introspection_endpoint"],
    "revoke_token": published["revocation_endpoint"],
}


def use(wish):
    """What came of one use."""
    secret, method = wish.get("secret"), wish["method"]
    if method == "private_key_jwt":
        secret = stranger if wish.get("as_a_stranger") else key
    session = OAuth2Session(wish["client_id"], secret, token_endpoint_auth_method=method)
    session.trust_env = False
    if method == "private_key_jwt":
        # Without an audience Authlib names the token endpoint. An assertion of its lives for an hour.
        session.register_client_auth_method(
            PrivateKeyJWT(wish.get("audience"), claims=wish.get("claims"), headers={"kid": "authlib"})
        )
    answers = []
    session.hooks["response"].append(lambda response, **_: answers.append(response))
    told = {"said": None, "problem": None}
    try:
        said = getattr(session, wish["do"])(ADDRESSES[wish["do"]], **wish.get("with", {}))
        told["said"] = dict(said) if isinstance(said, dict) else said.json() if said.content else {}
    except AuthlibBaseError as error:
        told["problem"] = {"error": error.error, "description": error.description}
    return told | {
        "status": answers[-1].status_code,
        "body": answers[-1].json() if answers[-1].content else {},
        "trace_ids": [answer.headers["Countersign-Trace"] for answer in answers],
    }


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.tell({"keys": [key.as_dict(private=False)]} if self.path == "/jwks" else {"up": True})

    def do_POST(self):
        self.tell(use(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def tell(self, told):
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
