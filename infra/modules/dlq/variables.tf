variable "name" {
  description = "Name of the queue."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,80}$", var.name))
    error_message = "name takes 1 to 80 letters, digits, hyphens and underscores."
  }
}

variable "arn" {
  description = "The queue's ARN, which its policy names."
  type        = string
  validation {
    condition     = can(regex("^arn:", var.arn))
    error_message = "arn takes an ARN."
  }
}

variable "account_id" {
  description = "Account whose bucket may send to the queue."
  type        = string
  validation {
    condition     = length(var.account_id) > 0
    error_message = "account_id takes an account."
  }
}

variable "source_bucket_arn" {
  description = "Bucket whose notifications the queue takes."
  type        = string
  validation {
    condition     = can(regex("^arn:", var.source_bucket_arn))
    error_message = "source_bucket_arn takes an ARN."
  }
}

variable "visibility_timeout_seconds" {
  description = "How long a received message is hidden: six times the timeout of the function that reads it."
  type        = number
  validation {
    condition     = var.visibility_timeout_seconds >= 30 && var.visibility_timeout_seconds <= 43200
    error_message = "visibility_timeout_seconds takes 30 to 43200."
  }
}
