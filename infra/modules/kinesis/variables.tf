variable "name" {
  description = "Name of the stream."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{1,128}$", var.name))
    error_message = "name takes 1 to 128 letters, digits, dots, hyphens and underscores."
  }
}

variable "stream_mode" {
  description = "PROVISIONED (cheap for a steady load) or ON_DEMAND (follows the load, with an hourly price)."
  type        = string
  validation {
    condition     = contains(["PROVISIONED", "ON_DEMAND"], var.stream_mode)
    error_message = "stream_mode takes PROVISIONED or ON_DEMAND."
  }
}

variable "shard_count" {
  description = "Shards of a PROVISIONED stream; each takes 1 MB or 1,000 records a second."
  type        = number
  validation {
    condition     = var.shard_count >= 1 && var.shard_count <= 500 && floor(var.shard_count) == var.shard_count
    error_message = "shard_count takes a whole number from 1 to 500."
  }
}

variable "retention_hours" {
  description = "How long the stream keeps records: the time to repair a consumer before anything is lost."
  type        = number
  validation {
    condition     = var.retention_hours >= 24 && var.retention_hours <= 8760
    error_message = "retention_hours takes 24 to 8760."
  }
}

variable "kms_key_arn" {
  description = "Customer managed key; null encrypts with the key that AWS manages for Kinesis."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:", var.kms_key_arn))
    error_message = "kms_key_arn takes the ARN of a key, or null."
  }
}

variable "shard_level_metrics" {
  description = "Metrics per shard, which cost extra."
  type        = set(string)
  default     = []
  validation {
    condition = length(setsubtract(var.shard_level_metrics, [
      "IncomingBytes", "IncomingRecords", "IteratorAgeMilliseconds", "OutgoingBytes", "OutgoingRecords",
      "ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded",
    ])) == 0
    error_message = "shard_level_metrics takes names of Kinesis shard-level metrics."
  }
}

variable "force_destroy" {
  description = "Whether the stream may be destroyed while consumers are registered."
  type        = bool
  validation {
    condition     = var.force_destroy != null
    error_message = "force_destroy takes true or false."
  }
}
