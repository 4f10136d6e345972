# The columns of the tables. A test holds them against those of the code.
locals {
  trade_columns = [
    { name = "event_id", type = "string", comment = "Identity of the trade: the same for every redelivery and version." },
    { name = "feed", type = "string", comment = "Where the trade was seen (iex, sip, taq, sim): never mix feeds in one number." },
    { name = "capture_mode", type = "string", comment = "trade, or quote for a polled last price without volume." },
    { name = "symbol", type = "string", comment = "Ticker symbol as the exchange writes it." },
    { name = "event_time", type = "timestamp", comment = "Venue time, UTC, cut to microseconds." },
    { name = "event_time_ns", type = "bigint", comment = "Venue time in nanoseconds since 1970-01-01 UTC." },
    { name = "sequence", type = "bigint", comment = "The source's own order among trades of one instant." },
    { name = "price", type = "decimal(18,6)", comment = "Price of one share, USD." },
    { name = "volume", type = "bigint", comment = "Whole shares of this trade; null where capture_mode is quote." },
    { name = "exchange", type = "string", comment = "One-letter exchange code; empty if unknown." },
    { name = "conditions", type = "string", comment = "Sale condition codes, one letter each, without blanks." },
    { name = "tape", type = "string", comment = "A, B or C; empty if unknown." },
    { name = "status", type = "string", comment = "good, corrected, cancelled or notice. Only the first two count." },
    { name = "version", type = "int", comment = "0 as first reported, higher after a correction or cancellation." },
    { name = "ingest_time", type = "timestamp", comment = "When the pipeline first saw the trade, UTC." },
    { name = "session_date", type = "date", comment = "The exchange's calendar date (New York)." },
    { name = "volume_fraction", type = "int", comment = "Millionths of a share, beside the whole ones of volume." },
  ]

  rejection_columns = [
    { name = "rejection_id", type = "string", comment = "Shard, sequence number and line: the same however often the line is read." },
    { name = "reason", type = "string", comment = "not_json, schema, value or future." },
    { name = "detail", type = "string", comment = "Which field, and what is wrong with it." },
    { name = "payload", type = "string", comment = "The line or record as text; bytes that are no UTF-8 are replaced." },
    { name = "payload_base64", type = "string", comment = "The line or record byte for byte." },
    { name = "shard_id", type = "string", comment = "Shard of the Kinesis record." },
    { name = "sequence_number", type = "string", comment = "Sequence number of the Kinesis record." },
    { name = "line", type = "bigint", comment = "Place in the record, from 0; null for the whole record." },
    { name = "partition_key", type = "string", comment = "Partition key of the Kinesis record." },
    { name = "arrival_time", type = "timestamp", comment = "When Kinesis took the record, UTC." },
  ]

  action_columns = [
    { name = "kind", type = "string", comment = "split, stock_dividend, cash_dividend or symbol_change." },
    { name = "symbol", type = "string", comment = "Ticker symbol; the one before a change of symbol." },
    { name = "ex_date", type = "date", comment = "First session that trades after the action." },
    { name = "process_date", type = "date", comment = "Day by which the vendor's API finds the action." },
    { name = "new_symbol", type = "string", comment = "The symbol after a change, else empty." },
    { name = "shares_before", type = "decimal(18,9)", comment = "So many shares become shares_after; 0 where no shares change." },
    { name = "shares_after", type = "decimal(18,9)", comment = "See shares_before." },
    { name = "cash_amount", type = "decimal(18,9)", comment = "USD a share of the session before the ex-date; 0 for no cash dividend." },
    { name = "source", type = "string", comment = "Who said so." },
    { name = "learned_at", type = "timestamp", comment = "When the pipeline learned it, UTC." },
    { name = "is_withdrawn", type = "boolean", comment = "Whether this row says that the action is off." },
  ]

  partition_columns = [
    { name = "year", type = "int", comment = "Year of session_date." },
    { name = "month", type = "int", comment = "Month of session_date." },
    { name = "day", type = "int", comment = "Day of session_date." },
  ]
}
