"""A small tree of errors: each is one sentence that says what to do.

A `PermanentError` fails the same way again until something is changed. A `RetryableError` may succeed later. Any other
exception is a defect and is not caught.
"""


class StockPipelineError(Exception):
    """The root of every error that this project raises on purpose."""


class PermanentError(StockPipelineError):
    """The same call fails again until something is changed."""


class RetryableError(StockPipelineError):
    """The same call may succeed later: throttling, a time-out, a lost race."""


class SettingsError(PermanentError):
    """A setting is missing or can't be used; the message names it."""


class InvalidTradeError(PermanentError):
    """A trade breaks the contract.

    reason: a `domain.rejection.Reason`.
    detail: the field and the cause.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class InputFileError(PermanentError):
    """A user's file can't be read as trades; the message names the file and the fault."""


class StateConflictError(RetryableError):
    """Another writer changed the symbol's state between read and write."""


class DamagedItemError(PermanentError):
    """An item of the realtime table can't be read; the message names it and the command that makes it anew."""


class PublishConflictError(RetryableError):
    """Another run published the partition between plan and publication: plan again."""


class ProofError(PermanentError):
    """A written version has other trades than its inputs. It is not published; readers keep the old one."""


class UnreadableInputError(PermanentError):
    """Raw files can't be read as trades; the message names them. Nothing was published."""


class QueryFailedError(PermanentError):
    """The SQL engine ended a query with an error; the message is the engine's."""


class HeadLostError(PermanentError):
    """A published partition lost its head: publishing anew would lose trades that only its version has."""


class DamagedVersionError(PermanentError):
    """A published version lacks objects, or its manifest is torn; nothing of the session was changed or deleted."""


class IncompatibleSchemaError(PermanentError):
    """A table's columns would change in a way that existing files do not follow."""
