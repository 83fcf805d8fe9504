"""What operators deploy with: the files are as their schemas want them, and name real settings."""

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from roster.described_settings import described
from tests.live import ROOT

OPS = ROOT / "ops"
SETTINGS = {each.name for each in described()}
MANIFESTS = sorted(each for each in (OPS / "kubernetes").glob("*.yaml"))
# kustomize's own file has no schema in Kubernetes.
OBJECTS = [
    (file.name, document)
    for file in MANIFESTS
    if file.name != "kustomization.yaml"
    for document in yaml.safe_load_all(file.read_text("utf-8"))
]


def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def containers() -> list[Any]:
    """Return the containers of all pods."""
    pods = [
        each["spec"]["template"]["spec"]
        for _, each in OBJECTS
        if "template" in each.get("spec", {})
    ]
    return [(pod, container) for pod in pods for container in pod["containers"]]


@pytest.mark.parametrize("file", ["Dockerfile", "ops/pgbouncer/Dockerfile"])
def test_hadolint_has_nothing_to_say(file: str) -> None:
    command = [Path(sysconfig.get_path("scripts")) / "hadolint", ROOT / file]

    said = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (said.returncode, said.stdout) == (0, "")


def test_the_compose_file_is_one() -> None:
    # YAML's merge keys are resolved before, as Compose does.
    parsed = PyCompose.from_yaml(yaml.safe_dump(compose())).to_spec()

    assert set(parsed.services or {}) == set(compose()["services"])


def test_every_service_that_is_named_is_there() -> None:
    made = compose()
    for name, service in made["services"].items():
        assert set(service.get("depends_on", {})) <= set(made["services"]), name
        assert set(service.get("networks", [])) <= set(made["networks"]), name
        for other, wanted in service.get("depends_on", {}).items():
            built = made["services"][other]
            is_checked = "healthcheck" in built or "build" in built
            assert wanted["condition"] != "service_healthy" or is_checked, (name, other)


def test_the_migration_ends_before_the_workers_start() -> None:
    services = compose()["services"]

    assert services["migrate"]["command"] == ["roster", "db", "upgrade"]
    condition = services["roster"]["depends_on"]["migrate"]["condition"]
    assert condition == "service_completed_successfully"
    assert services["roster"]["command"] == ["roster", "serve", "--no-migrate"]


def test_nothing_but_nginx_is_reached_from_outside() -> None:
    made = compose()

    assert [name for name, each in made["services"].items() if "ports" in each] == ["nginx"]
    assert made["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", ["nginx", "migrate", "roster", "pgbouncer", "redis"])
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = compose()["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_no_image_is_the_newest_whatever_that_is() -> None:
    images = [each["image"] for each in compose()["services"].values() if "build" not in each]
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)

    assert all(re.search(r":[0-9]", image) for image in images), images


def test_every_setting_is_one_of_the_servers() -> None:
    named = {
        *compose()["services"]["roster"]["environment"],
        *compose()["services"]["migrate"]["environment"],
        *(
            key
            for _, each in OBJECTS
            for key in {**each.get("data", {}), **each.get("stringData", {})}
        ),
    }

    assert {"DATABASE_URL", "ROSTER_SECRET_KEY", "ROSTER_ISSUER", "WORKERS"} <= named
    assert named <= SETTINGS


def test_what_a_stack_needs_to_be_told_is_in_its_guide() -> None:
    file = (ROOT / "compose.yaml").read_text("utf-8")
    needed = set(re.findall(r"\$\{(\w+):\?\}", file))
    guide = (ROOT / "docs" / "deploy.md").read_text("utf-8")

    assert needed == {"ROSTER_SECRET_KEY", "ROSTER_ISSUER", "POSTGRES_PASSWORD"}
    assert all(f"\n{name}=" in guide for name in needed)


@pytest.mark.parametrize(
    ("file", "document"),
    OBJECTS,
    ids=[f"{file}-{each['kind']}-{each['metadata']['name']}" for file, each in OBJECTS],
)
def test_a_manifest_is_as_kubernetes_wants_it(file: str, document: Any) -> None:
    versions = kubernetes_validate.utils.all_versions()

    # The newest that the package knows, and one that clusters still run.
    for version in (kubernetes_validate.utils.latest_version(), versions[-4]):
        kubernetes_validate.validate(document, version, strict=True)


def test_kustomize_finds_every_manifest() -> None:
    listed = yaml.safe_load((OPS / "kubernetes" / "kustomization.yaml").read_text("utf-8"))
    there = {each.name for each in MANIFESTS} - {"kustomization.yaml", "secret.example.yaml"}

    assert set(listed["resources"]) == there | {"secret.yaml"}


@pytest.mark.parametrize("number", range(len(containers())))
def test_a_container_meets_the_restricted_standard(number: int) -> None:
    pod, container = containers()[number]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_user_is_that_of_the_image() -> None:
    user = re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)

    for pod, _ in containers():
        context = pod["securityContext"]
        assert [f"{context['runAsUser']}:{context['runAsGroup']}"] == user


def test_a_budget_and_a_service_meet_the_pods_that_there_are() -> None:
    objects = {each["kind"]: each for _, each in OBJECTS}
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        objects["Deployment"]["spec"]["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]

    assert all(selector == labels for selector in selectors)
    assert (
        objects["PodDisruptionBudget"]["spec"]["minAvailable"]
        < objects["Deployment"]["spec"]["replicas"]
    )


def test_the_hashes_are_those_of_the_pinned_packages() -> None:
    """An image has the very packages with which all tests run."""
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if "==" in line and not line.startswith(("#", " "))
    )
    hashed = re.findall(
        r"^([a-z0-9-]+)==([^ ]+)",
        (OPS / "image" / "requirements.txt").read_text("utf-8"),
        re.MULTILINE,
    )

    assert len(hashed) > 50
    assert dict(hashed) == {name: pins[name].partition(" ")[0] for name, _ in hashed}
