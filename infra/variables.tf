# Defaults are those of environment dev; envs/ says what each environment sets.

variable "project_name" {
  description = "Beginning of every name that is not given below."
  type        = string
  default     = "stock-pipeline"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.project_name))
    error_message = "project_name takes 2 to 31 lower-case letters, digits and hyphens."
  }
}

variable "environment" {
  description = "Which environment this is, such as dev or prod; part of names."
  type        = string
  default     = "dev"
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{0,15}$", var.environment))
    error_message = "environment takes a short name such as dev or prod."
  }
}

variable "aws_region" {
  description = "Region of everything."
  type        = string
  default     = "us-east-1"
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region takes a region such as us-east-1."
  }
}

variable "stream_name" {
  description = "Name of the Kinesis stream."
  type        = string
  default     = "stock-stream"
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{1,128}$", var.stream_name))
    error_message = "stream_name takes 1 to 128 letters, digits, dots, hyphens and underscores."
  }
}

variable "state_table_name" {
  description = "Name of the DynamoDB table of the realtime state."
  type        = string
  default     = "stock-realtime"
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,255}$", var.state_table_name))
    error_message = "state_table_name takes 3 to 255 letters, digits, dots, hyphens and underscores."
  }
}

variable "bucket_name" {
  description = "Name of the lake's bucket. Unique in the world: yours needs a name of its own."
  type        = string
  default     = "stock-historical-data-dev"
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,51}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name takes 3 to 53 lower-case letters, digits, dots and hyphens."
  }
}

variable "database_name" {
  description = "Name of the Glue database."
  type        = string
  default     = "stock_market"
  validation {
    condition     = can(regex("^[a-z0-9_]{1,255}$", var.database_name))
    error_message = "database_name takes lower-case letters, digits and underscores."
  }
}

variable "stream_encoding" {
  description = "How records are written: ndjson, or zstd frames around it, of a tenth of the bytes. All readers take both from the release with this variable on."
  type        = string
  default     = "ndjson"
  validation {
    condition     = contains(["ndjson", "zstd"], var.stream_encoding)
    error_message = "stream_encoding takes ndjson or zstd."
  }
}

variable "partition_buckets" {
  description = "Partition keys that symbols are spread over: many times the shards."
  type        = number
  default     = 64
  validation {
    condition     = var.partition_buckets >= 1 && var.partition_buckets <= 4096
    error_message = "partition_buckets takes 1 to 4096."
  }
}

variable "moving_average_windows" {
  description = "Trades that each moving average covers, rising."
  type        = list(number)
  default     = [5, 20]
  validation {
    condition     = alltrue([for window in var.moving_average_windows : window >= 1 && window <= 50])
    error_message = "moving_average_windows takes numbers of trades from 1 to 50."
  }
}

variable "stream_mode" {
  description = "PROVISIONED or ON_DEMAND. One shard takes 1,000 packed records a second, and is the cheaper one for a steady load."
  type        = string
  default     = "PROVISIONED"
  validation {
    condition     = contains(["PROVISIONED", "ON_DEMAND"], var.stream_mode)
    error_message = "stream_mode takes PROVISIONED or ON_DEMAND."
  }
}

variable "shard_count" {
  description = "Shards of a PROVISIONED stream."
  type        = number
  default     = 1
  validation {
    condition     = var.shard_count >= 1 && var.shard_count <= 500 && floor(var.shard_count) == var.shard_count
    error_message = "shard_count takes a whole number from 1 to 500."
  }
}

variable "stream_retention_hours" {
  description = "How long the stream keeps records: the time to repair a consumer before anything is lost."
  type        = number
  default     = 24
  validation {
    condition     = var.stream_retention_hours >= 24 && var.stream_retention_hours <= 8760
    error_message = "stream_retention_hours takes 24 to 8760."
  }
}

variable "shard_level_metrics" {
  description = "Whether the stream reports each shard on its own, which costs extra."
  type        = bool
  default     = false
  nullable    = false
}

variable "protected" {
  description = "Whether nothing that holds data can be deleted: deletion protection, no emptying of buckets, recovery windows. The only one of these four to change before a take-down."
  type        = bool
  default     = false
  nullable    = false
}

variable "customer_key" {
  description = "Whether data is encrypted with a customer managed key. Never back to false: what is encrypted with the key needs it."
  type        = bool
  default     = false
  nullable    = false
}

variable "multi_az" {
  description = "Whether Dagster's database and its way out of the network stand in two zones."
  type        = bool
  default     = false
  nullable    = false
}

variable "backup_days" {
  description = "Days that the realtime table and Dagster's database can be brought back to any second of."
  type        = number
  default     = 7
  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days takes 1 to 35."
  }
}

