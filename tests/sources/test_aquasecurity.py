from sources import aquasecurity, canonical
from sources.aquasecurity import Scanner
from sources.metadata import Metadata
from sources.owner import Owner
from sources.report import ContentKind, Reading
from sources.resource import CLUSTER

KIND = ContentKind(name="k", format=3, reader=1, category=None, read=lambda _content: Reading())


def test_a_kind_of_the_group() -> None:
    kind = aquasecurity.kind("ClusterSbomReport", namespaced=False)
    assert (kind.group, kind.plural) == ("aquasecurity.github.io", "clustersbomreports")
    assert (kind.versions, kind.namespaced) == (("v1alpha1",), False)


def test_a_part_takes_its_context_from_metadata_and_owner() -> None:
    part = aquasecurity.part(
        KIND,
        canonical.encode({}),
        metadata=Metadata(labels={"starboard.resource.kind": "Pod", "tier": True}),
        owner=Owner(subject=CLUSTER, container="c"),
        scanner=Scanner(name="Polaris", version=4.2),
        updated="2026-03-02T06:14:08Z",
        sub_key="s",
    )
    assert (part.source, part.subject, part.container) == ("starboard", CLUSTER, "c")
    assert (part.content_kind, part.format, part.sub_key) == ("k", 3, "s")
    assert (part.scanner, part.scanner_version) == ("Polaris", "4.2")
    assert part.labels == {"starboard.resource.kind": "Pod", "tier": "true"}
    assert part.reported_at == 1772432048_000
