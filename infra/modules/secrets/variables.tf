variable "names" {
  description = "Names of the secrets."
  type        = set(string)
  validation {
    condition     = alltrue([for name in var.names : can(regex("^[A-Za-z0-9/_+=.@-]{1,512}$", name))])
    error_message = "names takes names of secrets."
  }
}

variable "kms_key_arn" {
  description = "Customer managed key; null encrypts with the key that AWS manages for Secrets Manager."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:", var.kms_key_arn))
    error_message = "kms_key_arn takes the ARN of a key, or null."
  }
}

variable "recovery_days" {
  description = "Days that a deleted secret can be brought back; 0 deletes at once."
  type        = number
  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 7 && var.recovery_days <= 30)
    error_message = "recovery_days takes 0, or 7 to 30."
  }
}
