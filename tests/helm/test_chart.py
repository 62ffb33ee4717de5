"""The chart as Helm itself sees it: linted, rendered in both shapes, validated against Kubernetes' schemas.

Run by `make test-helm`, with requirements of its own.
"""

from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from helm_python.chart import Chart, lint
from helm_python.errors import HelmError

CHART = Path(__file__).parents[2] / "helm"
LEAST = {"image": {"repository": "images.example/keywright"}, "masterKey": {"existingSecret": "master"}}
SQLITE: dict[str, Any] = LEAST
POSTGRESQL: dict[str, Any] = LEAST | {
    "ledger": {"existingSecret": "ledger"},
    "replicaCount": 3,
    "scheduler": {"enabled": True, "replicaCount": 2},
    "tls": {"existingSecret": "tls"},
    "existingSettingsSecret": "more",
    "settings": {"VAULT_ADDR": "https://vault:8200", "TICK": 2},
    "imagePullSecrets": [{"name": "pull"}],
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "only", "operator": "Exists"}],
    "networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {}}],
        "egress": [{"ports": [{"port": 5432, "protocol": "TCP"}]}],
    },
}
SHAPES = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
VERSIONS = ("1.25", "1.31", "1.37")


def rendered(values: dict[str, Any], name: str = "keywright") -> list[dict[str, Any]]:
    """Every manifest that Helm makes of the chart."""
    with Chart.load(CHART) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name=name, namespace="team")
    found = []
    for path, text in files.items():
        if path.endswith(".yaml"):
            found += [document for document in yaml.safe_load_all(text) if document]
    return found


def only(manifests: list[dict[str, Any]], kind: str, ending: str = "") -> dict[str, Any]:
    """The one manifest of a kind."""
    found = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(ending)]
    assert len(found) == 1, [m["kind"] for m in manifests]
    return found[0]


def pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pod of every workload."""
    return [m["spec"]["template"]["spec"] for m in manifests if m["kind"] in ("Deployment", "StatefulSet")]


def environ(pod: dict[str, Any]) -> dict[str, Any]:
    """A pod's environment by name."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in pod["containers"][0]["env"]}


@pytest.mark.parametrize("shape", SHAPES)
def test_lint_finds_nothing(shape: str) -> None:
    report = lint(CHART, SHAPES[shape], strict=True)
    assert report["errors"] in ([], None)
    assert [m for m in report["messages"] or [] if m["severity"] >= 2] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_manifest_is_one_that_kubernetes_knows(shape: str, version: str) -> None:
    for manifest in rendered(SHAPES[shape]):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_sqlite_is_one_pod_with_a_volume() -> None:
    manifests = rendered(SQLITE)
    assert sorted(m["kind"] for m in manifests) == ["NetworkPolicy", "Service", "ServiceAccount", "StatefulSet"]
    workload = only(manifests, "StatefulSet")
    assert workload["spec"]["replicas"] == 1
    assert [v["metadata"]["name"] for v in workload["spec"]["volumeClaimTemplates"]] == ["data"]
    assert "KEYWRIGHT_LEDGER_FILE" not in environ(pods(manifests)[0])
    assert only(manifests, "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"]


def test_postgresql_is_many_pods_and_a_scheduler() -> None:
    manifests = rendered(POSTGRESQL)
    server, scheduler = only(manifests, "Deployment", "keywright"), only(manifests, "Deployment", "-scheduler")
    assert (server["spec"]["replicas"], scheduler["spec"]["replicas"]) == (3, 2)
    serving = environ(server["spec"]["template"]["spec"])
    assert serving["KEYWRIGHT_LEDGER_FILE"] == "/ledger/url"
    assert serving["KEYWRIGHT_CLOCK"] == "false"
    assert serving["KEYWRIGHT_TLS_CERT"] == "/tls/tls.crt"
    assert (serving["KEYWRIGHT_VAULT_ADDR"], serving["KEYWRIGHT_TICK"]) == ("https://vault:8200", "2")
    rotating = environ(scheduler["spec"]["template"]["spec"])
    assert not {"KEYWRIGHT_LISTEN", "KEYWRIGHT_CLOCK"} & set(rotating)
    assert scheduler["spec"]["template"]["spec"]["containers"][0]["command"] == ["keywrightd", "scheduler"]
    assert only(manifests, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    probe = server["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]
    assert (probe["path"], probe["scheme"]) == ("/readyz", "HTTPS")
    assert only(manifests, "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize("shape", SHAPES)
def test_pods_can_do_little(shape: str) -> None:
    for pod in pods(rendered(SHAPES[shape])):
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert environ(pod)["KEYWRIGHT_KEY"] == "env:MASTER_KEY"
        assert environ(pod)["MASTER_KEY"] == {"secretKeyRef": {"name": "master", "key": "master.key"}}


def test_services_and_budgets_find_the_servers_and_not_the_scheduler() -> None:
    manifests = rendered(POSTGRESQL)
    labels = only(manifests, "Deployment", "keywright")["spec"]["template"]["metadata"]["labels"]
    other = only(manifests, "Deployment", "-scheduler")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        only(manifests, "Service")["spec"]["selector"],
        only(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
        assert not selector.items() <= other.items()


def test_a_master_key_may_be_elsewhere() -> None:
    values = {"image": LEAST["image"], "masterKey": {"home": "transit:transit/keywright"}}
    assert environ(pods(rendered(values))[0])["KEYWRIGHT_KEY"] == "transit:transit/keywright"


def test_names_follow_the_release() -> None:
    assert only(rendered(SQLITE, name="secrets"), "Service")["metadata"]["name"] == "secrets-keywright"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"masterKey": {"existingSecret": "master"}}, "image.repository is needed"),
        ({"image": LEAST["image"]}, "masterKey.existingSecret or masterKey.home is needed"),
        (LEAST | {"replicaCount": 2}, "needs a ledger in PostgreSQL"),
        (LEAST | {"scheduler": {"enabled": True}}, "needs a ledger in PostgreSQL"),
        (LEAST | {"replicaCount": 0}, "replicaCount"),
        (LEAST | {"replicas": 2}, "replicas"),
        (LEAST | {"image": {"repository": "x", "digest": "latest"}}, "digest"),
        (LEAST | {"masterKey": {"home": "file:/key"}}, "home"),
        (LEAST | {"settings": {"LEDGER": "postgresql://u:p@h/d"}}, "LEDGER"),
        (LEAST | {"settings": {"VAULT_TOKEN": "s.secret"}}, "VAULT_TOKEN"),
        (LEAST | {"settings": {"log_level": "info"}}, "log_level"),
        (LEAST | {"service": {"type": "Public"}}, "type"),
        (LEAST | {"tls": {"existingSecret": "Not A Name"}}, "existingSecret"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmError, match=told):
        rendered(values)


def test_this_is_helm() -> None:
    assert helm_python.helm_sdk_version().lstrip("v").startswith("4.")
