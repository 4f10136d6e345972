variable "name" {
  description = "Name of the workgroup."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,128}$", var.name))
    error_message = "name takes 1 to 128 letters, digits, dots, hyphens and underscores."
  }
}

variable "account_id" {
  description = "Account that the bucket of the results must belong to."
  type        = string
  validation {
    condition     = length(var.account_id) > 0
    error_message = "account_id takes an account."
  }
}

variable "output_location" {
  description = "Where results go, as an s3:// address that ends with a slash."
  type        = string
  validation {
    condition     = can(regex("^s3://.+/$", var.output_location))
    error_message = "output_location takes an s3:// address that ends with a slash."
  }
}

variable "scan_cutoff_bytes" {
  description = "Bytes after which a query is cancelled."
  type        = number
  validation {
    condition     = var.scan_cutoff_bytes >= 10485760
    error_message = "scan_cutoff_bytes takes at least 10485760 (10 MB)."
  }
}

variable "encryption_option" {
  description = "SSE_KMS with the customer managed key, or SSE_S3."
  type        = string
  validation {
    condition     = contains(["SSE_KMS", "SSE_S3"], var.encryption_option)
    error_message = "encryption_option takes SSE_KMS or SSE_S3."
  }
}

variable "kms_key_arn" {
  description = "Customer managed key of the results, for SSE_KMS."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:", var.kms_key_arn))
    error_message = "kms_key_arn takes the ARN of a key, or null."
  }
}

variable "force_destroy" {
  description = "Whether the workgroup may be destroyed with its saved queries."
  type        = bool
  validation {
    condition     = var.force_destroy != null
    error_message = "force_destroy takes true or false."
  }
}
