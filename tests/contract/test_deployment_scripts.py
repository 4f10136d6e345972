"""`make deploy` and its parts, run for real in a clone, in the order in which people and the workflow run them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.deployment import ROOT, Deployment
from tests.support.scripts import load_script


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def digest(commit: str) -> str:
    return f"sha256:{commit:0<64}"


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_a_deployment_without_dagster_pushes_nothing_and_succeeds(deployment: Deployment, attempt: str) -> None:
    result = deployment.make("deploy", "dev")
    if attempt == "second":
        result = deployment.make("deploy", "dev")
    assert (result.code, result.err) == (0, "")
    assert result.steps() == ["packages", "plan", "apply"]
    written = json.loads((deployment.root / ".stock-pipeline/deployed/dev.json").read_text())
    assert written == {"ENVIRONMENT": "dev", "AWS_REGION": "us-east-1"}


def test_a_first_deployment_with_dagster_starts_its_services(deployment: Deployment) -> None:
    commit = deployment.git("rev-parse", "HEAD")
    result = deployment.make("deploy", "prod", CONFIRM="prod")
    assert (result.code, result.err) == (0, "")
    restarted = ["restart code", "restart daemon", "restart webserver"]
    assert result.steps() == ["packages", "plan", "apply", "build", "push", *restarted]
    assert deployment.state["images"] == {commit: digest(commit)}
    assert all(service["running"] for service in deployment.state["services"].values())


def test_every_question_goes_to_the_region_that_was_deployed_to(deployment: Deployment) -> None:
    """Terraform takes it from the environment's variables, the command line from whatever the person set."""
    first = deployment.make("deploy", "prod", CONFIRM="prod")
    deployment.change(tasks=["arn:aws:ecs:us-east-1:123456789012:task/stock-pipeline-prod-dagster/0123abcd"])
    opened = deployment.make("ui", "prod")
    asked = [call for result in (first, opened) for call in result.calls if call.startswith("aws ")]
    kinds = {tuple(call.split()[1:3]) for call in asked}
    assert {("ecr", "get-login-password"), ("ecs", "update-service"), ("ssm", "start-session")} <= kinds
    assert [call for call in asked if "--region us-east-1" not in call] == []


def test_the_workflows_that_plan_know_the_secret_of_the_pages_client() -> None:
    """A variable that only the environment may have: without it a plan with a page is refused."""
    planning = [
        step
        for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
        for job in yaml.safe_load(path.read_text())["jobs"].values()
        for step in job["steps"]
        if re.search(r"make (plan|drift)\b", step.get("run", ""))
    ]
    assert len(planning) == 2
    assert {step["env"]["TF_VAR_page_client_secret"] for step in planning} == {"${{ secrets.PAGE_CLIENT_SECRET }}"}


def test_the_state_may_lie_in_another_region(deployment: Deployment) -> None:
    workflows = [*sorted((ROOT / ".github/workflows").glob("*.yml"))]
    jobs = [job for path in workflows for job in yaml.safe_load(path.read_text())["jobs"].values()]
    steps = [step for job in jobs for step in job["steps"] if "STATE_BUCKET=" in step.get("run", "")]
    assert len(steps) == 4
    for step in steps:
        assert step["env"]["STATE_REGION"] == "${{ vars.STATE_REGION || vars.AWS_REGION }}"
    result = deployment.run("make", "backend", "ENV=dev", "STATE_BUCKET=states", STATE_REGION="eu-west-1")
    assert any("-backend-config=region=eu-west-1" in call for call in result.calls)


def test_a_later_deployment_pushes_the_image_before_it_plans(deployment: Deployment) -> None:
    deployment.make("deploy", "prod", CONFIRM="prod")
    commit = deployment.commit("second")
    result = deployment.make("deploy", "prod", CONFIRM="prod")
    assert (result.code, result.err) == (0, "")
    assert result.steps() == ["packages", "build", "push", "plan", "apply"]
    assert deployment.state["plan"]["dagster_image_digest"] == digest(commit)
    assert {service["revision"][-2:] for service in deployment.state["services"].values()} == {":2"}


