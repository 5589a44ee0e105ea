"""The files in `deploy/`: each by its own official tool or schema, and their commands by our command line.

No image was ever built here and no cluster asked: there is no container engine on the machines that test.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from process_agent.agent.assemble import DRAIN_SECONDS
from process_agent.cli import join as join_module
from process_agent.cli.checked import JoinOptions
from process_agent.cli.health import parse_address
from process_agent.cli.tree import command

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
KUBERNETES = "1.32"
SECRETS = ("token", "key", "secret", "password")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def parsed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> JoinOptions | None:
    """What our command line makes of a command in a file; `process join` is checked and not run."""
    assert words[0] == "process"
    seen: list[JoinOptions] = []
    monkeypatch.setattr(join_module, "run", lambda options, settings: seen.append(options))
    root = command()
    if words[1] == "join":
        root.main(words[1:], standalone_mode=False)
        return seen[0]
    leaf = getattr(root, "commands")[words[1]]  # noqa: B009
    leaf.make_context(words[1], words[2:])
    return None


# --- Dockerfile ------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.strip().partition(" ") for line in lines)]


def of_kind(kind: str) -> list[str]:
    return [rest for name, rest in instructions() if name == kind]


def test_the_dockerfile_by_its_linter() -> None:
    linter = BIN / "hadolint"
    if not linter.exists():
        pytest.skip("hadolint has no wheel for this machine")
    run(linter, DEPLOY / "Dockerfile")


def test_what_the_image_copies_is_there_and_is_let_through() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    for copy in of_kind("COPY"):
        if copy.startswith("--from="):
            continue
        *sources, _ = copy.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = {source for copy in of_kind("COPY") for source in copy.split()}
    needed = {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"], "hatch_build.py"}
    needed |= {project["project"]["readme"], *project["project"]["license-files"]}
    assert needed <= copied
    extras = next(rest for rest in of_kind("ARG") if rest.startswith("EXTRAS=")).removeprefix("EXTRAS=")
    assert set(extras.split(",")) <= project["project"]["optional-dependencies"].keys()


def test_the_image_is_small_and_without_rights() -> None:
    bases = of_kind("FROM")
    assert len(bases) == 2
    assert all(base.startswith("${PYTHON_IMAGE}") for base in bases)
    user = of_kind("USER")[-1].split(":")[0]
    assert user.isdigit()
    assert int(user) > 0
    assert f"--uid {user} " in of_kind("RUN")[-1]
    assert of_kind("ENTRYPOINT") == []
    for line in (*of_kind("ENV"), *of_kind("ARG")):
        assert not any(word in line.lower() for word in SECRETS)


def test_the_commands_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    options = parsed(json.loads(of_kind("CMD")[-1]), monkeypatch)
    assert options is not None
    [check] = of_kind("HEALTHCHECK")
    asked = json.loads(check.partition("CMD ")[2])
    parsed(asked, monkeypatch)
    assert options.health == asked[-1]


# --- Compose ---------------------------------------------------------------------------------


def test_the_compose_file(monkeypatch: pytest.MonkeyPatch) -> None:
    file = DEPLOY / "compose.yaml"
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    agent = yaml.safe_load(file.read_text())["services"]["agent"]
    words = [re.sub(r"\$\{[A-Z_]+(?::[-?]([^}]*))?\}", "demo", word) for word in agent["command"]]
    options = parsed(words, monkeypatch)
    assert options is not None
    assert options.health == json.loads(of_kind("CMD")[-1])[-1]
    assert (agent["build"]["dockerfile"], agent["init"], agent["read_only"]) == (
        "deploy/Dockerfile",
        True,
        True,
    )
    assert float(agent["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS
    mounts = {volume.split(":")[1] for volume in agent["volumes"]}
    assert {"/work", "/state", "/home/agent"} == mounts
    assert "environment" not in agent


# --- Kubernetes ------------------------------------------------------------------------------


def documents(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted(folder.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            yield file, document


def test_the_manifests_by_the_schemas_of_kubernetes() -> None:
    files = [
        file for file, found in documents(DEPLOY / "kubernetes" / "base") if found["kind"] != "Kustomization"
    ]
    assert len(files) == 3
    run(BIN / "kubernetes-validate", "--strict", "-k", KUBERNETES, *files)


def built(folder: str, scratch: Path) -> dict[str, dict[str, Any]]:
    """What kustomize makes of a folder, by kind, once the schemas of Kubernetes take it."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    file = scratch / "built.yaml"
    file.write_text(run("kubectl", "kustomize", DEPLOY / "kubernetes" / folder).stdout)
    run(BIN / "kubernetes-validate", "--strict", "-k", KUBERNETES, file)
    return {each["kind"]: each for each in yaml.safe_load_all(file.read_text())}


def test_the_room_as_kustomize_builds_it(tmp_path: Path) -> None:
    found = built("rooms/gettingstarted", tmp_path)
    container = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    room, *secrets = [each["valueFrom"] for each in container["env"]]
    assert room["configMapKeyRef"]["name"] == found["ConfigMap"]["metadata"]["name"]
    assert {each["secretKeyRef"]["name"] for each in secrets} == {"process-agent-gettingstarted"}
    selector = found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    assert selector.items() <= found["Deployment"]["spec"]["template"]["metadata"]["labels"].items()


