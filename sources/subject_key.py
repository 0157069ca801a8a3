"""The sub-key of a report whose object is about several subjects or comes from several sources."""

from urllib.parse import quote

from sources.report import Ref


def subject_key(subject: Ref, source: str) -> str:
    """Make a text of both that no other pair has: "kyverno/apps/Deployment/default/nginx".

    Names can hold slashes ("system/admin"); what could be taken for a separator is escaped.
    """
    parts = (source, subject.group, subject.kind, subject.namespace, subject.name)
    return "/".join(quote(part, safe=":") for part in parts)