variable "reserve_concurrency" {
  description = "Whether producer and redrive have one reserved execution each. A new account with ten concurrent executions allows none; then nothing but their schedules keeps two from running at once."
  type        = bool
  default     = true
  nullable    = false
}

variable "table_max_request_units" {
  description = "Cap of the table's request units a second; null is no cap."
  type        = number
  default     = 1000
  validation {
    condition     = var.table_max_request_units == null ? true : var.table_max_request_units >= 1
    error_message = "table_max_request_units takes at least 1, or null."
  }
}

variable "raw_expire_days" {
  description = "Age in days at which raw files are deleted whose trades are published. Others are never deleted."
  type        = number
  default     = 30
  validation {
    condition     = var.raw_expire_days >= 1
    error_message = "raw_expire_days takes at least 1."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 14
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.log_retention_days)
    error_message = "log_retention_days takes one of CloudWatch's retention periods up to 365."
  }
}

variable "packages_file" {
  description = "What `make lambdas` says about the zips it built; from the root module's folder."
  type        = string
  default     = "../dist/lambdas/packages.json"
  validation {
    condition     = endswith(var.packages_file, ".json")
    error_message = "packages_file takes a JSON file."
  }
}

variable "functions" {
  description = "Memory and timeout of each function."
  type = object({
    producer  = object({ memory_mb = number, timeout_seconds = number })
    processor = object({ memory_mb = number, timeout_seconds = number })
    redrive   = object({ memory_mb = number, timeout_seconds = number })
  })
  default = {
    producer  = { memory_mb = 512, timeout_seconds = 60 }
    processor = { memory_mb = 1024, timeout_seconds = 60 }
    redrive   = { memory_mb = 512, timeout_seconds = 300 }
  }
  validation {
    condition = alltrue([for function in values(var.functions) :
      function.memory_mb >= 128 && function.memory_mb <= 10240 && function.timeout_seconds >= 1 && function.timeout_seconds <= 900
    ])
    error_message = "functions takes 128 to 10240 MB and 1 to 900 seconds."
  }
  validation {
    condition     = var.functions.producer.timeout_seconds <= 60
    error_message = "The producer starts every minute, one at a time: its timeout takes at most 60 seconds."
  }
  validation {
    condition     = var.functions.processor.timeout_seconds >= 30
    error_message = "The processor keeps 15 seconds for its answer: its timeout takes at least 30 seconds."
  }
}

variable "schedules_enabled" {
  description = "Whether the producer and redrive run by themselves."
  type        = bool
  default     = true
  nullable    = false
}

variable "price_provider" {
  description = "Price API that trades come from: alpaca or finnhub."
  type        = string
  default     = "alpaca"
  validation {
    condition     = contains(["alpaca", "finnhub"], var.price_provider)
    error_message = "price_provider takes alpaca or finnhub."
  }
}

variable "feed" {
  description = "Feed of the price API, such as iex or sip."
  type        = string
  default     = "iex"
  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,15}$", var.feed))
    error_message = "feed takes a short lower-case name."
  }
}

variable "symbols" {
  description = "Symbols to follow."
  type        = list(string)
  default     = ["AAPL", "AMZN", "GOOG", "MSFT", "TSLA"]
  validation {
    condition     = length(var.symbols) > 0 && length(distinct(var.symbols)) == length(var.symbols)
    error_message = "symbols takes ticker symbols, each once."
  }
  validation {
    # all variables of a function together take 4 KB at most, and the others come to 1.2 KB
    condition     = length(join(",", var.symbols)) <= 2800
    error_message = "symbols takes 2,800 characters with its commas, about 550 symbols: Lambda allows 4 KB of environment."
  }
}

variable "poll_interval_seconds" {
  description = "Seconds between two polls of the price API."
  type        = number
  default     = 5
  validation {
    condition     = var.poll_interval_seconds >= 1 && var.poll_interval_seconds <= 60
    error_message = "poll_interval_seconds takes 1 to 60."
  }
}

variable "look_back_seconds" {
  description = "Seconds between two polls that read the last five minutes again, for late prints; 0 is every poll."
  type        = number
  default     = 60
  validation {
    condition     = var.look_back_seconds >= 0 && var.look_back_seconds <= 300
    error_message = "look_back_seconds takes 0 to 300."
  }
}

variable "provider_url" {
  description = "Another address than the price API's own, for a proxy; null takes its own."
  type        = string
  default     = null
  validation {
    condition     = var.provider_url == null || can(regex("^https://", var.provider_url))
    error_message = "provider_url takes an https:// address, or null."
  }
}

variable "unplanned_days" {
  description = "Days on which the exchange is closed or has other hours than planned, by date: closed, or New York times such as 09:30-14:00."
  type        = map(string)
  default     = {}
  validation {
    condition = alltrue([for day, hours in var.unplanned_days :
      can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", day)) && can(regex("^(closed|[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2})$", hours))
    ])
    error_message = "unplanned_days takes dates with closed or hours, such as {\"2026-03-04\" = \"closed\", \"2026-03-05\" = \"09:30-14:00\"}."
  }
}

