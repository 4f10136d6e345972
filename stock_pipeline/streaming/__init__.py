"""The streaming path: trades into records, records into state and lake.

Use cases and the record format. They know the domain and small Protocols; boto3 lives in `aws`, and what
becomes of the lake afterwards in `lake`. Whatever is imported here runs in a Lambda: pyarrow and msgspec at most.
"""
