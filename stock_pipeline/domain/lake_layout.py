"""Object keys of the lake. No other module writes or reads one."""

import re
from dataclasses import dataclass
from datetime import date, datetime

RAW_PREFIX = "raw/trades/"
CURATED_PREFIX = "curated/trades/"
QUARANTINE_PREFIX = "quarantine/records/"
UNREADABLE_PREFIX = "quarantine/unreadable/"
OVERSIZED_PREFIX = "quarantine/oversized/"
PARKED_PREFIX = "quarantine/parked/"
LEDGER_PREFIX = "redrive/"
REDRIVEN_KEY = "quarantine/redriven.json"
"""What redrive published lately; not under the ledger's prefix, where each object is a message's."""

REOPENED_PREFIX = "quarantine/reopened/"
"""Of sessions that have, or are about to get, raw files that their published version lacks: an empty object each."""

CHECKPOINT_PREFIX = "checkpoints/"
FAILED_PREFIX = "failed/"
MARTS_PREFIX = "marts/"
"""Of what dbt writes: `s3_data_dir` in dbt_project/profiles.yml."""

ACTIONS_PREFIX = "reference/corporate_actions/"
VENDOR_BARS_PREFIX = "reference/vendor_bars/"
HISTORY_PREFIX = "reference/history/"
"""Of how far a session's history has been read; beside what its vendor says of it."""

ALERTS_PREFIX = "alerts/"
"""Of the price alerts that were told, an object for each session."""

IMPORT, HISTORY = BESIDE_THE_STREAM = ("import", "history")
"""In place of the shard in keys of raw files that no record of the stream is in."""

CURATED_FILE = "trades.parquet"
MANIFEST_FILE = "_manifest.json"
"""The underscore keeps Athena from reading it as data."""

HEAD_FILE = "_head.json"
"""Names the published version; lies beside the versions."""

EXPIRING_FILE = "_expiring.json"
"""Names the raw files that are tagged for the bucket's lifecycle; lies beside the head."""

_PARTITION = re.compile(r"year=(\d{4})/month=([1-9]|1[0-2])/day=([1-9]|[12]\d|3[01])/")
_RAW_FILE = re.compile(r"/([^/]+)-(\d+)-(\d+)-[0-9a-f]{16}\.parquet$")
_VERSION = re.compile(_PARTITION.pattern + r"v=(?P<version>[0-9a-f]{16})/")


def partition_path(session_date: date) -> str:
    """Return `year=2018/month=1/day=2/`: integers without leading zeros, as Athena writes them."""
    return f"year={session_date.year:04}/month={session_date.month}/day={session_date.day}/"


def raw_partition_prefix(session_date: date) -> str:
    return RAW_PREFIX + partition_path(session_date)


def raw_month_prefix(session_date: date) -> str:
    """Return the prefix of all raw files of the session's month."""
    return f"{RAW_PREFIX}year={session_date.year:04}/month={session_date.month}/"


def raw_key(session_date: date, shard_id: str, first_sequence: str, last_sequence: str, content_hash: str) -> str:
    """Return the key of a batch's trades of one session date. Its content names it, so writing twice names one object.

    The sequence range only says where it came from: two batches can share both ends, and numbers begin anew with a
    stream.
    """
    return f"{raw_partition_prefix(session_date)}{shard_id}-{first_sequence}-{last_sequence}-{content_hash}.parquet"


def sequence_range_of_key(key: str) -> tuple[str, int, int]:
    """Return shard, first and last sequence number of a raw key; `ValueError` for any other key."""
    match = _RAW_FILE.search(key)
    if match is None:
        raise ValueError(f"{key} is not the key of a raw object")
    return match.group(1), int(match.group(2)), int(match.group(3))


def curated_partition_prefix(session_date: date) -> str:
    return CURATED_PREFIX + partition_path(session_date)


def head_key(session_date: date) -> str:
    return curated_partition_prefix(session_date) + HEAD_FILE


def expiring_key(session_date: date) -> str:
    return curated_partition_prefix(session_date) + EXPIRING_FILE


@dataclass(frozen=True, slots=True)
class VersionPrefix:
    """The prefix of one version: `curated/trades/year=…/month=…/day=…/v=<hash of its inputs>/`."""

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
    """Return the key of a batch's rejected records, by arrival date, because they have no session."""
    place = f"{QUARANTINE_PREFIX}{partition_path(arrival_date)}{shard_id}"
    return f"{place}-{first_sequence}-{last_sequence}-{content_hash}.parquet"


def unreadable_key(key: str) -> str:
    """Return the key of an unreadable raw file after its session was published without it."""
    return UNREADABLE_PREFIX + key


def oversized_key(content_hash: str) -> str:
    """Return the key of a dead-letter document too large for a message."""
    return f"{OVERSIZED_PREFIX}{content_hash}.json"


def unpublished_key(content_hash: str) -> str:
    """Return the key of records that the producer could not put into the stream."""
    return f"{FAILED_PREFIX}producer/{content_hash}.json"


def parked_key(message_id: str) -> str:
    """Return the key of a message that redrive gave up."""
    return f"{PARKED_PREFIX}{message_id}.json"


def reopened_key(session_date: date) -> str:
    """Return the key of the object that says of a session that it is to be looked at again."""
    return f"{REOPENED_PREFIX}{session_date.isoformat()}"


def session_date_of_reopened_key(key: str) -> date:
    return date.fromisoformat(key.removeprefix(REOPENED_PREFIX))


def actions_key(learned_at: datetime, content_hash: str) -> str:
    """Return the key of news of corporate actions; keys sort by the time at which they were learned, UTC."""
    return f"{ACTIONS_PREFIX}{learned_at:%Y%m%dT%H%M%S}-{content_hash}.parquet"


def vendor_bars_key(session_date: date, feed: str) -> str:
    """Return the key of a vendor's daily bars of one session."""
    return f"{VENDOR_BARS_PREFIX}{feed}/{session_date.isoformat()}.json"


def history_key(session_date: date, feed: str) -> str:
    """Return the key of how far the session's history has been read."""
    return f"{HISTORY_PREFIX}{feed}/{session_date.isoformat()}.json"


def alerts_key(session_date: date) -> str:
    """Return the key of the price alerts that were told in the session."""
    return f"{ALERTS_PREFIX}{session_date.isoformat()}.json"


def ledger_key(message_id: str) -> str:
    """Return the key of redrive's record of one message."""
    return f"{LEDGER_PREFIX}{message_id}.json"


def checkpoint_key(provider: str, feed: str) -> str:
    """Return the key of a provider's checkpoint."""
    return f"{CHECKPOINT_PREFIX}{provider}-{feed}.json"


def session_date_of_key(key: str) -> date:
    """Return the session date in a key; `ValueError` without one."""
    match = _PARTITION.search(key)
    if match is None:
        raise ValueError(f"{key} has no year=/month=/day= partition in it")
    return date(*(int(part) for part in match.groups()))


def session_folder(key: str) -> str:
    """Return a raw or curated key up to its day, in which the keys of a session are alike."""
    return "/".join([*key.split("/")[:5], ""])


def session_name(key: str) -> str:
    """Return the session date in a key as people read it, or the key without one."""
    try:
        return session_date_of_key(key).isoformat()
    except ValueError:
        return key


def version_of_key(key: str) -> str | None:
    """Return the version in the key of a curated object, or None."""
    match = _VERSION.search(key)
    return match["version"] if match else None
