"""What images are made of, and which vulnerabilities a scanner knows in it.

Packages of an operating system are shared by all images on it, libraries by all programs of a
language. A package's flaws are fixed one after the other, so newer releases have fewer.
"""

from typing import Any

from msgspec import Struct

from bench.simulator.chance import Chance

VULNERABILITIES = 30_000  # that there are
FLAWS = (
    "heap-based buffer overflow in the parser of section headers",
    "denial of service through a crafted request that exhausts memory",
    "improper validation of a certificate with host mismatch",
    "use after free when a connection is closed while it is read",
    "path traversal in the extraction of archives leads to file overwrite",
    "integer overflow leading to an out-of-bounds write in a decoder",
    "regular expression denial of service",
    "information disclosure through uninitialised memory in error messages",
)


def cve(number: int) -> str:
    """Name a vulnerability."""
    return f"CVE-{_year(number)}-{1_000 + number}"


def _year(number: int) -> int:
    return 2015 + number % 11


class Platform(Struct, frozen=True):
    """An operating system that images are built on; `flaws` a package in the mean."""

    family: str
    version: str
    type: str  # of its packages, as purls have it
    packages: int
    flaws: float


PLATFORMS = (
    Platform("debian", "12.5", "deb", 95, 0.9),
    Platform("debian", "11.9", "deb", 100, 1.5),
    Platform("alpine", "3.19.1", "apk", 18, 0.3),
    Platform("alpine", "3.17.3", "apk", 16, 0.7),
    Platform("ubuntu", "22.04", "deb", 105, 0.4),
    Platform("redhat", "8.9", "rpm", 170, 0.9),
    Platform("wolfi", "20230201", "apk", 12, 0.05),
    Platform("debian", "12.5-slim", "deb", 4, 0.5),  # distroless
)
LANGUAGES = ("jar", "node-pkg", "python-pkg", "gobinary")
PURLS = {"jar": "maven", "node-pkg": "npm", "python-pkg": "pypi", "gobinary": "golang"}
LIBRARIES = 1_500  # of a language
_NAMES = (
    "apt bash coreutils curl dpkg expat freetype glib2 glibc gnupg krb5 libcap ldap libpng "
    "libssh libtiff libxml2 libxslt lz4 ncurses nghttp2 openssl pam pcre2 perl python3 "
    "readline shadow sqlite3 systemd tar util-linux xz zlib zstd"
)
NAMES = tuple(_NAMES.split())
_PARTS = (
    "auth cache client codec common commons config core crypto data http io json jwt kafka "
    "logging metrics mime netty orm parser pool proto proxy queue retry rpc schema security "
    "session sql stream template text trace transport util validator web xml yaml"
)
PARTS = tuple(_PARTS.split())


class Package(Struct, frozen=True):
    """A package in an image, with the numbers of the vulnerabilities that are in it."""

    name: str
    type: str
    version: str
    purl: str
    flaws: tuple[tuple[int, str], ...]  # each with the version that fixes it, "" for none


class Software:
    """All packages that there are."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._installed: dict[tuple[int, int], tuple[Package, ...]] = {}
        self._libraries: dict[tuple[str, int, int], Package] = {}
        self._entries: dict[tuple[str, int], dict[str, Any]] = {}

    def installed(self, platform: int, patch: int) -> tuple[Package, ...]:
        """Return the packages of an operating system at a patch level."""
        known = self._installed.get((platform, patch))
        if known is None:
            of = PLATFORMS[platform]
            known = tuple(self._installed_package(of, patch, n) for n in range(of.packages))
            self._installed[platform, patch] = known
        return known

    def library(self, language: str, number: int, release: int) -> Package:
        """Return a library of a language as it was at a time."""
        known = self._libraries.get((language, number, release))
        if known is None:
            draw = self._chance
            name = f"{PARTS[number % len(PARTS)]}-{PARTS[number // len(PARTS) * 7 % len(PARTS)]}"
            if number >= len(PARTS) * 2:
                name += str(number)
            if language == "gobinary":
                name = f"example.org/{name.replace('-', '/')}"
            age = release // (1 + draw.below(3, "pace", language, number))
            version = f"{1 + draw.below(5, 'major', language, number)}.{age}"
            count = int(-1.2 + 3.2 * draw.fraction("flawed", language, number))
            flaws = tuple(
                self._flaw((language, number), flaw, age, version.partition(".")[0])
                for flaw in range(max(0, count))
            )
            purl = f"pkg:{PURLS[language]}/{name}@{version}.0"
            known = Package(name, language, f"{version}.0", purl, tuple(filter(None, flaws)))
            self._libraries[language, number, release] = known
        return known

    def entries(self, package: Package) -> list[dict[str, Any]]:
        """Return the package's vulnerabilities as Trivy Operator writes them."""
        return [self.entry(package, number, fixed) for number, fixed in package.flaws]

    def entry(self, package: Package, number: int, fixed: str) -> dict[str, Any]:
        """Write one vulnerability of a package; the catalogue's words depend on its number alone."""
        known = self._entries.get((package.purl, number))
        if known is not None:
            return known
        chance = number * 7919 % 10_007 / 10_007
        severity = (
            "CRITICAL"
            if chance < 0.03
            else "HIGH"
            if chance < 0.2
            else "MEDIUM"
            if chance < 0.6
            else "LOW"
        )
        year, month, day = _year(number), 1 + number % 12, 1 + number % 28
        name = cve(number)
        made: dict[str, Any] = {
            "fixedVersion": fixed,
            "installedVersion": package.version,
            "lastModifiedDate": f"{year + 1}-{month:02}-{day:02}T06:15:00Z",
            "links": [],
            "packagePURL": package.purl,
            "primaryLink": f"https://avd.aquasec.com/nvd/{name.lower()}",
            "publishedDate": f"{year}-{month:02}-{day:02}T17:15:00Z",
            "resource": package.name,
            "score": round(10 - 9 * chance, 1),
            "severity": severity,
            "target": "",
            "title": f"{NAMES[number % len(NAMES)]}: {FLAWS[number % len(FLAWS)]}",
            "vulnerabilityID": name,
        }
        self._entries[package.purl, number] = made
        return made

    def _installed_package(self, of: Platform, patch: int, number: int) -> Package:
        draw = self._chance
        name = NAMES[number % len(NAMES)]
        if number >= len(NAMES):
            name = f"lib{name.removeprefix('lib')}{number // len(NAMES)}"
        version = f"{1 + number % 7}.{number % 13}.{draw.below(9, of.version, number)}"
        chance = draw.fraction("installed", of.version, number)
        count = int(chance * chance * 4.5 * of.flaws + draw.fraction("odd", of.version, number))
        flaws = (self._flaw((of.family, name), flaw, patch, version) for flaw in range(count))
        purl = f"pkg:{of.type}/{of.family}/{name}@{version}-{patch}?arch=amd64"
        return Package(name, of.family, f"{version}-{patch}", purl, tuple(filter(None, flaws)))

    def _flaw(
        self, of: tuple[str, object], flaw: int, age: int, version: str
    ) -> tuple[int, str] | None:
        """Return a flaw's number and the version that fixes it; None once it is fixed."""
        fixed = self._chance.below(16, "fixed", of, flaw)  # at which age; 12 and more are never
        if fixed <= age and fixed < 12:
            return None
        number = self._chance.below(VULNERABILITIES, "flaw", of, flaw)
        return number, f"{version}.{fixed}" if fixed < 12 else ""
