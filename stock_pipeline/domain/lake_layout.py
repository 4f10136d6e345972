"""Where every object of the lake lies: the one module that writes or reads an object key."""

import re
from dataclasses import dataclass
from datetime import date

RAW_PREFIX = "raw/trades/"
CURATED_PREFIX = "curated/trades/"
QUARANTINE_PREFIX = "quarantine/records/"
OVERSIZED_PREFIX = "quarantine/oversized/"
PARKED_PREFIX = "quarantine/parked/"
LEDGER_PREFIX = "redrive/"
CHECKPOINT_PREFIX = "checkpoints/"
FAILED_PREFIX = "failed/"

CURATED_FILE = "trades.parquet"
MANIFEST_FILE = "_manifest.json"
"""The underscore keeps Athena from reading it as data."""

HEAD_FILE = "_head.json"
"""Which version of the partition is published; beside the versions."""

_PARTITION = re.compile(r"year=(\d{4})/month=([1-9]|1[0-2])/day=([1-9]|[12]\d|3[01])/")
_RAW_FILE = re.compile(r"/([^/]+)-(\d+)-(\d+)-[0-9a-f]{16}\.parquet$")
_VERSION = re.compile(r"v=([0-9a-f]{16})/")


def partition_path(session_date: date) -> str:
    """`year=2018/month=1/day=2/`: integers without leading zeros, as Athena writes them."""
    return f"year={session_date.year:04}/month={session_date.month}/day={session_date.day}/"


def raw_partition_prefix(session_date: date) -> str:
    return RAW_PREFIX + partition_path(session_date)


def raw_key(session_date: date, shard_id: str, first_sequence: str, last_sequence: str, content_hash: str) -> str:
    """One object per batch and session date, named by what it holds: writing a batch twice names one object.

    The range says where the object came from; only the content says what is in it. Two batches can begin and end with
    the same records and differ between them, and sequence numbers begin anew with a stream.
    """
    return f"{raw_partition_prefix(session_date)}{shard_id}-{first_sequence}-{last_sequence}-{content_hash}.parquet"


def sequence_range_of_key(key: str) -> tuple[str, int, int]:
    """Shard, first and last sequence number of a raw object; `ValueError` if its key is none of `raw_key`'s."""
    match = _RAW_FILE.search(key)
    if match is None:
        raise ValueError(f"{key} is no key of a raw object")
    return match.group(1), int(match.group(2)), int(match.group(3))


def curated_partition_prefix(session_date: date) -> str:
    return CURATED_PREFIX + partition_path(session_date)


def head_key(session_date: date) -> str:
    return curated_partition_prefix(session_date) + HEAD_FILE


@dataclass(frozen=True, slots=True)
class VersionPrefix:
    """The place of one curated version: `curated/trades/year=…/month=…/day=…/v=<hash of its inputs>/`."""

    session_date: date
    version: str

    @property
    def prefix(self) -> str:
        return f"{curated_partition_prefix(self.session_date)}v={self.version}/"

    @property
    def data_key(self) -> str:
        return self.prefix + CURATED_FILE

    @property
    def manifest_key(self) -> str:
        return self.prefix + MANIFEST_FILE


def quarantine_key(
    arrival_date: date, shard_id: str, first_sequence: str, last_sequence: str, content_hash: str
) -> str:
    """Rejected records of one batch, by the date of arrival, since they have no session; named like a raw object."""
    place = f"{QUARANTINE_PREFIX}{partition_path(arrival_date)}{shard_id}"
    return f"{place}-{first_sequence}-{last_sequence}-{content_hash}.parquet"


def unreadable_key(key: str) -> str:
    """Where a raw file that can't be read is kept, after its session was published without it."""
    return f"{QUARANTINE_PREFIX}unreadable/{key}"


def oversized_key(content_hash: str) -> str:
    """A dead-letter document too large for a message of the queue."""
    return f"{OVERSIZED_PREFIX}{content_hash}.json"


def unpublished_key(content_hash: str) -> str:
    """Records that the producer could not put into the stream."""
    return f"{FAILED_PREFIX}producer/{content_hash}.json"


def parked_key(message_id: str) -> str:
    """A dead-letter message that redrive gave up, with its history."""
    return f"{PARKED_PREFIX}{message_id}.json"


def ledger_key(message_id: str) -> str:
    """What redrive did with one message, try by try."""
    return f"{LEDGER_PREFIX}{message_id}.json"


def checkpoint_key(provider: str, feed: str) -> str:
    """How far a provider's capture came."""
    return f"{CHECKPOINT_PREFIX}{provider}-{feed}.json"


def session_date_of_key(key: str) -> date:
    """The session date in an object key; `ValueError` if it has none."""
    match = _PARTITION.search(key)
    if match is None:
        raise ValueError(f"{key} has no year=/month=/day= partition in it")
    return date(*(int(part) for part in match.groups()))


def version_of_key(key: str) -> str | None:
    """The version in the key of a curated object, or None."""
    match = _VERSION.search(key)
    return match.group(1) if match else None
