"""No setting for an account or a proxy leads the local stack away from loopback."""

import os

import pytest

from stock_pipeline.local.stack import loopback_environment


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL_S3",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    ],
)
def test_what_leads_to_an_account_is_left_out(name: str) -> None:
    assert name not in loopback_environment({name: "theirs"})


def test_region_and_settings_of_the_pipeline_stay() -> None:
    theirs = {"AWS_REGION": "eu-west-1", "MOVING_AVERAGE_WINDOWS": "3", "PATH": "/bin"}
    assert theirs.items() <= loopback_environment(theirs).items()


def test_profiles_in_files_are_not_read() -> None:
    assert loopback_environment({"AWS_CONFIG_FILE": "/theirs"})["AWS_CONFIG_FILE"] == os.devnull


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_loopback_needs_no_proxy_and_other_exceptions_stay(name: str) -> None:
    assert loopback_environment({})["no_proxy"] == "127.0.0.1"
    found = loopback_environment({name: ".corp"})
    assert found["no_proxy"] == found["NO_PROXY"] == ".corp,127.0.0.1"
