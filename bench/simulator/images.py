"""Images and the apps that run them, shared by all clusters as real fleets share them.

A few apps are everywhere and most at a few places (Zipf's law); clusters run an app in different
releases; sidecars come with many apps. What a scanner finds in an image follows from the seed, the
image, and the version of the scanner's database.
"""

import heapq
from collections.abc import Collection
from typing import Any

from msgspec import Struct

from bench.simulator.chance import Chance
from bench.simulator.software import LANGUAGES, LIBRARIES, PLATFORMS, Package, Software, cve
from protocol import messages as m

REGISTRIES = ("registry.acme.example", "ghcr.io", "docker.io", "quay.io")
SIDECARS = ("istio/proxyv2", "fluent/fluent-bit", "acme/secrets-agent", "otel/collector")
KINDS = ("Deployment",) * 15 + ("StatefulSet",) * 3 + ("DaemonSet",) * 2
TEAMS = tuple(f"team-{number}" for number in range(25))
_WORDS = (
    "account alert asset audit basket billing catalog checkout content credit customer "
    "delivery discount document event export feed forecast fraud gateway geo identity image "
    "import index inventory invoice ledger loyalty mail market media member message metric "
    "notify offer order partner payment planning portal price profile quote rating refund "
    "report return review reward route scan search session shipping stock store survey tax "
    "ticket tracking upload wallet"
)
WORDS = tuple(_WORDS.split())
ROLES = ("api", "worker", "web", "sync", "cron", "proxy", "store", "consumer")
HUGE = 0.02  # of the apps carry so many libraries that their reports are of a megabyte


class Repository(Struct, frozen=True):
    """What is built again with every release."""

    number: int
    registry: str
    name: str
    platform: int
    language: str
    libraries: int


class App(Struct, frozen=True):
    """What clusters deploy; `posture` says which checks it fails."""

    number: int
    name: str
    kind: str
    team: str
    replicas: int
    containers: tuple[tuple[str, Repository], ...]
    newest: int  # release that is out
    posture: int


class Image(Struct, frozen=True):
    """One release of a repository."""

    repository: Repository
    release: int
    tag: str
    digest: str

    @property
    def number(self) -> tuple[int, int]:
        """What tells it from every other image."""
        return (self.repository.number, self.release)

    def named(self, *, trusted: bool) -> m.Image:
        """Name it as agents do."""
        repository = self.repository
        return m.Image(repository.registry, repository.name, self.tag, self.digest, trusted)


class Update(Struct, frozen=True):
    """A change of the scanner's database: one vulnerability more, or one withdrawn."""

    vulnerability: int
    images: frozenset[tuple[int, int]]
    withdraws: int | None = None  # the update that is taken back

    @property
    def name(self) -> str:
        """The vulnerability's id."""
        return cve(self.vulnerability)


