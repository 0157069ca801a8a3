from hypothesis import given
from hypothesis import strategies as st

from sources.report import Ref
from sources.subject_key import subject_key

NAME = st.text(st.sampled_from("ab/% :é"), max_size=4)
REF = st.builds(Ref, NAME, NAME, NAME, NAME)


def test_a_key_reads_like_a_path() -> None:
    subject = Ref("rbac.authorization.k8s.io", "ClusterRole", "", "system:node")
    assert subject_key(subject, "kyverno") == (
        "kyverno/rbac.authorization.k8s.io/ClusterRole//system:node"
    )


@given(REF, NAME, REF, NAME)
def test_two_pairs_never_have_one_key(one: Ref, source: str, other: Ref, other_source: str) -> None:
    same = (one, source) == (other, other_source)
    assert (subject_key(one, source) == subject_key(other, other_source)) == same
