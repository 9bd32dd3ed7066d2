"""What is taken out of texts, and what is left."""

from __future__ import annotations

import time

import pytest

from harness.report.redact import redacted


@pytest.mark.parametrize(
    "text",
    [
        "    client-key-data: c2VjcmV0\n",
        "token: s3cret",
        '{"password": "s3cret", "user": "x"}',
        '{"user": "x", "token":"s3cret"}',
        "authorization: Bearer s3cret",
        "Authorization: Basic s3cret",
        "-----BEGIN RSA PRIVATE KEY-----\ns3cret\n-----END RSA PRIVATE KEY-----\n",
        "cut short: -----BEGIN PRIVATE KEY-----\ns3cret",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  tls.key: s3cret\nstringData:\n  a: s3cret\n",
    ],
)
def test_secrets_are_taken_out(text):
    """Keys, tokens, passwords, the data of Secrets."""
    assert "s3cret" not in redacted(text)
    assert "c2VjcmV0" not in redacted(text)
    assert "[redacted]" in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "kind: ConfigMap\ndata:\n  a: plain\n",
        "serviceAccountToken: {path: istio-token}",
        "  - serviceAccountToken:\n      path: token\n",
        "x-ratelimit-limit: 3, 3;w=3600",
        '{"response_flags": "UO", "x-request-id": "abc"}',
    ],
)
def test_the_rest_is_left_as_it_was(text):
    """Evidence that was cut is no evidence."""
    assert redacted(text) == text


def test_only_the_secret_among_documents_loses_its_data():
    """Names and keys stay: they say what it was."""
    text = "kind: ConfigMap\ndata:\n  a: plain\n---\nkind: Secret\nmetadata:\n  name: n\ndata:\n  k: v\n"

    assert redacted(text) == text.replace("k: v", "k: [redacted]")


def test_a_large_log_takes_no_time():
    """Two megabytes are a container's log as it is gathered."""
    text = "2026-11-21T08:00:00Z info access src.addr=10.0.0.1:1 dst.addr=10.0.0.2:9080\n" * 26000
    begun = time.perf_counter()
    redacted(text)

    assert time.perf_counter() - begun < 2
