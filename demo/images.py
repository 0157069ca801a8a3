"""Images that the demo's clusters run, with what scanners find in them.

Real identifiers of real vulnerabilities; which version of an image has which is made up.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Vulnerability:
    """One entry of a vulnerability report."""

    id: str
    package: str
    installed: str
    fixed: str
    severity: str
    score: float
    title: str
    type: str = "debian"


@dataclass(frozen=True)
class Software:
    """An image: where it comes from and what is in it."""

    repository: str
    tag: str
    os: tuple[str, str]
    vulnerabilities: tuple[Vulnerability, ...]
    packages: tuple[tuple[str, str, str], ...]  # name, version, purl type


LOG4SHELL = Vulnerability(
    "CVE-2021-44228",
    "org.apache.logging.log4j:log4j-core",
    "2.14.1",
    "2.15.0, 2.3.1, 2.12.2",
    "CRITICAL",
    10.0,
    "log4j-core: Remote code execution in Log4j 2.x when logs contain an attacker-controlled string",
    "jar",
)
LOG4SHELL_AGAIN = Vulnerability(
    "CVE-2021-45046",
    "org.apache.logging.log4j:log4j-core",
    "2.14.1",
    "2.16.0, 2.12.2",
    "CRITICAL",
    9.0,
    "log4j-core: DoS in log4j 2.x with thread context message pattern and context lookup pattern",
    "jar",
)
TEXT4SHELL = Vulnerability(
    "CVE-2022-42889",
    "org.apache.commons:commons-text",
    "1.9",
    "1.10.0",
    "CRITICAL",
    9.8,
    "apache-commons-text: variable interpolation RCE",
    "jar",
)
XZ = Vulnerability(
    "CVE-2024-3094",
    "liblzma5",
    "5.6.0-0.1",
    "5.6.1+really5.4.5-1",
    "CRITICAL",
    10.0,
    "xz: malicious code in distributed source",
)
OPENSSL = Vulnerability(
    "CVE-2023-0286",
    "openssl",
    "1.1.1n-0+deb11u3",
    "1.1.1n-0+deb11u4",
    "HIGH",
    7.4,
    "openssl: X.400 address type confusion in X.509 GeneralName",
)
CURL = Vulnerability(
    "CVE-2023-38545",
    "libcurl4",
    "7.88.1-10",
    "7.88.1-10+deb12u4",
    "CRITICAL",
    9.8,
    "curl: heap based buffer overflow in the SOCKS5 proxy handshake",
)
GLIBC = Vulnerability(
    "CVE-2023-4911",
    "libc6",
    "2.36-9",
    "2.36-9+deb12u3",
    "HIGH",
    7.8,
    "glibc: buffer overflow in ld.so leading to privilege escalation",
)
HTTP2 = Vulnerability(
    "CVE-2023-44487",
    "golang.org/x/net",
    "v0.10.0",
    "0.17.0",
    "HIGH",
    7.5,
    "HTTP/2: Multiple HTTP/2 enabled web servers are vulnerable to a DDoS attack (Rapid Reset Attack)",
    "gobinary",
)
LIBWEBP = Vulnerability(
    "CVE-2023-4863",
    "libwebp7",
    "1.2.4-0.2",
    "1.2.4-0.2+deb12u1",
    "HIGH",
    8.8,
    "libwebp: Heap buffer overflow in WebP Codec",
)
ZLIB = Vulnerability(
    "CVE-2023-45853",
    "zlib1g",
    "1:1.2.13.dfsg-1",
    "",
    "CRITICAL",
    9.8,
    "zlib: integer overflow and resultant heap-based buffer overflow in zipOpenNewFileInZip4_6",
)
TAR = Vulnerability(
    "CVE-2005-2541", "tar", "1.34+dfsg-1.2", "", "LOW", 3.3, "tar: does not properly warn the user"
)
APT = Vulnerability(
    "CVE-2011-3374",
    "apt",
    "2.6.1",
    "",
    "LOW",
    3.7,
    "It was found that apt-key in apt, all versions, do not correctly valid",
)
SETUPTOOLS = Vulnerability(
    "CVE-2024-6345",
    "setuptools",
    "65.5.1",
    "70.0.0",
    "HIGH",
    8.8,
    "pypa/setuptools: Remote code execution via download functions",
    "python-pkg",
)
LODASH = Vulnerability(
    "CVE-2021-23337",
    "lodash",
    "4.17.20",
    "4.17.21",
    "HIGH",
    7.2,
    "nodejs-lodash: command injection via template",
    "node-pkg",
)
NEWLY_KNOWN = Vulnerability(
    "CVE-2025-32463",
    "sudo",
    "1.9.13p3-1+deb12u1",
    "1.9.13p3-1+deb12u2",
    "CRITICAL",
    9.3,
    "sudo: LPE via chroot option",
)

DEBIAN = (("apt", "2.6.1", "deb"), ("tar", "1.34+dfsg-1.2", "deb"), ("zlib1g", "1.2.13", "deb"))

SOFTWARE = {
    "checkout": Software(
        "acme/checkout",
        "3.2.0",
        ("debian", "12.5"),
        (LOG4SHELL, LOG4SHELL_AGAIN, TEXT4SHELL, GLIBC, ZLIB, TAR, APT),
        (
            *DEBIAN,
            ("log4j-core", "2.14.1", "maven"),
            ("commons-text", "1.9", "maven"),
        ),
    ),
    "catalog": Software(
        "acme/catalog",
        "1.9.4",
        ("debian", "12.5"),
        (LODASH, CURL, LIBWEBP, ZLIB, TAR, APT),
        (*DEBIAN, ("lodash", "4.17.20", "npm"), ("libwebp7", "1.2.4-0.2", "deb")),
    ),
    "gateway": Software(
        "library/nginx",
        "1.25.1",
        ("debian", "12.1"),
        (CURL, GLIBC, ZLIB, TAR, APT),
        (*DEBIAN, ("nginx", "1.25.1-1~bookworm", "deb")),
    ),
    "reports": Software(
        "acme/reports",
        "0.14.2",
        ("debian", "11.6"),
        (OPENSSL, SETUPTOOLS, TAR, APT),
        (*DEBIAN, ("setuptools", "65.5.1", "pypi"), ("openssl", "1.1.1n-0+deb11u3", "deb")),
    ),
    "worker": Software(
        "acme/worker",
        "2.0.1",
        ("wolfi", "20230201"),
        (HTTP2,),
        (("golang.org/x/net", "v0.10.0", "golang"),),
    ),
    "build-runner": Software(
        "acme/build-runner",
        "nightly",
        ("debian", "13"),
        (XZ, TAR, APT),
        (*DEBIAN, ("liblzma5", "5.6.0-0.1", "deb")),
    ),
    "cache": Software("library/redis", "7.2.4", ("debian", "12.5"), (TAR, APT), DEBIAN),
}
