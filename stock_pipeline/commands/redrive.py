"""`stock-pipeline redrive`: put dead letters back into the stream."""

import argparse

from stock_pipeline.commands.environment import BUCKET, QUEUE, STREAM, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command, whole
from stock_pipeline.domain.rejection import Reason


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "redrive",
        summary="put messages of the dead-letter queue into the stream again",
        description="Reads messages of the dead-letter queue, checks their lines again, and puts valid trades into the "
        "stream under their original event ids. A message is deleted once the stream has confirmed its "
        "lines, or once it is parked under quarantine/parked/ because five tries changed nothing, or because "
        "its lines came back for the fifth time. What one message raises is told, and the others go on. A message "
        "whose records the stream no longer keeps stays, however often it was tried. Settings: "
        "DEAD_LETTER_QUEUE_URL, STREAM_NAME, BUCKET_NAME.",
        example="stock-pipeline redrive --reason schema --dry-run",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    parser.add_argument(
        "--reason",
        choices=[str(reason) for reason in Reason],
        metavar="REASON",
        help=f"only lines rejected for this reason: {', '.join(Reason)}",
    )
    parser.add_argument(
        "--parked",
        action="store_true",
        help="first bring back parked messages, once the cause of their failure is repaired",
    )
    parser.add_argument(
        "--park-expired",
        action="store_true",
        help="park messages whose records the stream no longer keeps, once their trades came from the price API again",
    )
    parser.add_argument("--limit", type=whole(0), default=500, metavar="N", help="messages at most (default: 500)")
    parser.add_argument("--seconds", type=whole(0), default=300, metavar="N", help="time at most (default: 300)")
    parser.add_argument(
        "--lines-per-second",
        type=whole(1),
        default=1_000,
        metavar="N",
        help="how fast at most, so that live trades have room (default: 1000)",
    )
    add_env(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import time
    import uuid

    from stock_pipeline.redrive.parked_messages import unpark
    from stock_pipeline.redrive.wiring import wired_redrive
    from stock_pipeline.wiring import Wiring

    reason = Reason(options.reason) if options.reason else None
    with Wiring.open(settings_of(options, QUEUE, STREAM, BUCKET)) as wiring:
        if options.parked and not options.dry_run:
            back = unpark(wiring.objects, wiring.dead_letters, options.limit, reason)
            print(f"{back.messages} parked messages are in the queue again")
            for failed in back.failed:
                print(f"stays parked: {failed}")
        redrive = wired_redrive(wiring, f"cli-{uuid.uuid4()}", options.lines_per_second)
        deadline_ns = time.time_ns() + options.seconds * 10**9
        report = redrive.run(options.limit, deadline_ns, options.dry_run, reason, options.park_expired)
    for outcome in report.outcomes:
        print(f"{outcome.action:<10} {outcome.lines:>6} lines  {outcome.message_id}  {outcome.why}")
    counts = ", ".join(f"{count} {action}" for action, count in sorted(report.counts.items()))
    print(f"{len(report.outcomes)} messages{': ' + counts if counts else ''}{' (dry run)' if options.dry_run else ''}")
    if report.trouble:
        print(f"in trouble: {report.trouble}")
        return 1
    return 0