variable "state_ttl_days" {
  description = "Days after its newest trade that a symbol's state expires."
  type        = number
  default     = 7
  validation {
    condition     = var.state_ttl_days >= 1 && var.state_ttl_days <= 36500
    error_message = "state_ttl_days takes 1 to 36500."
  }
}

variable "future_tolerance_seconds" {
  description = "Seconds that a trade's time may be ahead of its record's arrival in the stream."
  type        = number
  default     = 900
  validation {
    condition     = var.future_tolerance_seconds >= 1 && var.future_tolerance_seconds <= 86400
    error_message = "future_tolerance_seconds takes 1 to 86400."
  }
}

variable "athena_compaction_megabytes" {
  description = "Size of a session from which Athena compacts it. Dagster's task needs three times the size on its disk of 20 GB."
  type        = number
  default     = 5000
  validation {
    condition     = var.athena_compaction_megabytes >= 0 && var.athena_compaction_megabytes <= 100000000
    error_message = "athena_compaction_megabytes takes a number from 0 to 100000000."
  }
}

variable "compact_after_share" {
  description = "How much of a running session has to be new before its version is written anew."
  type        = number
  default     = 0.25
  validation {
    condition     = var.compact_after_share >= 0 && var.compact_after_share <= 1
    error_message = "compact_after_share takes a number from 0 to 1."
  }
}

variable "first_session" {
  description = "The first session of the lake, a trading day: Dagster's first partition."
  type        = string
  default     = "2007-01-03"
  validation {
    condition     = try(timecmp("${var.first_session}T00:00:00Z", "2007-01-03T00:00:00Z") >= 0, false)
    error_message = "first_session takes a trading day from 2007-01-03 on, such as 2026-01-15."
  }
}

variable "query_scan_cutoff_bytes" {
  description = "Bytes after which a query of people is cancelled, in the workgroup of the environment's name."
  type        = number
  default     = 1073741824
  validation {
    condition     = var.query_scan_cutoff_bytes >= 10485760
    error_message = "query_scan_cutoff_bytes takes at least 10485760 (10 MB)."
  }
}

variable "athena_scan_cutoff_bytes" {
  description = "Bytes after which a query of the pipeline itself is cancelled. A compaction reads its session twice."
  type        = number
  default     = 21474836480
  validation {
    condition     = var.athena_scan_cutoff_bytes >= 10485760
    error_message = "athena_scan_cutoff_bytes takes at least 10485760 (10 MB)."
  }
  validation {
    condition     = var.athena_scan_cutoff_bytes >= 4000000 * var.athena_compaction_megabytes
    error_message = "athena_scan_cutoff_bytes takes at least 4000000 times athena_compaction_megabytes: from that size on Athena compacts, and its query reads twice what is published and all raw files."
  }
}

variable "monthly_budget_usd" {
  description = "What a month of the account may cost before somebody is told."
  type        = number
  default     = 100
  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "monthly_budget_usd takes more than 0."
  }
}

variable "alert_email" {
  description = "Address that alarms go to; null subscribes nobody."
  type        = string
  default     = null
  validation {
    condition     = var.alert_email == null || can(regex("^[^@ ]+@[^@ ]+$", var.alert_email))
    error_message = "alert_email takes an address, or null."
  }
  validation {
    condition     = !var.protected || var.alert_email != null
    error_message = "alert_email takes an address where protected is true: without one alarms reach nobody."
  }
}

variable "dagster_enabled" {
  description = "Whether Dagster runs in the account."
  type        = bool
  default     = false
  nullable    = false
}

variable "dagster_url" {
  description = "Where alerts find Dagster's UI; null is what `make ui` opens."
  type        = string
  default     = null
  validation {
    condition     = var.dagster_url == null || can(regex("^https?://", var.dagster_url))
    error_message = "dagster_url takes an address, or null."
  }
}

variable "runbook_url" {
  description = "Where alerts find docs/runbook.md, such as its page on your repository's site; null names the file."
  type        = string
  default     = null
  validation {
    condition     = var.runbook_url == null || can(regex("^https?://", var.runbook_url))
    error_message = "runbook_url takes an address, or null."
  }
}

variable "dagster_image_tag" {
  description = "Tag of Dagster's image: the commit it was built from."
  type        = string
  default     = "unbuilt"
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{1,128}$", var.dagster_image_tag))
    error_message = "dagster_image_tag takes a tag."
  }
}

