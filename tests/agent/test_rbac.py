import yaml
from click.testing import CliRunner

from agent.cli import main
from agent.rbac import rules
from sources import registry


def test_exactly_what_is_read() -> None:
    by_group = {rule["apiGroups"][0]: rule["resources"] for rule in rules()}
    assert by_group[""] == ["namespaces", "nodes", "pods", "replicationcontrollers"]
    assert by_group["apps"] == ["daemonsets", "deployments", "replicasets", "statefulsets"]
    assert by_group["batch"] == ["cronjobs", "jobs"]
    for kind, _ in registry.kinds().values():
        assert kind.plural in by_group[kind.group]
    assert set(by_group) == {"", "apps", "batch", *(group for group, _ in registry.kinds())}


def test_reading_only() -> None:
    for rule in rules():
        assert rule["verbs"] == ["get", "list", "watch"]
        assert not {"secrets", "configmaps", "*"} & set(rule["resources"])
        assert not any("ephemeral" in resource for resource in rule["resources"])


def test_the_command_prints_a_cluster_role() -> None:
    result = CliRunner().invoke(main, ["rbac", "--name", "reader"])

    role = yaml.safe_load(result.output)
    assert result.exit_code == 0
    assert role["metadata"]["name"] == "reader"
    assert role["rules"] == rules()
