variable "name" {
  description = "Name of the schedule group."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{1,50}$", var.name))
    error_message = "name takes 1 to 50 letters, digits, dots, hyphens and underscores."
  }
}

variable "account_id" {
  description = "Account whose scheduler may use the role."
  type        = string
  validation {
    condition     = length(var.account_id) > 0
    error_message = "account_id takes an account."
  }
}

variable "schedules" {
  description = "What is invoked when, by name; expressions are read on New York's clock."
  type = map(object({
    description  = string
    expression   = string
    function_arn = string
    enabled      = bool
  }))
  validation {
    condition     = alltrue([for schedule in var.schedules : can(regex("^(cron|rate)\\(.+\\)$", schedule.expression))])
    error_message = "expression takes cron(...) or rate(...)."
  }
}

variable "kms_key_arn" {
  description = "Customer managed key of the schedules; null uses the keys that AWS owns."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:", var.kms_key_arn))
    error_message = "kms_key_arn takes the ARN of a key, or null."
  }
}
