"""An account as the deployment's scripts see it: state in, answer and next state out. Only the standard library."""

import json
from typing import Any, TextIO

Answer = tuple[int, str, str, dict[str, Any]]

SERVICES = ("code", "daemon", "webserver")
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/stock-pipeline-prod-dagster"


def answer(name: str, arguments: list[str], state: dict[str, Any], given: TextIO) -> Answer:
    words = [word for word in arguments if not word.startswith("-chdir=")]
    if name == "terraform":
        return terraform(words, state)
    if name == "aws":
        return aws(words, state)
    if name == "docker":
        return docker(words, state, given)
    return 0, "", "", state


def terraform(words: list[str], state: dict[str, Any]) -> Answer:
    match words:
        case ["plan", *flags]:
            (environment,) = [
                flag[len("-var-file=envs/") :].removesuffix(".tfvars") for flag in flags if "-var-file=" in flag
            ]
            values = dict(flag.removeprefix("-var=").split("=", 1) for flag in flags if flag.startswith("-var="))
            return 0, "", "", {**state, "plan": {"environment": environment, **values}}
        case ["apply", *_]:
            if "plan" not in state:
                return 1, "", "no plan\n", state
            return 0, "", "", applied(state)
        case ["output", "-json"]:
            return 0, json.dumps(state.get("outputs", {})), "", state
        case ["output", "-json", name]:
            # Terraform keeps no null outputs, and a name that it does not know is an error
            if name not in state.get("outputs", {}):
                return 1, "", f'Error: Output "{name}" not found\n', state
            return 0, json.dumps(state["outputs"][name]["value"]), "", state
        case ["show", "-json", *_]:
            return 0, json.dumps(state.get("shown", {})), "", state
    return 0, "", "", state


def applied(state: dict[str, Any]) -> dict[str, Any]:
    plan = state["plan"]
    environment = plan["environment"]
    outputs: dict[str, Any] = {"settings": {"value": {"ENVIRONMENT": environment, "AWS_REGION": "us-east-1"}}}
    if environment != "prod":
        return {**state, "outputs": outputs}
    digest = plan.get("dagster_image_digest")
    image = digest or plan["dagster_image_tag"]
    revision = state.get("revision", 0) + (image != state.get("image"))
    wanted = {name: f"arn:aws:ecs:us-east-1:123456789012:task-definition/{name}:{revision}" for name in SERVICES}
    dagster = {
        "repository_url": REPOSITORY,
        "cluster": "stock-pipeline-prod-dagster",
        "image_digest": digest,
        "task_definitions": wanted,
    }
    present = image in state.get("images", {}) or image in state.get("images", {}).values()
    healthy = present and image not in state.get("broken", ())
    before = state.get("services", {})
    services = {
        name: {"revision": wanted[name], "running": 1}
        if healthy
        # the circuit breaker goes back to what ran before
        else before.get(name, {"revision": wanted[name], "running": 0})
        for name in SERVICES
    }
    outputs["dagster"] = {"value": dagster}
    return {**state, "outputs": outputs, "image": image, "revision": revision, "services": services}


def aws(words: list[str], state: dict[str, Any]) -> Answer:
    images: dict[str, str] = state.get("images", {})
    match words[:2]:
        case ["ecr", "describe-images"]:
            if state.get("registry_refuses"):
                return 254, "", "An error occurred (AccessDeniedException)\n", state
            tag = words[words.index("--image-ids") + 1].removeprefix("imageTag=")
            if tag not in images:
                return 254, "", "An error occurred (ImageNotFoundException) when calling DescribeImages\n", state
            return 0, json.dumps({"imageDetails": [{"imageDigest": images[tag]}]}), "", state
        case ["ecr", "get-login-password"]:
            return 0, "a-password", "", state
        case ["ecs", "describe-services"]:
            return (
                0,
                json.dumps({"services": [described(name, each) for name, each in state["services"].items()]}),
                "",
                state,
            )
        case ["ecs", "update-service"]:
            service = words[words.index("--service") + 1]
            running = not state.get("no_capacity") and (state["image"] in images or state["image"] in images.values())
            revision = state["services"][service]["revision"]
            services = {**state["services"], service: {"revision": revision, "running": int(running)}}
            return 0, "{}", "", {**state, "services": services}
        case ["ecs", "list-tasks"]:
            return 0, json.dumps({"taskArns": state.get("tasks", [])}), "", state
        case ["ecs", "describe-tasks"]:
            containers = [{"name": "database-login", "runtimeId": "1-0"}, {"name": "webserver", "runtimeId": "1-1"}]
            return 0, json.dumps({"tasks": [{"containers": containers}]}), "", state
        case ["ssm", "start-session"]:
            return 0, "", "", state
        case ["s3", "cp"]:
            return 0, "", "", state
    return 1, "", f"no answer to aws {' '.join(words)}\n", state


def described(name: str, service: dict[str, Any]) -> dict[str, Any]:
    running = service["running"]
    deployment = {
        "status": "PRIMARY",
        "taskDefinition": service["revision"],
        "rolloutState": "COMPLETED" if running else "IN_PROGRESS",
        "failedTasks": 0 if running else 3,
    }
    return {"serviceName": name, "runningCount": running, "desiredCount": 1, "deployments": [deployment]}


def docker(words: list[str], state: dict[str, Any], given: TextIO) -> Answer:
    if words[0] == "login" and given.read() != "a-password":
        return 1, "", "unauthorized\n", state
    if words[0] == "push":
        if state.get("push_fails"):
            return 1, "", "denied\n", state
        tag = words[1].rpartition(":")[2]
        # a tag that is pushed twice is refused by the repository
        if tag in state.get("images", {}):
            return 1, "", "tag invalid: already exists\n", state
        return 0, "", "", {**state, "images": {**state.get("images", {}), tag: f"sha256:{tag:0<64}"}}
    return 0, "", "", state
