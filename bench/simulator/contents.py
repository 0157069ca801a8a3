"""Every distinct content of a fleet, made once by the real source and held packed.

A thousand agents share them. Names are kept for ever; bodies up to a limit, since what is asked for
again can be made again.
"""

from typing import Any

from agent.packing import pack
from agent.state import Payload
from bench.simulator.check_reports import Benchmarks, Configuration, Policies, Roles
from bench.simulator.image_reports import Bills, Secrets, Vulnerabilities
from bench.simulator.images import Images
from bench.simulator.objects import Report, Shape
from protocol import content, messages
from sources import registry
from sources.report import Part

BODY_BYTES = 512 * 2**20  # of packed bodies that are held


def split(obj: dict[str, Any]) -> Part:
    """Read an object as the agent does. What a fleet writes is about one subject and source."""
    group = obj["apiVersion"].rpartition("/")[0]
    _, source = registry.kinds()[group, obj["kind"]]
    (part,) = source.split(obj)
    return part


class Contents:
    """Contents by what they depend on."""

    def __init__(self, images: Images, *, body_bytes: int = BODY_BYTES) -> None:
        shapes: tuple[Shape, ...] = (
            Vulnerabilities(images.chance, images),
            Secrets(images.chance, images),
            Bills(images.chance, images),
            Configuration(images.chance),
            Roles(images.chance),
            Benchmarks(images.chance),
            Policies(images.chance),
        )
        self.shapes = {shape.kind: shape for shape in shapes}  # by the kind of their reports
        self.made = 0  # contents, those made again among them
        self.canonical_bytes = 0  # of those
        self.packed_bytes = 0  # that are held now
        self._limit = body_bytes
        self._names: dict[tuple[object, ...], bytes] = {}
        self._packed: dict[tuple[object, ...], messages.Content] = {}

    def __len__(self) -> int:
        return len(self._names)

    def name(self, report: Report) -> bytes:
        """Name a report's content."""
        shape = self.shapes[report.kind]
        key = shape.content(report)
        return self._names.get(key) or self._make(key, shape, report).name

    def packed(self, report: Report) -> messages.Content:
        """Return a report's content as it is sent."""
        shape = self.shapes[report.kind]
        key = shape.content(report)
        return self._packed.get(key) or self._make(key, shape, report)

    def _make(self, key: tuple[object, ...], shape: Shape, report: Report) -> messages.Content:
        part = split(shape.write(report))
        name = content.name(part.content_kind, part.format, part.content)
        made = pack(Payload(name, part.content_kind, part.format, part.content))
        self._names[key] = name
        self._packed[key] = made
        self.made += 1
        self.canonical_bytes += made.size
        self.packed_bytes += len(made.body)
        while self.packed_bytes > self._limit and len(self._packed) > 1:
            oldest = next(iter(self._packed))
            self.packed_bytes -= len(self._packed.pop(oldest).body)
        return made
