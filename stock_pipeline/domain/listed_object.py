"""An object of the lake's bucket, as a listing shows it."""

from datetime import datetime
from typing import NamedTuple


class ListedObject(NamedTuple):
    """One listed object. `etag` changes with the content; `modified` is the last write."""

    key: str
    size: int
    etag: str
    modified: datetime
