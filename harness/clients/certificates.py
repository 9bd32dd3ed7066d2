"""Creates certificates for a run: a CA, server and client certificates, and their Secrets.

Nothing is kept on disk. A Secret or ConfigMap of a manifest says by its annotations what it is issued for:

    mesh-e2e/common-name    the subject's common name, which clients report as the name of who served them
    mesh-e2e/hosts          DNS names, divided by spaces; none for a client's certificate

Each of its keys `tls.crt`, `tls.key` and `ca.crt` then gets its value.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.objects.manifests import Document
from harness.objects.unstructured import mapping, text
from harness.record_replay import ISSUED

COMMON_NAME, HOSTS = ISSUED, "mesh-e2e/hosts"
BEFORE, LASTS = timedelta(hours=1), timedelta(days=2)  # clocks of nodes may differ from ours; a run takes hours


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str = field(repr=False)


class Authority:
    """A certificate authority of this process."""

    def __init__(self, name: str = "mesh-e2e") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._own = self._signed(self._name, self._key.public_key(), (), authority=True)
        self._issued: dict[tuple[str, tuple[str, ...]], Certificate] = {}

    @property
    def certificate(self) -> str:
        """Its own certificate, PEM."""
        return _pem(self._own)

    def issue(self, name: str, *hosts: str) -> Certificate:
        """The certificate of that common name for these DNS names: the same one whenever it is asked for."""
        if (name, hosts) not in self._issued:
            key = ec.generate_private_key(ec.SECP256R1())
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            private = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            signed = _pem(self._signed(subject, key.public_key(), hosts))
            self._issued[name, hosts] = Certificate(signed, private.decode())
        return self._issued[name, hosts]

    def complete(self, document: Document) -> Document:
        """The document; a Secret or ConfigMap with our annotations gets its values."""
        annotations = mapping(document, "metadata", "annotations")
        name = text(annotations, COMMON_NAME)
        if document["kind"] not in ("Secret", "ConfigMap") or not name:
            return document
        issued = self.issue(name, *text(annotations, HOSTS).split())
        values = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": self.certificate}
        data = {key: values[key] for key in mapping(document, "data")}
        if document["kind"] == "Secret":
            data = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        return document | {"data": data}

    def client_context(self, shown: Certificate | None = None) -> ssl.SSLContext:
        """What a client trusts that trusts this authority alone; `shown` is the certificate that it has itself."""
        context = ssl.create_default_context(cadata=self.certificate)
        if shown:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # ssl reads keys from files alone
                file.write(shown.certificate + shown.key)
                file.flush()
                context.load_cert_chain(file.name)
        return context

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, hosts: tuple[str, ...], *, authority: bool = False
    ) -> x509.Certificate:
        now, issuer_key = datetime.now(UTC), self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BEFORE)
            .not_valid_after(now + LASTS)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(_usage(authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, hosts)), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _usage(authority: bool) -> x509.KeyUsage:
    """An authority signs certificates, everybody else handshakes."""
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
