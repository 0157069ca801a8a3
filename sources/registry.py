"""All sources, found by walking this folder: a module that has a `SOURCE` is one.

A source that fails to import is fatal: an agent that silently watched less would lie.
"""

import importlib
import pkgutil
from functools import cache

import sources
from sources.report import ContentKind, Kind, Source


@cache
def all_sources() -> tuple[Source, ...]:
    """Import every module of this package, in the order of their names."""
    names = sorted(module.name for module in pkgutil.iter_modules(sources.__path__))
    modules = [importlib.import_module(f"{sources.__name__}.{name}") for name in names]
    return tuple(module.SOURCE for module in modules if hasattr(module, "SOURCE"))


@cache
def kinds() -> dict[tuple[str, str], tuple[Kind, Source]]:
    """(group, kind) → what to watch and who splits it. Two sources may not claim one kind."""
    found: dict[tuple[str, str], tuple[Kind, Source]] = {}
    for source in all_sources():
        for kind in source.kinds:
            if (kind.group, kind.kind) in found:
                raise ValueError(f"two sources read {kind.group}/{kind.kind}: {source.name}")
            found[kind.group, kind.kind] = (kind, source)
    return found


@cache
def contents() -> dict[str, ContentKind]:
    """Content kind's name → how to read it. Two sources may not share a name."""
    found: dict[str, ContentKind] = {}
    for source in all_sources():
        for content in source.contents:
            if content.name in found:
                raise ValueError(f"two sources write contents named {content.name}")
            found[content.name] = content
    return found
