variable "name" {
  description = "Name of the table."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,255}$", var.name))
    error_message = "name takes 3 to 255 letters, digits, dots, hyphens and underscores."
  }
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted."
  type        = bool
  validation {
    condition     = var.deletion_protection != null
    error_message = "deletion_protection takes true or false."
  }
}

variable "recovery_days" {
  description = "Days that the table can be restored to any second of."
  type        = number
  validation {
    condition     = var.recovery_days >= 1 && var.recovery_days <= 35
    error_message = "recovery_days takes 1 to 35."
  }
}

variable "kms_key_arn" {
  description = "Customer managed key; null encrypts with the key that AWS manages for DynamoDB."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:", var.kms_key_arn))
    error_message = "kms_key_arn takes the ARN of a key, or null."
  }
}

variable "max_request_units" {
  description = "Cap of read and write request units a second, so that a mistake can't run up a bill; null is no cap."
  type        = number
  default     = null
  validation {
    condition     = var.max_request_units == null ? true : var.max_request_units >= 1
    error_message = "max_request_units takes at least 1, or null."
  }
}
