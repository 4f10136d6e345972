"""Failures on demand: what can happen to a call of an AWS client between the caller and the service, and back.

A fault belongs to one operation and happens to its next call. Clients don't know of it: `FaultyClient` stands around a
fake of `kinesis` or `clients`. Nothing here is random; a test says what happens, in which order.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.fakes.crashes import Crashed


class Fault(StrEnum):
    REFUSED = "refused"
    """The service answers with an error that may pass: throttled, overloaded."""
    UNREACHABLE = "unreachable"
    """The call does not arrive."""
    ANSWER_LOST = "answer lost"
    """The call takes effect, and the caller sees a time-out."""
    REPEATED = "repeated"
    """The answer is lost and boto3 repeats the call by itself: the caller sees the second answer."""
    PARTIAL = "partial"
    """The service takes every second entry of the call and refuses the others."""
    FORBIDDEN = "forbidden"
    """The service refuses the caller: no grant of its role allows the call."""
    LATE = "late"
    """The call takes effect after twenty seconds: a few of them use up the function's time."""
    SLOW = "slow"
    """The call takes effect after a minute, which is longer than the function may run."""
    CUT_OFF_BEFORE = "cut off before"
    """Lambda ends the invocation at its time-out, before the call."""
    CUT_OFF_AFTER = "cut off after"
    CRASH_BEFORE = "crash before"
    """The process ends before the call: nobody is there to see an error."""
    CRASH_AFTER = "crash after"
    OVERTAKEN = "overtaken"
    """Another copy of the caller does its work first."""


class CutOff(Exception):
    """The invocation is ended at its time-out; nothing that it still does takes effect."""


ERROR_CODES = {
    "put_object": ("SlowDown", 503),
    "put_item": ("ProvisionedThroughputExceededException", 400),
    "batch_get_item": ("ThrottlingException", 400),
    "send_message": ("RequestThrottled", 403),
    "send_message_batch": ("RequestThrottled", 403),
    "put_records": ("ProvisionedThroughputExceededException", 400),
    "get_records": ("ProvisionedThroughputExceededException", 400),
    "get_shard_iterator": ("ProvisionedThroughputExceededException", 400),
    "list_shards": ("LimitExceededException", 400),
}
"""The error that each operation's throttling shows as."""

LATE_SECONDS = 20
MINUTE_SECONDS = 61

Call = Callable[..., Any]


class Faults:
    """The faults to come, by operation. `pass_by` lets seconds pass; `overtake` is what another copy does."""

    def __init__(self, pass_by: Callable[[float], None], overtake: Callable[[], None]) -> None:
        self._pass_by, self._overtake = pass_by, overtake
        self._coming: dict[str, deque[Fault]] = defaultdict(deque)
        self._calm = False
        self._dead = False
        self._invoked = False
        self._cut_off = False

    def expect(self, operation: str, *faults: Fault) -> None:
        self._coming[operation].extend(faults)

    def clear(self) -> None:
        self._coming.clear()

    def revive(self) -> None:
        """A new process takes the dead one's place."""
        self._dead = self._invoked = self._cut_off = False

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Nothing happens to the calls inside: they are made by somebody else."""
        before, self._calm = self._calm, True
        try:
            yield
        finally:
            self._calm = before

    @contextmanager
    def invocation(self) -> Iterator[None]:
        """Calls inside are made by a function that may be cut off."""
        self._invoked = True
        try:
            yield
        finally:
            self._invoked = self._cut_off = False

    def around(self, operation: str, call: Call, *args: Any, **kwargs: Any) -> Any:
        """The call with what is to happen to it."""
        if self._calm:
            return call(*args, **kwargs)
        self._ensure_running()
        coming = self._coming[operation]
        fault = coming.popleft() if coming else None
        self._before(operation, fault)
        if fault is Fault.PARTIAL and operation in PARTIAL:
            return PARTIAL[operation](call, **kwargs)
        answer = call(*args, **kwargs)
        if fault is Fault.REPEATED:
            answer = call(*args, **kwargs)
        self._after(operation, fault)
        return answer

    def _ensure_running(self) -> None:
        if self._dead:
            raise Crashed
        if self._cut_off:
            raise CutOff

    def _before(self, operation: str, fault: Fault | None) -> None:
        match fault:
            case Fault.REFUSED:
                raise client_error(operation, *ERROR_CODES.get(operation, ("ServiceUnavailable", 503)))
            case Fault.UNREACHABLE:
                raise EndpointConnectionError(endpoint_url="https://service")
            case Fault.FORBIDDEN:
                raise client_error(operation, "AccessDeniedException", 403 if operation == "put_object" else 400)
            case Fault.LATE:
                self._pass_by(LATE_SECONDS)
            case Fault.SLOW:
                self._pass_by(MINUTE_SECONDS)
            case Fault.OVERTAKEN:
                with self.calm():
                    self._overtake()
            case Fault.CUT_OFF_BEFORE:
                self._end_invocation()
            case Fault.CRASH_BEFORE:
                self._end_process()

    def _after(self, operation: str, fault: Fault | None) -> None:
        match fault:
            case Fault.ANSWER_LOST:
                raise ReadTimeoutError(endpoint_url="https://service")
            case Fault.CUT_OFF_AFTER:
                self._end_invocation()
            case Fault.CRASH_AFTER:
                self._end_process()

    def _end_invocation(self) -> None:
        if self._invoked:
            self._cut_off = True
            raise CutOff

    def _end_process(self) -> None:
        self._dead = True
        raise Crashed


class FaultyClient:
    """A client whose calls the faults happen to."""

    def __init__(self, client: Any, faults: Faults) -> None:
        self._client, self._faults = client, faults

    def __getattr__(self, operation: str) -> Call:
        call = getattr(self._client, operation)
        return lambda *args, **kwargs: self._faults.around(operation, call, *args, **kwargs)


def client_error(operation: str, code: str, status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": f"{code} by the test"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)


def _half_of_messages(call: Call, *, Entries: list[dict[str, Any]], **kwargs: Any) -> Any:
    answer = call(Entries=Entries[::2], **kwargs) if Entries else {}
    refused = [
        {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False, "Message": "by the test"}
        for entry in Entries[1::2]
    ]
    return answer | {"Failed": [*answer.get("Failed", []), *refused]}


def _half_of_records(call: Call, *, Records: list[dict[str, Any]], **kwargs: Any) -> Any:
    # the first is refused: what follows must not be taken for it
    taken = call(Records=Records[1::2], **kwargs)["Records"] if len(Records) > 1 else []
    answers: list[dict[str, Any]] = [
        {"ErrorCode": "InternalFailure", "ErrorMessage": "by the test"} if place % 2 == 0 else taken[place // 2]
        for place in range(len(Records))
    ]
    return {"FailedRecordCount": len(Records) - len(taken), "Records": answers}


def _half_of_keys(call: Call, *, RequestItems: dict[str, dict[str, Any]]) -> Any:
    ((table, request),) = RequestItems.items()
    answer = call(RequestItems={table: request | {"Keys": request["Keys"][::2]}})
    left = request["Keys"][1::2]
    return answer | {"UnprocessedKeys": {table: request | {"Keys": left}} if left else {}}


PARTIAL: dict[str, Call] = {
    "send_message_batch": _half_of_messages,
    "put_records": _half_of_records,
    "batch_get_item": _half_of_keys,
}
