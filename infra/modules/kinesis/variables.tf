variable "name" {
  description = "Name of the stream."
  type        = string
}

variable "stream_mode" {
  description = "PROVISIONED (cheap for a steady load) or ON_DEMAND (follows the load, with an hourly price)."
  type        = string
}

variable "shard_count" {
  description = "Shards of a PROVISIONED stream; each takes 1 MB or 1,000 records a second."
  type        = number
}

variable "retention_hours" {
  description = "How long the stream keeps records: the time to repair a consumer before anything is lost."
  type        = number
}

variable "kms_key_arn" {
  description = "Customer managed key; null encrypts with the key that AWS manages for Kinesis."
  type        = string
  default     = null
}

variable "shard_level_metrics" {
  description = "Metrics per shard, which cost extra."
  type        = set(string)
  default     = []
}

variable "force_destroy" {
  description = "Whether the stream may be destroyed while consumers are registered."
  type        = bool
}
