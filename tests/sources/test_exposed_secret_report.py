import pytest

from sources.exposed_secret_report import SECRETS, split
from sources.report import Category, Ref, Status, UnreadableError
from tests.sources import samples

BUILDER = "exposed_secret_report/build-image.yaml"


def test_a_finding_is_a_secret_in_a_file() -> None:
    part = samples.split_one(samples.sample(BUILDER))
    assert part.subject == Ref("batch", "CronJob", "ci", "nightly-build")
    assert part.container == "builder"
    reading = samples.read(part)
    assert SECRETS.category is Category.SECRET
    assert [(one.rule, one.target, one.status) for one in reading.findings] == [
        ("aws-secret-access-key", "/root/.aws/credentials", Status.FAIL),
        ("github-pat", "/app/config/deploy.yaml", Status.FAIL),
        ("github-pat", "/app/config/deploy.yaml", Status.FAIL),
    ]
    assert {rule.title for rule in reading.rules} == {
        "AWS Secret Access Key",
        "GitHub Personal Access Token",
    }


def test_the_secret_itself_stays_home() -> None:
    obj = samples.sample(BUILDER)
    for secret in obj["report"]["secrets"]:
        secret |= {"match": "hunter2", "code": {"lines": ["hunter2"]}}
    part = samples.split_one(obj)
    assert b"hunter2" not in part.content
    assert part.content == samples.split_one(samples.sample(BUILDER)).content


def test_a_reason_never_holds_a_value() -> None:
    obj = samples.sample(BUILDER)
    obj["report"]["secrets"][0]["ruleID"] = ["hunter2"]
    with pytest.raises(UnreadableError) as raised:
        split(obj)
    assert str(raised.value) == "report.secrets[0].ruleID: expected text, found list"
