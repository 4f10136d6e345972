"""A loop over sessions goes on past a broken one, and fails at its end with all names."""

from datetime import date, timedelta

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from stock_pipeline.errors import HeadLostError, PermanentError, ProofError, RetryableError
from stock_pipeline.lake.session_failures import SessionFailures
from tests.fakes.crashes import Crashed

DAYS = [date(2018, 1, 2) + timedelta(days=number) for number in range(30)]


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")


def test_every_session_has_its_turn_and_every_broken_one_its_name() -> None:
    failures, done = SessionFailures(), []
    broken = {DAYS[1]: HeadLostError("its head is lost"), DAYS[3]: refused("AccessDenied"), DAYS[5]: KeyError("x")}
    for day in DAYS:
        with failures.of(day):
            if day in broken:
                raise broken[day]
            done.append(day)
    assert done == [day for day in DAYS if day not in broken]
    with pytest.raises(RetryableError, match=r"3 failed.*2018-01-03: its head.*2018-01-05: AccessDenied.*2018-01-07"):
        failures.raise_all()
    assert failures.kinds == {"2018-01-03": "HeadLostError", "2018-01-05": "AccessDenied", "2018-01-07": "KeyError"}


def test_a_loop_without_a_failure_ends_well() -> None:
    failures = SessionFailures()
    with failures.of(DAYS[0]):
        pass
    failures.raise_all()


def test_failures_of_one_kind_are_one_of_that_kind_that_names_each() -> None:
    failures = SessionFailures()
    for day in DAYS:
        with failures.of(day):
            raise HeadLostError("lost")
    with pytest.raises(HeadLostError) as error:
        failures.raise_all()
    assert all(str(day) in str(error.value) for day in DAYS)
    with failures.of("another"):
        raise ProofError("torn")
    with pytest.raises(PermanentError):
        failures.raise_all()


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        refused("ExpiredToken"),
        refused("InvalidAccessKeyId"),
        refused("NoSuchBucket"),
        KeyboardInterrupt(),
        Crashed(),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_what_concerns_every_session_ends_the_loop_at_once(error: BaseException) -> None:
    failures = SessionFailures()
    with pytest.raises(type(error)), failures.of(DAYS[0]):
        raise error
    assert failures.kinds == {}


def test_a_loop_around_loops_names_sessions_once() -> None:
    outer = SessionFailures()
    for sessions in (["2018-01-02", "2018-01-03"], ["2018-01-04"]):
        with outer.of("a loop"):
            inner = SessionFailures()
            for session in sessions:
                with inner.of(session):
                    raise RetryableError("gone")
            inner.raise_all()
    with pytest.raises(RetryableError) as raised:
        outer.raise_all()
    assert str(raised.value) == (
        "3 failed, and all others were done: 2018-01-02: gone; 2018-01-03: gone; 2018-01-04: gone"
    )
