"""What is taken out of texts, and what is left."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.report.redact import GONE, redact
from tests.recordings.shapes import fuzz

ROOT = Path(__file__).parents[1]
SECRETS = st.text("abcXYZ0189+/_.%^$#!~*?-", min_size=6).map(lambda text: f"s3cret{text}")


@pytest.mark.parametrize(
    "text",
    [
        "authorization: Token s3cret",
        '"authorization": "Whatever s3cret"',
        "curl -H 'Authorization: Basic s3cret' http://x",
        "- name: DB_PASSWORD\n  value: s3cret\n",
        "env:\n  - name: DB_PASSWORD\n    value: |\n      s3cret\n      s3cret\n  - name: other\n    value: x\n",
        '{"name":"DB_PASSWORD","value":"s3cret"}',
        r'last-applied: "{\"env\":[{\"name\":\"DB_PASSWORD\",\"value\":\"s3cret\"}]}"',
        "{name: API_TOKEN, value: s3cret}",
        '"key": "authorization",\n"value": "Bearer s3cret"\n',
        "args: --token=s3cret -v",
        "--password s3cret -v",
        "args:\n- --token\n- s3cret\n",
        '["--api-key", "s3cret"]',
        '"--api-key",\n  "s3cret"\n',
        "access_token: s3cret",
        "GET /callback?code=1&access_token=s3cret&x=y",
        "clientSecret: s3cret",
        "DB_PASS: s3cret",
        "x-api-key: s3cret",
        '{"auths": {"registry": {"auth": "s3cret"}}}',
        "redis://:s3cret@redis:6379",
        "https://s3cret@github.com/x",
        "jwt eyJhbGciOiJSUzI1NiJ9.s3cret.x",
        "password: correct s3cret battery\n",
        "password: >-\n  s3cret\n  s3cret\nb: c",
        "password: 'a\n  s3cret'\n",
        r'"password": "a\"s3cret"',
        r'x: "{\"password\": \"it is s3cret\"}"',
        '{"kind":"Secret","data":{"a":"s3cret"}}',
        '{"data":{"a":"s3cret"},"kind":"Secret","metadata":{}}',
        '[{"stringData":{"a":"s3cret{", "b": {"c": "s3cret"}},\n"kind": "Secret"}]',
        r'last-applied: "{\"kind\":\"Secret\",\"data\":{\"a\":\"s3cret\"}}"',
        "items:\n- apiVersion: v1\n  data:\n    a: s3cret\n  kind: Secret\n",
        "items:\n  - kind: Secret\n    stringData:\n      a: |\n        s3cret\n      b: s3cret\n",
        "kind: Secret\ndata: {a: s3cret}\n",
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
    assert "s3cret" not in redact(text)
    assert "c2VjcmV0" not in redact(text)
    assert "[redacted]" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "kind: ConfigMap\ndata:\n  a: plain\n",
        "serviceAccountToken: {path: istio-token}",
        "  - serviceAccountToken:\n      path: token\n",
        "x-ratelimit-limit: 3, 3;w=3600",
        "secretName: x",
        "volumes:\n- name: cert\n  secret:\n    secretName: x\n    defaultMode: 420\n",
        "automountServiceAccountToken: false",
        "- name: SECRET_TTL\n  value: 140s\n",
        '- name: REQUIRE_3P_TOKEN\n  value: "true"\n',
        "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n      key: password\n",
        "TOKEN_PATH=/var/run/x --token-path /x",
        '"token_bucket": {"max_tokens": 3, "tokens_per_fill": 3}',
        "authorization:\n  rules: []\n",
        '"authorization": {"rules": []}',
        "clientSecret:\n  name: x\n",
        'secret "istio-ca" not found',
        "imagePullSecrets:\n- name: regcred\n",
        'src.identity="spiffe://cluster.local/ns/default/sa/x"',
        "image: docker.io/istio/pilot@sha256:0a1b",
        "image: foo/my-token:v1",
        '"@type": "type.googleapis.com/envoy.config.core.v3.Http1ProtocolOptions"',
        '{"response_flags": "UO", "x-request-id": "abc"}',
    ],
)
def test_the_rest_is_left_as_it_was(text):
    """Evidence that was cut is no evidence."""
    assert redact(text) == text


def test_only_the_secret_among_documents_loses_its_data():
    """Names and keys stay: they say what it was."""
    text = "kind: ConfigMap\ndata:\n  a: plain\n---\nkind: Secret\nmetadata:\n  name: n\ndata:\n  k: v\n"

    assert redact(text) == text.replace("k: v", "k: [redacted]")


def test_the_neighbours_of_a_secret_are_left():
    """In a list of objects, in a list of variables, in a query."""
    objects = "items:\n- kind: ConfigMap\n  data:\n    a: plain\n- data:\n    k: v\n  kind: Secret\n  type: Opaque\n"
    variables = "- name: DB_PASSWORD\n  value: hunter2\n- name: DB_HOST\n  value: db\n"

    assert redact(objects) == objects.replace("k: v", f"k: {GONE}")
    assert redact(variables) == variables.replace("hunter2", GONE)
    assert redact("GET /x?token=abc&user=me 200") == f"GET /x?token={GONE}&user=me 200"
    assert redact('{"token": "abc", "user": "me"}') == f'{{"token": "{GONE}", "user": "me"}}'


@fuzz
@given(secret=SECRETS, name=st.sampled_from(["DB_PASSWORD", "access_token", "clientSecret", "x-api-key"]))
def test_no_form_of_writing_it_down_shows_a_secret(secret, name):
    """Variables, fields and Secrets, as YAML and JSON, also as JSON in a string of JSON."""
    objects = [
        {"env": [{"name": name, "value": secret}, {"name": "HOST", "value": "db"}]},
        {"spec": {name: secret, "other": "x"}},
        {"kind": "Secret", "metadata": {"name": "x"}, "data": {"a": secret, "b": secret}},
        {"args": [f"--{name.replace('_', '-')}", secret]},
        {"args": [f"--{name.replace('_', '-')}={secret}"]},
    ]
    for one in objects:
        nested = {"annotations": {"last-applied": json.dumps(one)}}
        for shown in (
            yaml.safe_dump(one, width=10**6),
            yaml.safe_dump({"items": [one]}),
            json.dumps(one),
            json.dumps(one, indent=1),
            json.dumps(nested),
            json.dumps({"once more": json.dumps(nested)}),
        ):
            assert secret not in redact(shown), shown


PIECES = ["token", "password", "authorization", "kind", "Secret", "data", "name", "value", "--", "://", "a", "b"]
MARKS = [*":='\"{}[]@,|- \n\\", ": ", "  ", "- ", '\\"', ": {"]


@fuzz
@given(st.lists(st.sampled_from(PIECES + MARKS)).map("".join))
def test_what_is_redacted_has_nothing_left_to_hide(text):
    """Whatever it was: it ends, and a second look finds nothing more."""
    once = redact(text)

    assert redact(once) == once


def test_recorded_evidence_is_left_as_it_is():
    """Logs, statuses, counters and configurations of a real cluster: there is no secret in them."""
    for file in (ROOT / "recordings").rglob("*"):
        if file.is_file() and file.suffix in (".txt", ".json", ".yaml", ".log", ".prom"):
            assert redact(file.read_text()) == file.read_text(), file


@pytest.mark.parametrize(
    "text", ["\\" * 200_000, "token: " * 50_000, "password" * 50_000, "-" * 200_000, '"kind' * 50_000]
)
def test_no_text_takes_long(text):
    """Not one that was made for it."""
    begun = time.thread_time()
    redact(text)

    assert time.thread_time() - begun < 2


def test_a_large_log_takes_no_time():
    """Two megabytes are a container's log as it is gathered."""
    text = "2026-11-21T08:00:00Z info access src.addr=10.0.0.1:1 dst.addr=10.0.0.2:9080\n" * 26000
    begun = time.thread_time()
    redact(text)

    assert time.thread_time() - begun < 2
