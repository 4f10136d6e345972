variable "name" {
  description = "Beginning of every name here."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,60}$", var.name))
    error_message = "name takes lower-case letters, digits and hyphens."
  }
}

variable "aws_region" {
  description = "Region of the metrics."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region takes a region such as us-east-1."
  }
}

variable "account_id" {
  description = "Account whose alarms and budgets may publish to the topic."
  type        = string
  validation {
    condition     = length(var.account_id) > 0
    error_message = "account_id takes an account."
  }
}

variable "topic_arn" {
  description = "ARN of the topic, which its policy names."
  type        = string
  validation {
    condition     = can(regex("^arn:", var.topic_arn))
    error_message = "topic_arn takes an ARN."
  }
}

variable "functions" {
  description = "Functions to watch. duration_alarm_share: which part of the timeout is too near it."
  type = map(object({
    name                 = string
    timeout_seconds      = number
    duration_alarm_share = number
  }))
  validation {
    condition     = length(setsubtract(["producer", "processor"], keys(var.functions))) == 0
    error_message = "functions takes at least the producer and the processor."
  }
}

variable "stream_name" {
  description = "Stream to watch."
  type        = string
  validation {
    condition     = length(var.stream_name) > 0
    error_message = "stream_name takes a name."
  }
}

variable "queue_name" {
  description = "Dead-letter queue to watch."
  type        = string
  validation {
    condition     = length(var.queue_name) > 0
    error_message = "queue_name takes a name."
  }
}

variable "table_name" {
  description = "Table to watch."
  type        = string
  validation {
    condition     = length(var.table_name) > 0
    error_message = "table_name takes a name."
  }
}

variable "schedule_group" {
  description = "Schedule group to watch."
  type        = string
  validation {
    condition     = length(var.schedule_group) > 0
    error_message = "schedule_group takes a name."
  }
}

variable "rejected_percent" {
  description = "Share of rejected lines, in per cent, above which somebody is told."
  type        = number
  default     = 1
  validation {
    condition     = var.rejected_percent > 0 && var.rejected_percent < 100
    error_message = "rejected_percent takes more than 0 and less than 100."
  }
}

variable "environment" {
  description = "Environment that the functions report under."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{0,15}$", var.environment))
    error_message = "environment takes a short name such as dev or prod."
  }
}

variable "monthly_budget_usd" {
  description = "What a month may cost; at 80 % forecast and 100 % actual somebody is told."
  type        = number
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
}

variable "kms_key_arn" {
  description = "Customer managed key of the topic. The key that AWS manages can't be used: it keeps alarms out."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:", var.kms_key_arn))
    error_message = "kms_key_arn takes the ARN of a key, or null."
  }
}