variable "dagster_image_digest" {
  description = "Digest of that image, which `make plan` asks the repository for; null while there is none."
  type        = string
  default     = null
  validation {
    condition     = var.dagster_image_digest == null || can(regex("^sha256:[0-9a-f]{64}$", var.dagster_image_digest))
    error_message = "dagster_image_digest takes sha256: and 64 hexadecimal digits, or null."
  }
}

variable "dagster_sizes" {
  description = "CPU units (1024 is a processor), memory and disk of Dagster's runs, of the websocket producer and of the page, and the database's class and the storage up to which it grows by itself. Compaction needs three times a session's size on the disk."
  type = object({
    run_cpu           = optional(number, 2048)
    run_memory_mb     = optional(number, 8192)
    run_disk_gb       = optional(number, 21)
    stream_cpu        = optional(number, 256)
    stream_memory_mb  = optional(number, 512)
    page_cpu          = optional(number, 512)
    page_memory_mb    = optional(number, 2048)
    database_instance = optional(string, "db.t4g.micro")
    database_most_gb  = optional(number, 100)
  })
  default  = {}
  nullable = false
  validation {
    condition     = var.dagster_sizes.run_disk_gb >= 21 && var.dagster_sizes.run_disk_gb <= 200
    error_message = "dagster_sizes takes 21 to 200 GB of disk: Fargate's bounds."
  }
  validation {
    condition     = 1000 * var.dagster_sizes.run_disk_gb >= 3 * var.athena_compaction_megabytes
    error_message = "dagster_sizes takes a run_disk_gb of three times athena_compaction_megabytes: a smaller session is compacted on that disk."
  }
  validation {
    # a quarter more than it begins with, or RDS tells of a limit that is near
    condition     = var.dagster_sizes.database_most_gb >= 26
    error_message = "dagster_sizes takes a database_most_gb of at least 26: the database begins with 20."
  }
}

variable "dagster_network" {
  description = "Addresses of Dagster's network, and the letters of its two zones, of those that the account has in the region. Neither can change while tasks run there."
  type = object({
    cidr_block = optional(string, "10.20.0.0/22")
    zones      = optional(list(string), ["a", "b"])
  })
  default  = {}
  nullable = false
  validation {
    # AWS's smallest subnet has 16 addresses
    condition     = try(tonumber(split("/", cidrsubnet(var.dagster_network.cidr_block, 2, 3))[1]) <= 28, false)
    error_message = "dagster_network takes a cidr_block that can be cut into four of 16 addresses or more, such as 10.20.0.0/22."
  }
  validation {
    condition = length(distinct(var.dagster_network.zones)) == 2 && length(var.dagster_network.zones) == 2 && alltrue([
      for zone in var.dagster_network.zones : can(regex("^[a-z]$", zone))
    ])
    error_message = "dagster_network takes two zones by their letters, such as [\"a\", \"c\"]."
  }
}

variable "page" {
  description = "The live page (docs/page.md) in Dagster's image, behind an internal load balancer: its certificate in ACM, the networks that may reach it, your identity provider's OpenID Connect endpoints, and rules of price alerts (docs/alerts.md) as text. null serves none."
  type = object({
    certificate_arn = string
    networks        = list(string)
    alerts          = optional(string)
    identity = object({
      issuer                 = string
      authorization_endpoint = string
      token_endpoint         = string
      user_info_endpoint     = string
      client_id              = string
    })
  })
  default = null
  validation {
    condition     = var.page == null ? true : var.dagster_enabled
    error_message = "page needs dagster_enabled: its server is a task of that cluster."
  }
  validation {
    condition     = var.page == null ? true : length(var.page.networks) > 0 && alltrue([for network in var.page.networks : can(cidrhost(network, 0)) && network != "0.0.0.0/0"])
    error_message = "page.networks takes the address blocks that may reach it, such as [\"10.0.0.0/8\"], and not everybody's."
  }
  validation {
    condition     = var.page == null ? true : alltrue([for name, value in var.page.identity : startswith(value, "https://") if name != "client_id"])
    error_message = "page.identity takes addresses that begin with https://."
  }
  validation {
    condition     = var.page == null || try(length(var.page_client_secret) > 0, false)
    error_message = "page needs page_client_secret: put it into the environment as TF_VAR_page_client_secret."
  }
}

variable "page_client_secret" {
  description = "Secret of the page's client at your identity provider. It stands in the state, which is encrypted, because the load balancer takes it in no other way."
  type        = string
  default     = null
  sensitive   = true
  validation {
    condition     = var.page_client_secret == null ? true : length(var.page_client_secret) > 0
    error_message = "page_client_secret takes the secret, or null."
  }
}

variable "stream_producer_command" {
  description = "Command of the long-lived websocket producer in Dagster's image; null runs none."
  type        = list(string)
  default     = null
  validation {
    condition     = var.stream_producer_command == null ? true : length(var.stream_producer_command) > 0
    error_message = "stream_producer_command takes a command, or null."
  }
}
