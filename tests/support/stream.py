"""What lies in a stack's stream."""

from stock_pipeline.local.stack import LocalStack


def stream_lines(stack: LocalStack) -> list[bytes]:
    kinesis, name = stack.clients.kinesis, stack.settings.stream_name
    lines: list[bytes] = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        start = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        for record in kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]:
            lines += record["Data"].split(b"\n")
    return lines