def test_the_agent_that_is_called_as_kustomize_builds_it(tmp_path: Path) -> None:
    found = built("called", tmp_path)
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"].items() <= labels.items()
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert found["Service"]["spec"]["selector"]["app.kubernetes.io/instance"] == "called", (
        "no agent of a room"
    )


def test_the_agent_that_is_called_listens_where_calls_come_in() -> None:
    """Read from the patches, so that it holds where no kustomize is installed."""
    folder = DEPLOY / "kubernetes" / "called"
    made = yaml.safe_load((folder / "kustomization.yaml").read_text())
    deployment, policy = (yaml.safe_load(each["patch"]) for each in made["patches"])
    values = {each["path"].rpartition("containers/0/")[2]: each["value"] for each in deployment}
    group, leaf = values["command"][1:]
    serve = getattr(getattr(command(), "commands")[group], "commands")[leaf]  # noqa: B009
    params = serve.make_context(leaf, values["args"]).params
    [port] = values["ports"]
    assert (params["host"], params["port"]) == ("0.0.0.0", port["containerPort"])
    assert policy[0]["value"] == [{"ports": [{"protocol": "TCP", "port": params["port"]}]}]
    probes = {values[f"{name}Probe/httpGet"]["port"] for name in ("startup", "readiness", "liveness")}
    service = yaml.safe_load((folder / "service.yaml").read_text())
    assert {*probes, service["spec"]["ports"][0]["targetPort"]} == {port["name"]}
    assert all("value" not in variable for variable in values["env"]), "no secret in a manifest"
    run(BIN / "kubernetes-validate", "--strict", "-k", KUBERNETES, folder / "service.yaml")


def test_every_kustomization_names_files_that_are_there() -> None:
    kubernetes = DEPLOY / "kubernetes"
    for folder in (kubernetes / "base", kubernetes / "called", *(kubernetes / "rooms").iterdir()):
        made = yaml.safe_load((folder / "kustomization.yaml").read_text())
        assert all((folder / name).exists() for name in made["resources"])


def test_the_deployment_drains_probes_and_has_no_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {each["kind"]: each for _, each in documents(DEPLOY / "kubernetes" / "base")}
    pod = found["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    options = parsed([*container["command"], *container["args"]], monkeypatch)
    assert options is not None
    assert options.health is not None
    assert parse_address(options.health)[1] == container["ports"][0]["containerPort"]
    paths = [container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")]
    assert paths == ["/readyz", "/readyz", "/healthz"]
    assert pod["terminationGracePeriodSeconds"] > DRAIN_SECONDS
    assert found["Deployment"]["spec"]["strategy"]["type"] == "Recreate"
    assert pod["automountServiceAccountToken"] is False
    assert str(pod["securityContext"]["runAsUser"]) == of_kind("USER")[-1].split(":")[0]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    for variable in container["env"]:
        assert "value" not in variable, "values of secrets are not in manifests"
    assert found["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in found["NetworkPolicy"]["spec"]


# --- systemd ---------------------------------------------------------------------------------

UNIT = DEPLOY / "systemd" / "process-agent@.service"
ROOM_UNIT = DEPLOY / "systemd" / "process-room.service"


@pytest.mark.parametrize(("unit", "manager"), [(UNIT, "--system"), (ROOM_UNIT, "--user")])
def test_the_units_by_systemd(
    unit: Path, manager: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    # Verified is also that the program is there, and here it is elsewhere.
    here = tmp_path / unit.name
    here.write_text(unit.read_text().replace("/opt/process/bin/process", str(BIN / "process")))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    done = run("systemd-analyze", manager, "verify", here)
    assert done.stdout + done.stderr == ""


def settings_of(unit: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in unit.read_text().splitlines() if re.match(r"[A-Z]\w+=", line))


def test_the_command_of_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = settings_of(ROOM_UNIT)
    program, group, *words = shlex.split(lines["ExecStart"])
    assert (Path(program).name, group) == ("process", "room")
    leaf = getattr(getattr(command(), "commands")["room"], "commands")[words[0]]  # noqa: B009
    leaf.make_context(words[0], words[1:])
    assert float(lines["TimeoutStopSec"]) > 13, "what its services have to drain"


def test_the_command_of_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = settings_of(UNIT)
    program, *words = shlex.split(lines["ExecStart"].replace("%i", "gettingstarted"))
    options = parsed([Path(program).name, *words], monkeypatch)
    assert options is not None
    assert options.room == "gettingstarted"
    assert float(lines["TimeoutStopSec"]) > DRAIN_SECONDS
    assert (lines["KillSignal"], lines["KillMode"]) == ("SIGTERM", "mixed")
    assert not any(word in lines["Environment"].lower() for word in SECRETS)


def test_no_file_names_a_registry_or_holds_a_secret() -> None:
    for file in (each for each in DEPLOY.rglob("*") if each.is_file()):
        text = file.read_text()
        assert not re.search(
            r"[a-z0-9-]+\.(?:io|com|dev)/[a-z]", re.sub(r"[a-z.]*(?:k8s|kubernetes)\.io/", "", text)
        ), file
        assert not re.search(r"(?:sk|ma)-[A-Za-z0-9]{8}|eyJ[A-Za-z0-9_-]{8}", text), file