def test_a_rollback_takes_the_image_that_is_there(deployment: Deployment) -> None:
    first = deployment.git("rev-parse", "HEAD")
    deployment.make("deploy", "prod", CONFIRM="prod")
    deployment.commit("second")
    deployment.make("deploy", "prod", CONFIRM="prod")
    deployment.git("checkout", "--quiet", first)
    result = deployment.make("deploy", "prod", CONFIRM="prod")
    assert (result.code, result.err) == (0, "")
    assert result.steps() == ["packages", "plan", "apply"]
    assert deployment.state["image"] == digest(first)


def test_an_image_of_a_dirty_tree_is_refused_before_anything_changes(deployment: Deployment) -> None:
    deployment.make("deploy", "prod", CONFIRM="prod")
    deployment.commit("second")
    (deployment.root / "infra" / "note").write_text("not committed")
    result = deployment.make("deploy", "prod", CONFIRM="prod")
    assert result.code != 0
    assert "Commit them first" in result.err
    assert "infra/note" in result.err
    assert result.steps() == ["packages"]


def test_an_image_of_another_commit_is_not_built_from_this_tree(deployment: Deployment) -> None:
    deployment.make("deploy", "prod", CONFIRM="prod")
    result = deployment.make("image", "prod", IMAGE_TAG="another")
    assert result.code != 0
    assert "check out another to build it" in result.err
    assert result.steps() == []


def test_a_failed_push_stops_the_deployment_before_its_plan(deployment: Deployment) -> None:
    deployment.make("deploy", "prod", CONFIRM="prod")
    commit = deployment.commit("second")
    deployment.change(push_fails=True)
    result = deployment.make("deploy", "prod", CONFIRM="prod")
    assert result.code != 0
    assert result.steps() == ["packages", "build", "push"]
    deployment.change(push_fails=False)
    assert deployment.make("deploy", "prod", CONFIRM="prod").code == 0
    assert deployment.state["image"] == digest(commit)


def test_a_first_deployment_whose_push_failed_goes_on_where_it_stopped(deployment: Deployment) -> None:
    deployment.change(push_fails=True)
    assert deployment.make("deploy", "prod", CONFIRM="prod").code != 0
    deployment.change(push_fails=False)
    result = deployment.make("deploy", "prod", CONFIRM="prod")
    assert (result.code, result.err) == (0, "")
    assert all(service["running"] for service in deployment.state["services"].values())


def test_a_repository_that_does_not_answer_is_no_missing_image(deployment: Deployment) -> None:
    deployment.make("deploy", "prod", CONFIRM="prod")
    deployment.change(registry_refuses=True)
    result = deployment.make("image", "prod")
    assert result.code != 0
    assert "AccessDeniedException" in result.err
    assert result.steps() == []


def test_a_plan_without_its_image_is_refused(deployment: Deployment) -> None:
    for text in ("second", "third"):
        deployment.make("deploy", "prod", CONFIRM="prod")
        deployment.commit(text)
    result = deployment.make("plan", "prod")
    assert result.code != 0
    assert "run make image first" in result.err
    assert result.steps() == []


def test_services_that_went_back_fail_the_deployment(deployment: Deployment) -> None:
    deployment.make("deploy", "prod", CONFIRM="prod")
    commit = deployment.commit("second")
    deployment.change(broken=[digest(commit)])
    result = deployment.make("deploy", "prod", CONFIRM="prod")
    assert result.code != 0
    assert "webserver went back to webserver:1: tasks of webserver:2 do not start" in result.err


def test_services_that_never_become_steady_fail_after_a_bounded_wait(deployment: Deployment) -> None:
    deployment.make("deploy", "prod", CONFIRM="prod")
    services = {name: {**service, "running": 0} for name, service in deployment.state["services"].items()}
    deployment.change(services=services, no_capacity=True)
    result = deployment.run("infra/dagster/check-rollout", "3", "0")
    assert result.code == 1
    assert "code, daemon, webserver did not become steady" in result.err
    assert sum("describe-services" in call for call in result.calls) == 1 + 3


