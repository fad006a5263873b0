"""WAAS policies for the tests."""

import datetime as dt
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PATH = "/policies/firewall/app/app-embedded"
NETWORKS = "/policies/firewall/app/network-list"


def application(**changed: Any) -> dict[str, Any]:
    """Return an application with one endpoint."""
    endpoint = {"host": "*", "basePath": "*", "exposedPort": 80, "internalPort": 8080}
    return {"appID": "storefront", "apiSpec": {"endpoints": [endpoint]}, "sqli": {"effect": "prevent"}, **changed}


def rule(name: str = "shop", *applications: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return a rule, with one application unless others are given."""
    return {"name": name, "applicationsSpec": list(applications) or [application()], **changed}


def tls(pem: str, **changed: Any) -> dict[str, Any]:
    """Return an application with an endpoint of TLS."""
    endpoint = {"exposedPort": 443, "internalPort": 8080, "tls": True}
    return application(apiSpec={"endpoints": [endpoint]}, certificate={"plain": pem}, **changed)


def certificate_pair(name: str = "shop.test") -> tuple[str, str]:
    """Return a certificate and its private key, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=365))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate, key.private_bytes(*form).decode()
