"""The streaming path: trades into records, records into state and lake.

Here belong its use cases and the record format; boto3 belongs in `aws`, compaction in `lake`. All of it runs in a
Lambda, so it imports pyarrow and msgspec at most.
"""
