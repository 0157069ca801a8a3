"""What is taken out of messages, and what is left alone."""

import pytest

from agent.redact import MARK, redact, redact_results

TOKEN = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key AKIAIOSFODNN7EXAMPLE found", "AKIAIOSFODNN7EXAMPLE"),
        (f"env GITHUB ghp_{TOKEN}", TOKEN),
        (f"uses glpat-{TOKEN}", TOKEN),
        ("xoxb-123456789012-abcdefghij", "123456789012-abcdefghij"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl here", "eyJzdWIiOiIxIn0"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEcut", "MIIEcut"),
        ("mysql -u root --password=hunter2 db", "hunter2"),
        ("mysql -u root --password hunter2 db", "hunter2"),
        ("DB_PASSWORD=hunter2 ./run", "hunter2"),
        ('{"apiKey": "hunter2"}', "hunter2"),
        ("env password: hunter2secret set", "hunter2secret"),
        ('api_key: "hunter2secret"', "hunter2secret"),
        ("postgres://app:hunter2@db:5432/x", "hunter2"),
        ("Authorization: Bearer hunter2hunter2", "hunter2hunter2"),
        ("curl -H 'Authorization: Basic aHVudGVyMg=='", "aHVudGVyMg"),
    ],
)
def test_secrets_are_replaced(text: str, secret: str) -> None:
    redacted = redact(text)

    assert secret not in redacted
    assert MARK in redacted
    assert redact(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "validation rule 'run-as-non-root' passed.",
        "Container should set 'automountServiceAccountToken' to false",
        "automountServiceAccountToken: false is required",
        "The secret must not be mounted; token volumes are forbidden",
        "image ghcr.io/org/app@sha256:" + "ab" * 32 + " is not signed",
        "see https://kyverno.io/policies/ for the policy",
        "user admin@example.com may not list secrets",
        "The label token: required is missing; a secret: name is not one",
        "privileged: true, hostNetwork: true",
    ],
)
def test_ordinary_messages_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_results_are_redacted_in_place() -> None:
    report = {
        "results": [
            {"message": "password=hunter2", "properties": {"cmd": "token=hunter2", "n": 1}},
            {"message": None, "data": {"x": "secret=hunter2"}},
            "not a result",
        ]
    }

    redact_results(report)

    assert "hunter2" not in str(report)
    redact_results({"results": None})
    redact_results({})
