"""A resource server with Authlib's ResourceProtector on Flask: it asks about tokens, and it verifies them itself.

/orders asks by introspection, /orders/verified verifies (RFC 9068). Configured by ISSUER, CLIENT_ID, CLIENT_SECRET,
RESOURCE, HOST and PORT.
"""

import os

import requests
from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from flask import Flask, jsonify
from joserfc.jwk import KeySet

ISSUER, RESOURCE = os.environ["ISSUER"], os.environ["RESOURCE"]
OURSELVES = (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])
http = requests.Session()
http.trust_env = False
published = http.get(f"{ISSUER}/.well-known/openid-configuration", timeout=10).json()


class Asking(IntrospectTokenValidator):
    def introspect_token(self, token_string):
        answer = http.post(
            published["introspection_endpoint"], data={"token": token_string}, auth=OURSELVES, timeout=10
        )
        answer.raise_for_status()
        return answer.json()


class Verifying(JWTBearerTokenValidator):
    def get_jwks(self):
        return KeySet.import_key_set(http.get(published["jwks_uri"], timeout=10).json())


asking, verifying = ResourceProtector(), ResourceProtector()
asking.register_token_validator(Asking())
verifying.register_token_validator(Verifying(issuer=ISSUER, resource_server=RESOURCE))
app = Flask(__name__)


@app.get("/up")
def up():
    return "up"


@app.get("/orders")
@asking("orders.read")
def orders():
    return jsonify(dict(current_token))


@app.post("/orders")
@asking("orders.write")
def change_orders():
    return jsonify(dict(current_token))


@app.get("/orders/verified")
@verifying("orders.read")
def verified():
    return jsonify(dict(current_token))


@app.post("/orders/verified")
@verifying("orders.write")
def change_verified():
    return jsonify(dict(current_token))


app.run(os.environ["HOST"], int(os.environ["PORT"]))