@pytest.mark.parametrize(("answer", "applies"), [("prod\n", True), ("yes\n", False), ("", False)])
def test_prod_is_applied_after_a_question(deployment: Deployment, answer: str, applies: bool) -> None:
    result = deployment.make("deploy", "prod", answer=answer)
    assert ("apply" in result.steps()) is applies
    assert (result.code == 0) is applies


def test_a_terraform_of_ones_own_is_asked_everywhere(deployment: Deployment, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "tofu"
    other.parent.mkdir()
    (tmp_path / "bin" / "terraform").rename(other)
    assert deployment.make("deploy", "dev", TERRAFORM=str(other)).code == 0
    assert deployment.make("image", "dev", TERRAFORM=str(other)).out == "Dagster does not run in dev: nothing to push\n"


WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())


def run_workflow(deployment: Deployment, environment: str) -> list[str]:
    """Run the commands of the workflow's jobs, in their order, and return what was done."""
    steps = []
    done: set[str] = set()
    for name, job in WORKFLOW["jobs"].items():
        assert {job["needs"]} <= done if "needs" in job else not done
        done.add(name)
        for step in job["steps"]:
            if "run" not in step:
                continue
            commit = deployment.git("rev-parse", "HEAD")
            result = deployment.run(
                "bash",
                "-euo",
                "pipefail",
                "-c",
                step["run"],
                ENVIRONMENT=environment,
                STATE_BUCKET="states",
                GITHUB_SHA=commit,
                GITHUB_RUN_ID="1",
            )
            assert (result.code, result.err) == (0, ""), step["run"]
            steps += [f"{name}: {step}" for step in result.steps()]
    return steps


def test_the_workflow_deploys_dagster_the_first_time_and_the_second(deployment: Deployment) -> None:
    assert run_workflow(deployment, "prod") == [
        "build: packages",
        "build: build",
        "plan: plan",
        "apply: apply",
        "apply: load",
        "apply: push",
        *(f"apply: restart {service}" for service in ("code", "daemon", "webserver")),
        "apply: load",
        "apply: run",
    ]
    commit = deployment.commit("second")
    assert run_workflow(deployment, "prod") == [
        "build: packages",
        "build: build",
        "image: load",
        "image: push",
        "plan: plan",
        "apply: apply",
        "apply: load",
        "apply: run",
    ]
    assert deployment.state["image"] == digest(commit)


def test_the_workflow_deploys_an_environment_without_dagster(deployment: Deployment) -> None:
    steps = run_workflow(deployment, "dev")
    assert steps == ["build: packages", "build: build", "plan: plan", "apply: apply", "apply: load", "apply: run"]


def test_no_job_with_a_token_installs_or_builds_anything() -> None:
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            if job.get("permissions", {}).get("id-token") != "write" or "attest" in name:
                continue
            text = " ".join(step.get("run", "") for step in job["steps"])
            assert not re.search(r"\b(pipx?|uv|make lambdas|make smoke|docker build)\s", text), (path, name)
            assert not any("setup-python" in step.get("uses", "") for step in job["steps"]), (path, name)


def test_a_repository_without_an_account_deploys_and_watches_nothing() -> None:
    """A fork has no roles, and who deploys dev alone has no environments of prod: each run would be red."""
    jobs = WORKFLOW["jobs"]
    first, *later = jobs
    assert jobs[first]["if"] == "contains(fromJSON(vars.ENVIRONMENTS || '[]'), inputs.environment || 'dev')"
    # a job whose need was passed over is passed over
    assert all("needs" in jobs[name] and "if" not in jobs[name] for name in later)
    drift = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())["jobs"]["drift"]
    assert drift["if"] == "vars.ENVIRONMENTS"
    assert drift["strategy"]["matrix"]["environment"] == "${{ fromJSON(vars.ENVIRONMENTS) }}"


