"""The lines of a message, fetched from where they are: the message, an object, or the stream."""

from collections.abc import Iterable
from dataclasses import dataclass

from stock_pipeline.domain.redrive_plan import (
    Expired,
    Found,
    Inline,
    Leave,
    Origin,
    StoredObject,
    StreamRange,
    Unredrivable,
)
from stock_pipeline.redrive.message_forms import is_kept_records, lines_of_records, origin_of_object, origins_of
from stock_pipeline.redrive.ports import MessageObjects, RecordHistory


@dataclass(frozen=True, slots=True)
class Part:
    """What one origin of a message gave.

    kept_records: the object, if it has records that the stream refused; else empty.
    endures: the lines stay where they are for as long as a parked message.
    """

    found: Found
    kept_records: bytes = b""
    endures: bool = True


@dataclass(frozen=True)
class MessageLines:
    objects: MessageObjects
    history: RecordHistory

    def parts(self, body: str) -> tuple[Part, ...]:
        """Return what each of a message's origins gives; none, if it announces nothing."""
        return tuple(map(self._part, origins_of(body)))

    def _part(self, origin: Origin) -> Part:
        if isinstance(origin, Unredrivable):
            return Part(Found(missing=origin))
        if isinstance(origin, Inline):
            return Part(Found(origin.lines))
        if isinstance(origin, StoredObject):
            return self._part_of_object(origin)
        payloads = self.history.read(origin)
        if payloads is None:
            return Part(
                Found(missing=Expired(f"the stream keeps the {origin.records} records of {origin.shard_id} no longer"))
            )
        return Part(Found(lines_of_records(payloads)), endures=False)

    def _part_of_object(self, place: StoredObject) -> Part:
        uri = f"s3://{place.bucket}/{place.key}"
        body = self.objects.get(place.bucket, place.key)
        if body is None:
            return Part(Found(missing=Leave(f"{uri} is not there")))
        try:
            origin = origin_of_object(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Part(Found(missing=Unredrivable(f"{uri} can't be understood: {error}")))
        if isinstance(origin, StreamRange):
            return self._part(origin)
        return Part(Found(origin.lines), kept_records=body if is_kept_records(body) else b"")


def merged(parts: Iterable[Part]) -> Found:
    """Return what the parts gave together. While one of them may still come, the message waits for it."""
    found = [part.found for part in parts]
    lines = tuple(line for one in found for line in one.lines)
    for kind in (Expired, Leave, Unredrivable):
        for one in found:
            if isinstance(one.missing, kind):
                return Found(lines, one.missing)
    return Found(lines)
