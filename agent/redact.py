"""Secrets that tools repeat in their messages stay in the cluster.

Policy messages quote what they found, command lines and tokens included. What matches a pattern is
replaced by `MARK` before anything is hashed or sent; what is left still says what was checked.
Patterns are those of token formats that cannot be mistaken, and of assignments to names that speak
for themselves.
"""

import re
from typing import Any

MARK = "[REDACTED]"
POLICY_GROUPS = ("wgpolicyk8s.io", "reports.x-k8s.io", "openreports.io")

_NAME = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)"
# Each keeps what its group `keep` matched.
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # PEM blocks of private keys, cut off ones included
        r"(?P<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        # JSON web tokens
        r"(?P<keep>)\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        # AWS, GitHub, GitLab, Slack, Google, npm, PyPI, Stripe
        r"(?P<keep>)\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        r"(?P<keep>)\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
        r"(?P<keep>)\bglpat-[A-Za-z0-9_-]{20,}",
        r"(?P<keep>)\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"(?P<keep>)\bAIza[A-Za-z0-9_-]{35}",
        r"(?P<keep>)\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{16,})",
        r"(?P<keep>)\b[rs]k_live_[A-Za-z0-9]{16,}",
        # Authorization headers
        r"(?i)(?P<keep>\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+)[^\s\"',;]+",
        r"(?P<keep>\bBearer\s+)[A-Za-z0-9._~+/=-]{16,}",
        # user:password@ of URLs
        r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)",
        # password=…, --token …, "secret": "…"
        rf"(?i)(?P<keep>\b[\w.-]*{_NAME}\s*=\s*[\"']?)[^\s\"',;&]+",
        # password: …, as YAML has it; "token: …" and "secret: …" are too often plain words
        (
            r"(?i)(?P<keep>\b[\w.-]*(?:pass(?:word|wd|phrase)|(?:api|access|secret|private)[_-]?key)"
            r"\s*:\s+[\"']?)(?!\[)[^\s\"',;&]{6,}"
        ),
        rf"(?i)(?P<keep>--[\w-]*{_NAME}\s+[\"']?)[^\s\"'-][^\s\"']*",
        rf"(?i)(?P<keep>\"[\w.-]*{_NAME}\"\s*:\s*\")[^\"]+(?=\")",
    )
)
PATTERNS = tuple(pattern.pattern for pattern in _PATTERNS)  # what contents depend on


def redact(text: str) -> str:
    """Replace what looks like a secret by `MARK`."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<keep>{MARK}", text)
    return text


def redact_results(report: dict[str, Any]) -> None:
    """Redact messages and properties of a policy report's results, in place."""
    results = report.get("results")
    if not isinstance(results, list):
        return
    for result in results:
        if not isinstance(result, dict):
            continue
        if isinstance(result.get("message"), str):
            result["message"] = redact(result["message"])
        for field in ("properties", "data"):
            properties = result.get(field)
            if isinstance(properties, dict):
                for name, value in properties.items():
                    if isinstance(value, str):
                        properties[name] = redact(value)
