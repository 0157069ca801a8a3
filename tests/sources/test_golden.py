"""The names of the samples' contents, frozen: a change here is a new format, or a bug.

`UPDATE_GOLDEN=1 pytest tests/sources/test_golden.py` writes the file anew; read the difference.
"""

import json
import os
from pathlib import Path

from protocol import content
from tests.sources import samples

GOLDEN = Path(__file__).parent / "golden.json"


def names() -> dict[str, list[dict[str, str | int]]]:
    return {
        name: [
            {
                "subKey": part.sub_key,
                "contentKind": part.content_kind,
                "format": part.format,
                "sha256": content.name(part.content_kind, part.format, part.content).hex(),
            }
            for part in samples.split(obj)
        ]
        for name, obj in samples.every_sample().items()
    }


def test_contents_keep_their_names() -> None:
    found = names()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == found
