# Names of its own, so that both environments fit into one account.
environment              = "prod"
aws_region               = "us-east-1"
stream_name              = "stock-stream-prod"
state_table_name         = "stock-realtime-prod"
bucket_name              = "stock-historical-data-prod"
database_name            = "stock_market_prod"
stream_mode              = "PROVISIONED"
shard_count              = 2
stream_retention_hours   = 168
shard_level_metrics      = true
protected                = true
table_max_request_units  = null
raw_expire_days          = 30
log_retention_days       = 90
athena_scan_cutoff_bytes = 99000000000 # 99 GB
monthly_budget_usd       = 1000
dagster_enabled          = true
