variable "name" {
  description = "Beginning of every name here."
  type        = string
}

variable "aws_region" {
  description = "Region of the metrics."
  type        = string
}

variable "account_id" {
  description = "Account whose alarms and budgets may publish to the topic."
  type        = string
}

variable "topic_arn" {
  description = "ARN of the topic, which its policy names."
  type        = string
}

variable "functions" {
  description = "Functions to watch. duration_alarm_share: which part of the timeout is too near it."
  type = map(object({
    name                 = string
    timeout_seconds      = number
    duration_alarm_share = number
  }))
}

variable "stream_name" {
  description = "Stream to watch."
  type        = string
}

variable "queue_name" {
  description = "Dead-letter queue to watch."
  type        = string
}

variable "table_name" {
  description = "Table to watch."
  type        = string
}

variable "schedule_group" {
  description = "Schedule group to watch."
  type        = string
}

variable "producer" {
  description = "Who brings trades: schedule (the function), stream (the websocket producer), or none."
  type        = string
  validation {
    condition     = contains(["schedule", "stream", "none"], var.producer)
    error_message = "producer takes schedule, stream or none."
  }
}

variable "feed_delay_seconds" {
  description = "How far the feed is behind the clock."
  type        = number
}

variable "dagster" {
  description = "Dagster's cluster, services and database to watch; null where it runs elsewhere."
  type = object({
    cluster  = string
    services = list(string)
    database = string
  })
  default = null
}

variable "rejected_percent" {
  description = "Share of rejected lines, in per cent, above which somebody is told."
  type        = number
  default     = 1
}

variable "environment" {
  description = "Environment that the functions report under."
  type        = string
}

variable "monthly_budget_usd" {
  description = "What a month may cost; at 80 % forecast and 100 % actual somebody is told. null makes no budget."
  type        = number
}

variable "alert_email" {
  description = "Address that alarms go to; null subscribes nobody."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "Customer managed key of the topic. The key that AWS manages can't be used: it keeps alarms out."
  type        = string
  default     = null
}
