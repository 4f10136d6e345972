"""Redrive: messages of the dead-letter queue back into the stream, each deleted only once its lines are safe.

For each message a run fetches its lines, lets `domain.redrive_plan` decide, and acts: publish, confirm, write the
ledger, delete. A crash in this order loses nothing. Redriving twice is harmless, because the event ids are the same. A
message whose lines have expired is deleted only on request.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from stock_pipeline.domain.lake_layout import parked_key
from stock_pipeline.domain.redrive_plan import (
    Action,
    Expired,
    Inline,
    Leave,
    Origin,
    Park,
    Publish,
    QueueMessage,
    StoredObject,
    Unredrivable,
    plan,
)
from stock_pipeline.domain.rejection import Reason, Rejection
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.redrive.ledger import RedriveLedger, Try
from stock_pipeline.redrive.line_rate import Unlimited
from stock_pipeline.redrive.message_forms import lines_of_object, origin_of, reason_of
from stock_pipeline.redrive.ports import MessageObjects, Rate, Received, RecordHistory, RedriveQueue
from stock_pipeline.redrive.report import Outcome, RedriveReport
from stock_pipeline.streaming.publisher import Publisher
from stock_pipeline.streaming.record_packing import PackedRecord, partition_key
from stock_pipeline.streaming.rejection_message import message_bytes
from stock_pipeline.streaming.trade_json import decode_trade


class StayInQueue:
    """`Leftovers` that keep nothing: refused lines stay in their message."""

    def keep(self, records: Sequence[PackedRecord], reason: str) -> None: ...


@dataclass(frozen=True)
class Redrive:
    """Redrive, with everything it acts on.

    publisher: its leftovers are `StayInQueue`.
    run_id: names the run in the ledger.
    now: UTC.
    """

    queue: RedriveQueue
    objects: MessageObjects
    history: RecordHistory
    ledger: RedriveLedger
    publisher: Publisher
    buckets: int
    run_id: str
    now: Callable[[], datetime]
    rate: Rate = field(default_factory=Unlimited)

    def run(
        self,
        limit: int,
        deadline_ns: int,
        dry_run: bool = False,
        reason: Reason | None = None,
        park_expired: bool = False,
    ) -> RedriveReport:
        """Redrive up to `limit` messages before the deadline (nanoseconds, the publisher's clock).

        dry_run: decide only; every message stays as it is.
        reason: only lines that were rejected for it.
        park_expired: park messages whose lines have expired, once these came from elsewhere.
        """
        outcomes: list[Outcome] = []
        untouched: list[Received] = []
        while len(outcomes) < limit and self.publisher.now_ns() < deadline_ns:
            batch = self.queue.receive(min(10, limit - len(outcomes)))
            if not batch:
                break
            for received in batch:
                if reason is not None and reason_of(received.message.body) != reason:
                    untouched.append(received)
                    continue
                earlier = self._earlier(received.message)
                action = self._plan(received.message, len(earlier) + 1, park_expired)
                outcome = self._describe(received.message, len(earlier) + 1, action)
                if dry_run:
                    untouched.append(received)
                else:
                    outcome = self._carry_out(received, earlier, action, outcome, deadline_ns)
                outcomes.append(outcome)
        # only at the end, because this run would receive them again
        for received in untouched:
            received.put_back()
        return RedriveReport(tuple(outcomes))

    def _earlier(self, message: QueueMessage) -> tuple[Try, ...]:
        """Return the tries before this run."""
        return self.ledger.tries(message.message_id) if message.deliveries > 1 else ()

    def _plan(self, message: QueueMessage, tries: int, park_expired: bool) -> Action:
        action = plan(tries, self._fetch(origin_of(message.body)), _is_trade)
        return Park(action.why) if isinstance(action, Expired) and park_expired else action

    def _fetch(self, origin: Origin) -> Sequence[bytes] | Unredrivable | Leave | Expired:
        if isinstance(origin, Unredrivable):
            return origin
        if isinstance(origin, Inline):
            return origin.lines
        if isinstance(origin, StoredObject):
            return self._fetch_object(origin)
        payloads = self.history.read(origin)
        if payloads is None:
            return Expired(f"the stream keeps the {origin.records} records of {origin.shard_id} no longer")
        return [line for payload in payloads for line in payload.removesuffix(b"\n").split(b"\n")]

    def _fetch_object(self, place: StoredObject) -> Sequence[bytes] | Unredrivable | Leave:
        body = self.objects.get(place.bucket, place.key)
        if body is None:
            return Leave(f"s3://{place.bucket}/{place.key} is not there")
        try:
            return lines_of_object(body)
        except (ValueError, KeyError, TypeError) as error:
            return Unredrivable(f"s3://{place.bucket}/{place.key} can't be understood: {error}")

    def _carry_out(
        self, received: Received, earlier: Sequence[Try], action: Action, outcome: Outcome, deadline_ns: int
    ) -> Outcome:
        tries = (*earlier, self._try(outcome))
        if isinstance(action, Leave | Expired):
            # an expired message is looked at in every run: one entry is enough
            if isinstance(action, Leave) or not any(one.action == outcome.action for one in earlier):
                self.ledger.write(outcome.message_id, tries)
            received.release()
            return outcome
        if isinstance(action, Publish):
            # neither counts as a try, because the message is not at fault
            if not self.rate.turn(len(action.lines), deadline_ns):
                received.put_back()
                return replace(outcome, action="left", why="the rate left no time for it", lines=0, rejected=0)
            if not self._publish(received.message, action, deadline_ns):
                received.release()
                return replace(outcome, action="left", why="the stream refused its lines", lines=0, rejected=0)
        else:
            parked = {**asdict(received.message), "why": action.why, "tries": [asdict(one) for one in tries]}
            self.objects.put(parked_key(outcome.message_id), json.dumps(parked).encode())
        self.ledger.write(outcome.message_id, tries)
        received.delete()
        return outcome

    def _publish(self, message: QueueMessage, action: Publish, deadline_ns: int) -> bool:
        """Queue rejected lines again, then publish the others. Return True if every line was confirmed."""
        if action.rejected:
            self.queue.send(
                [message_bytes(self._rejection(message, n, line)) for n, line in enumerate(action.rejected)]
            )
        keyed = ((partition_key(decode_trade(line).symbol, self.buckets), line) for line in action.lines)
        report = self.publisher.publish_lines(keyed, deadline_ns)
        return report.published == len(action.lines)

    def _rejection(self, message: QueueMessage, number: int, line: bytes) -> Rejection:
        try:
            decode_trade(line)
        except InvalidTradeError as error:
            reason, detail = Reason(error.reason), error.detail
        return Rejection(reason, detail, line, "redrive", message.message_id, number, "", self.now().timestamp())

    def _try(self, outcome: Outcome) -> Try:
        return Try(self.now().isoformat(), self.run_id, outcome.action, outcome.why, outcome.lines, outcome.rejected)

    def _describe(self, message: QueueMessage, tries: int, action: Action) -> Outcome:
        if isinstance(action, Publish):
            return Outcome(message.message_id, tries, "published", "", len(action.lines), len(action.rejected))
        name = "parked" if isinstance(action, Park) else "expired" if isinstance(action, Expired) else "left"
        return Outcome(message.message_id, tries, name, action.why, 0, 0)


def _is_trade(line: bytes) -> bool:
    try:
        decode_trade(line)
    except InvalidTradeError:
        return False
    return True