class Images:
    """All apps and images of a fleet, and the scanner's database."""

    def __init__(self, chance: Chance, *, apps: int) -> None:
        self.chance = chance
        self.apps = apps
        self.software = Software(chance)
        self.updates: list[Update] = []
        self._updates_of: dict[tuple[int, int], list[int]] = {}  # by image
        self._apps: dict[int, App] = {}
        self._images: dict[tuple[int, int], Image] = {}
        self._sidecars = [self._repository(-1 - n, name) for n, name in enumerate(SIDECARS)]

    @property
    def version(self) -> int:
        """How often the database was updated."""
        return len(self.updates)

    def app(self, number: int) -> App:
        """Return an app by its rank."""
        known = self._apps.get(number)
        if known is None:
            draw = self.chance
            name = f"{WORDS[number % len(WORDS)]}-{ROLES[number // len(WORDS) % len(ROLES)]}"
            if number >= len(WORDS) * len(ROLES):
                name += str(number // (len(WORDS) * len(ROLES)))
            kind = draw.pick(KINDS, "kind", number)
            containers = [(name, self._repository(number, f"acme/{name}"))]
            if draw.fraction("sidecar", number) < 0.35:
                sidecar = self._sidecars[draw.rank(len(SIDECARS), "which sidecar", number)]
                containers.append((sidecar.name.rpartition("/")[2], sidecar))
            known = App(
                number=number,
                name=name,
                kind=kind,
                team=draw.pick(TEAMS, "team", number),
                replicas=1 + draw.rank(6, "replicas", number),
                containers=tuple(containers),
                newest=2 + draw.below(10, "newest", number),
                posture=draw.number("posture", number),
            )
            self._apps[number] = known
        return known

    def image(self, repository: Repository, release: int) -> Image:
        """Return the image of a release."""
        known = self._images.get((repository.number, release))
        if known is None:
            known = Image(
                repository,
                release,
                f"{1 + release // 5}.{release % 5}.0",
                "sha256:" + self.chance.hex(64, "digest", repository.number, release),
            )
            self._images[known.number] = known
        return known

    def add_vulnerability(
        self,
        *,
        images: int,
        among: Collection[tuple[int, int]] | None = None,  # None is all images made so far
    ) -> Update:
        """Let the database know one vulnerability more, in so many images."""
        number = len(self.updates)
        hit = heapq.nsmallest(
            images,
            self._images if among is None else among,
            key=lambda image: self.chance.number("hit", number, image),
        )
        return self._add(Update(50_000 + number, frozenset(hit)))

    def withdraw_vulnerability(self) -> Update | None:
        """Let the database forget the newest vulnerability that an update brought."""
        gone = {update.withdraws for update in self.updates}
        for number in reversed(range(len(self.updates))):
            update = self.updates[number]
            if update.withdraws is None and number not in gone:
                return self._add(Update(update.vulnerability, update.images, number))
        return None

    def known(self, image: Image, version: int) -> tuple[int, ...]:
        """Return the updates whose vulnerability a scan of this version finds in an image."""
        found: list[int] = []
        for number in self._updates_of.get(image.number, ()):
            if number >= version:
                break
            withdraws = self.updates[number].withdraws
            if withdraws is None:
                found.append(number)
            else:
                found.remove(withdraws)
        return tuple(found)

    def packages(self, image: Image) -> list[Package]:
        """Return all that an image is made of."""
        repository, release = image.repository, image.release
        patch = release // 2 + self.chance.below(4, "patch", repository.number)
        first = self.chance.below(LIBRARIES, "libraries", repository.number)
        stride = 1 + self.chance.below(7, "stride", repository.number)
        return [
            *self.software.installed(repository.platform, patch),
            *(
                self.software.library(
                    repository.language, (first + n * stride) % LIBRARIES, release
                )
                for n in range(repository.libraries)
            ),
        ]

    def vulnerabilities(self, image: Image, known: tuple[int, ...]) -> list[dict[str, Any]]:
        """Return what a scan finds in an image, as Trivy Operator writes it."""
        packages = self.packages(image)
        found = [entry for package in packages for entry in self.software.entries(package)]
        for number in known:
            package = packages[self.chance.below(len(packages), "where", number)]
            vulnerability = self.updates[number].vulnerability
            found.append(self.software.entry(package, vulnerability, ""))
        return found

    def _add(self, update: Update) -> Update:
        for image in update.images:
            self._updates_of.setdefault(image, []).append(len(self.updates))
        self.updates.append(update)
        return update

    def _repository(self, number: int, name: str) -> Repository:
        draw = self.chance
        libraries = 5 + draw.below(70, "many", number)
        if draw.fraction("huge", number) < HUGE:
            libraries *= 15
        return Repository(
            number=number,
            registry=draw.pick(REGISTRIES, "registry", number),
            name=name,
            platform=draw.rank(len(PLATFORMS), "platform", number),
            language=draw.pick(LANGUAGES, "language", number),
            libraries=libraries,
        )