@pytest.mark.parametrize("target", ["plan", "apply", "deploy", "drift", "destroy"])
def test_a_target_without_environment_or_bucket_does_nothing(deployment: Deployment, target: str) -> None:
    for variables in ({"ENV": "test", "STATE_BUCKET": "states"}, {"ENV": "dev", "STATE_BUCKET": ""}):
        result = deployment.run("make", target, *(f"{name}={value}" for name, value in variables.items()))
        assert result.code != 0
        assert [step for step in result.steps() if step != "packages"] == []


def test_each_environment_has_a_state_of_its_own(deployment: Deployment) -> None:
    for environment in ("dev", "prod"):
        result = deployment.make("destroy", environment)
        (init,) = [call for call in result.calls if " init " in call]
        assert f"key=stock-pipeline/{environment}.tfstate" in init
        assert result.calls[-1].endswith(f"destroy -var-file=envs/{environment}.tfvars")


def test_the_ui_of_an_account_is_forwarded_to_the_webserver(deployment: Deployment) -> None:
    missing = deployment.make("ui", "prod")
    assert missing.code != 0
    assert "stock-pipeline-prod-dagster runs no webserver" in missing.err
    deployment.change(tasks=["arn:aws:ecs:us-east-1:123456789012:task/stock-pipeline-prod-dagster/abc"])
    result = deployment.make("ui", "prod", PORT="3001")
    assert result.code == 0
    assert "http://localhost:3001" in result.out
    assert "--target ecs:stock-pipeline-prod-dagster_abc_1-1" in result.calls[-1]
    assert '"localPortNumber": ["3001"]' in result.calls[-1]


def test_drift_says_what_changed_and_ends_with_2(deployment: Deployment) -> None:
    topic = {"type": "aws_sns_topic", "address": "module.observability.aws_sns_topic.this"}
    change = {"actions": ["update"], "before": {"display_name": ""}, "after": {"display_name": "x"}}
    deployment.change(shown={"resource_drift": [{**topic, "change": change}]})
    result = deployment.make("drift", "prod")
    assert "module.observability.aws_sns_topic.this has another display_name" in result.out
    assert result.code != 0
    (plan,) = [call for call in result.calls if " plan " in call]
    assert "-refresh-only" in plan
    assert "-detailed-exitcode" not in plan
    deployment.change(shown={})
    assert deployment.make("drift", "prod").code == 0


DRIFT = load_script("infra/drift.py")


def recorded(**changes: dict[str, Any]) -> dict[str, Any]:
    """Return what Terraform shows after a night in which nobody did anything, with changes by a resource's type."""
    plan: dict[str, Any] = json.loads((ROOT / "tests/data/terraform/quiet_night.json").read_text())
    for kind, values in changes.items():
        (entry,) = [entry for entry in plan["resource_drift"] if entry["type"] == kind]
        entry["change"]["after"].update(values)
    return plan


def test_a_quiet_night_is_no_drift() -> None:
    assert len(recorded()["resource_drift"]) == 4
    assert list(DRIFT.drift(recorded())) == []


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        ("aws_db_instance", {"publicly_accessible": True}, "another publicly_accessible"),
        ("aws_s3_bucket", {"cors_rule": [{"allowed_origins": ["*"]}]}, "another cors_rule"),
        (
            "aws_iam_role",
            {"managed_policy_arns": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
            "managed_policy_arns",
        ),
        ("aws_iam_role", {"inline_policy": [{"name": "more", "policy": "{}"}]}, "another inline_policy"),
    ],
)
def test_what_somebody_changed_is_drift(kind: str, values: dict[str, Any], sentence: str) -> None:
    (found,) = DRIFT.drift(recorded(**{kind: values}))
    assert sentence in found


def test_what_somebody_deleted_is_drift() -> None:
    plan = recorded()
    plan["resource_drift"][0]["change"] = {"actions": ["delete"], "before": {}, "after": None}
    (found,) = DRIFT.drift(plan)
    assert found.endswith("is gone")
