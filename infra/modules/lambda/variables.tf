variable "name" {
  description = "Name of the function, its role and its log group."
  type        = string
}

variable "description" {
  description = "What the function does, as the console shows it."
  type        = string
}

variable "package" {
  description = "The function's zip in a bucket, and the hash of its content."
  type = object({
    bucket        = string
    key           = string
    sha256_base64 = string
  })
}

variable "runtime" {
  description = "Python runtime; the zip is built for it."
  type        = string
  validation {
    condition     = can(regex("^python3\\.(11|12|13)$", var.runtime))
    error_message = "runtime takes python3.11 to python3.13."
  }
}

variable "architecture" {
  description = "Processor architecture; the zip is built for it."
  type        = string
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture takes arm64 or x86_64."
  }
}

variable "memory_mb" {
  description = "Memory, which also decides the share of a processor."
  type        = number
}

variable "timeout_seconds" {
  description = "Seconds after which an invocation is stopped."
  type        = number
}

variable "reserved_concurrency" {
  description = "How many invocations may run at once; 1 means never two, -1 shares the account's."
  type        = number
  default     = -1
}

variable "environment" {
  description = "Environment variables: the settings of stock_pipeline/settings.py. Never a secret."
  type        = map(string)
  validation {
    condition     = !contains(keys(var.environment), "AWS_REGION")
    error_message = "Lambda sets AWS_REGION itself and refuses to have it set."
  }
}

variable "statements" {
  description = "What the function may do beside writing its logs, as statements of a policy."
  type        = any
}

variable "log_group_arn_prefix" {
  description = "Beginning of log group ARNs, up to and with log-group."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Customer managed key of logs and environment; null uses the keys that AWS manages."
  type        = string
  default     = null
}

variable "stream" {
  description = "Stream that the function consumes, with infra/event_source_mapping.json as its settings; null if none."
  type = object({
    arn                   = string
    on_failure_bucket_arn = string
    mapping = object({
      batch_size                         = number
      maximum_batching_window_in_seconds = number
      parallelization_factor             = number
      bisect_batch_on_function_error     = bool
      maximum_retry_attempts             = number
      maximum_record_age_in_seconds      = number
      starting_position                  = string
      function_response_types            = list(string)
    })
  })
  default = null
  validation {
    condition = var.stream == null ? true : (
      var.stream.mapping.maximum_retry_attempts >= 0 && var.stream.mapping.maximum_record_age_in_seconds >= 60
    )
    error_message = "The mapping bounds retries and record age: without bounds one bad record holds a shard for days."
  }
}

variable "permissions_boundary" {
  description = "Policy that no role here can go beyond."
  type        = string
}
