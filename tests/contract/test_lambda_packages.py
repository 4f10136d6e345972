"""The packages that ship: built for this interpreter, unpacked, and run as Lambda would run them."""

import base64
import json
import platform
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest

from stock_pipeline.domain.lake_layout import RAW_PREFIX
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.scripts import load_script
from tests.support.trades import trade

# building the packages takes half a minute
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EVENT = ROOT / "tests" / "data" / "aws_events" / "kinesis_stream_event.json"

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")
"""What Lambda's runtime brings beside Python."""

RUN = """
import json, sys, types
sys.path[:0] = sys.argv[1:]
import app
context = types.SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 60_000)
answer = app.handler(json.load(sys.stdin), context)
import pyarrow.acero  # by which tables group and join
libraries = {line.split()[-1] for line in open("/proc/self/maps") if "/pyarrow/" in line}
files = {getattr(module, "__file__", None) or "" for module in sys.modules.values()}
print(json.dumps([answer, sorted(files), sorted(libraries)]))
"""


build = load_script("lambdas/build.py")
HERE = build.Target(
    f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine().replace("aarch64", "arm64")
)


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build.build("processor", HERE, tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but what Lambda's runtime has."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        (folder / name).symlink_to(Path(boto3.__file__).parents[1] / name)
    return folder


def unpacked(package: Any, folder: Path) -> Path:
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(folder)
    return folder


def test_the_processor_runs_from_its_zip_on_a_recorded_event(
    processor: Any, runtime: Path, stack: LocalStack, tmp_path: Path
) -> None:
    folder = unpacked(processor, tmp_path / "task")
    event = json.loads(EVENT.read_text())
    recorded = len(event["Records"])
    event["Records"].append(json.loads(json.dumps(event["Records"][-1])))
    event["Records"][-1]["kinesis"]["data"] = base64.b64encode(encode_trade(trade(1)) + b"\n").decode()

    # -S as well: else a package missing in the zip comes from the test environment
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", RUN, str(folder), str(runtime)],
        input=json.dumps(event),
        env=dict(stack.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answer, modules, libraries = json.loads(result.stdout.splitlines()[-1])

    assert not answer.get("batchItemFailures")
    foreign = [name for name in modules if "site-packages" in name or str(ROOT) in name]
    assert not foreign
    assert set(libraries) == {str(path) for path in (folder / "pyarrow").iterdir() if ".so" in path.suffixes}
    settings, clients = stack.settings, stack.clients
    item = clients.dynamodb.get_item(
        TableName=settings.state_table_name, Key={"symbol": {"S": "ABC"}, "feed": {"S": "sim"}}
    )["Item"]
    assert item["price"] == {"N": "11.5"}
    objects = clients.s3.list_objects_v2(Bucket=settings.bucket_name, Prefix=RAW_PREFIX)["Contents"]
    assert len(objects) == 1
    depth = clients.sqs.get_queue_attributes(
        QueueUrl=settings.require_dead_letter_queue_url(), AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]["ApproximateNumberOfMessages"]
    assert int(depth) == recorded  # the recorded payloads are no trades


@pytest.mark.parametrize("function", build.function_names())
def test_a_function_needs_nothing_beside_its_zip_and_the_runtime(
    function: str, processor: Any, runtime: Path, tmp_path: Path
) -> None:
    package = processor if function == "processor" else build.build(function, HERE, tmp_path)
    folder = unpacked(package, tmp_path / "task")
    code = "import sys; sys.path[:0] = sys.argv[1:]; import app; assert callable(app.handler)"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(folder), str(runtime)], check=True)


def test_building_twice_gives_the_same_bytes(processor: Any, tmp_path: Path) -> None:
    again = build.build("processor", HERE, tmp_path)
    assert again.path.read_bytes() == processor.path.read_bytes()
    assert again.sha256 == processor.sha256


def test_a_zip_has_no_orchestration_and_no_laptop_in_it(processor: Any) -> None:
    names = zipfile.ZipFile(processor.path).namelist()
    assert not [name for name in names if name.split("/")[0] in ("polars", "dagster", "pandas", "boto3", "moto")]
    assert not [name for name in names if name.startswith(("stock_pipeline/local", "stock_pipeline/orchestration"))]
    assert names == sorted(names)
    assert processor.unzipped_bytes < build.UNZIPPED_LIMIT


def test_a_version_that_is_not_the_locked_one_stops_the_build() -> None:
    with pytest.raises(build.BuildError, match="lock again"):
        build.check_versions({"pyarrow": "26.0.1"}, {"pyarrow": "25.0.0"})


def test_a_package_that_lambda_would_refuse_stops_the_build(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as handle:
        handle.truncate(build.UNZIPPED_LIMIT + 1)
    with pytest.raises(build.BuildError, match="drop a package"):
        build.check_size("processor", [file])


@pytest.mark.parametrize("python", build.PYTHONS)
def test_the_lock_pins_each_package_once_for_every_python(python: str) -> None:
    for lock in sorted((ROOT / "lambdas").glob("requirements-*.txt")):
        for architecture in build.ARCHITECTURES:
            versions = build.pinned_versions(lock, build.Target(python, architecture))
            assert "tzdata" in versions
            assert all(version[0].isdigit() for version in versions.values())
    assert "numpy" in build.pinned_versions(
        ROOT / "lambdas" / "requirements-processor.txt", build.Target(python, "arm64")
    )


def test_what_terraform_reads_names_every_zip_and_its_hash(processor: Any) -> None:
    document = json.loads(build.packages_json(HERE, [processor]))
    entry = document["functions"]["processor"]
    assert base64.b64decode(entry["sha256_base64"]).hex() == entry["sha256_hex"]
    assert entry["file"] == "processor.zip"
    assert document["python"] == HERE.python
