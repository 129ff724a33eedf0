"""LemonLDAP::NG, Debian's: one portal that is a SAML identity provider (on Lasso) and an OpenID provider.

Its demonstration people sign on (`dwho` with the password `dwho`); each protocol tells an address of its own domain.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.peers.keys import make_key
from tests.peers.processes import Server

PORTAL = "/usr/share/lemonldap-ng/portal"
URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
SAML_ATTRIBUTES = {
    "samlMail": ("urn:oid:0.9.2342.19200300.100.1.3", "mail"),
    "cn": ("urn:oid:2.16.840.1.113730.3.1.241", "displayName"),
}
STORES = ("conf", "sessions", "persistent")


class LemonLDAP:
    """The portal at `base`. Its configuration, its key and its sessions are in `folder`."""

    def __init__(
        self, *, base: str, saml_domain: str, openid_domain: str, client_secret: str, redirect_uri: str, folder: Path
    ) -> None:
        self.base = base
        self.domains = {"saml": saml_domain, "openid": openid_domain}
        self.client_secret = client_secret
        self.redirect_uri = redirect_uri
        self.folder = folder
        for name in STORES:
            (folder / name / "lock").mkdir(parents=True)
        make_key(folder, "signing", common_name="lemonldap")
        self._write_configuration(service_provider="")
        self.server = self._start()

    def trust(self, metadata: bytes) -> None:
        """Register a service provider; the portal starts anew."""
        self.server.stop()
        self._write_configuration(service_provider=metadata.decode())
        self.server = self._start().wait()

    def _start(self) -> Server:
        address = urlsplit(self.base)
        return Server(
            "LemonLDAP::NG",
            [
                *("plackup", "-E", "deployment", "--host", str(address.hostname), "--port", str(address.port)),
                *("-a", f"{PORTAL}/htdocs/index.psgi"),
            ],
            ready_url=f"{self.base}/saml/metadata",
            environment={"LLNG_DEFAULTCONFFILE": str(self.folder / "lemonldap-ng.ini")},
            log=self.folder / "server.log",
        )

    def _write_configuration(self, *, service_provider: str) -> None:
        (self.folder / "lemonldap-ng.ini").write_text(
            "[all]\nlogLevel = warn\ncheckTime = 1\n"
            f"[configuration]\ntype = File\ndirName = {self.folder}/conf\nlocalStorage = Cache::NullCache\n"
            f"[portal]\nstaticPrefix = /static\ntemplateDir = {PORTAL}/templates\nlanguages = en\n"
        )
        configuration = {**self._portal(), **self._saml(service_provider), **self._openid()}
        (self.folder / "conf" / "lmConf-1.json").write_text(json.dumps(configuration))

    def _portal(self) -> dict[str, Any]:
        return {
            "cfgNum": 1,
            "cfgAuthor": "peer",
            "cfgDate": 1,
            "cfgVersion": "2.16.1",
            "portal": f"{self.base}/",
            "domain": urlsplit(self.base).hostname,
            "securedCookie": 0,
            "key": "for-one-run-only",
            "authentication": "Demo",
            "userDB": "Same",
            "passwordDB": "Null",
            "registerDB": "Null",
            "demoExportedVars": {"uid": "uid", "cn": "cn"},
            "macros": {name: f"$uid . '@{self.domains[name[:-4]]}'" for name in ("samlMail", "openidMail")},
            "whatToTrace": "uid",
            "globalStorage": "Apache::Session::File",
            "globalStorageOptions": self._store("sessions"),
            "persistentStorage": "Apache::Session::File",
            "persistentStorageOptions": self._store("persistent"),
            "localSessionStorage": "",
            "locationRules": {},
            "captcha_mail_enabled": 0,
            "captcha_register_enabled": 0,
        }

    def _store(self, name: str) -> dict[str, str]:
        folder = self.folder / name
        return {
            "Directory": str(folder),
            "LockDirectory": str(folder / "lock"),
            "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256",
        }

    def _saml(self, service_provider: str) -> dict[str, Any]:
        known = {
            "samlSPMetaDataXML": {"countersign": {"samlSPMetaDataXML": service_provider}},
            "samlSPMetaDataExportedAttributes": {
                "countersign": {
                    name: f"1;{wire};{URI};{friendly}" for name, (wire, friendly) in SAML_ATTRIBUTES.items()
                }
            },
            "samlSPMetaDataOptions": {
                "countersign": {
                    "samlSPMetaDataOptionsNameIDFormat": "persistent",
                    "samlSPMetaDataOptionsSignSSOMessage": 1,
                    "samlSPMetaDataOptionsCheckSSOMessageSignature": 1,
                    "samlSPMetaDataOptionsEncryptionMode": "none",
                }
            },
        }
        return {
            "issuerDBSAMLActivation": 1,
            "samlEntityID": f"{self.base}/saml/metadata",
            "samlServicePrivateKeySig": self._read("signing.key"),
            "samlServicePublicKeySig": self._read("signing.crt"),
            "samlServiceUseCertificateInResponse": 1,
            "samlServiceSignatureMethod": "RSA_SHA256",
            "samlOrganizationName": "Peer",
            "samlOrganizationDisplayName": "Peer",
            "samlOrganizationURL": self.base,
            **(known if service_provider else {}),
        }

    def _openid(self) -> dict[str, Any]:
        return {
            "issuerDBOpenIDConnectActivation": 1,
            "oidcServiceMetaDataIssuer": self.base,
            "oidcServicePrivateKeySig": self._read("signing.key"),
            "oidcServicePublicKeySig": self._read("signing.crt"),
            "oidcServiceKeyIdSig": "peer",
            "oidcServiceAllowAuthorizationCodeFlow": 1,
            "oidcRPMetaDataOptions": {
                "countersign": {
                    "oidcRPMetaDataOptionsClientID": "countersign",
                    "oidcRPMetaDataOptionsClientSecret": self.client_secret,
                    "oidcRPMetaDataOptionsRedirectUris": self.redirect_uri,
                    "oidcRPMetaDataOptionsIDTokenSignAlg": "RS256",
                    "oidcRPMetaDataOptionsUserIDAttr": "uid",
                    "oidcRPMetaDataOptionsRequirePKCE": 1,
                    "oidcRPMetaDataOptionsBypassConsent": 1,
                }
            },
            "oidcRPMetaDataExportedVars": {"countersign": {"email": "openidMail", "name": "cn"}},
        }

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text()
