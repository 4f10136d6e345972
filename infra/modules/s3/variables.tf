variable "name" {
  description = "Name of the bucket, unique in the world."
  type        = string
}

variable "partition" {
  description = "AWS partition of the ARNs in the bucket's policy."
  type        = string
}

variable "kms_key_arn" {
  description = "Customer managed key; null encrypts with the key that AWS manages for S3."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether destroying the bucket may delete the objects in it."
  type        = bool
}

variable "noncurrent_days" {
  description = "Days that overwritten and deleted objects can still be brought back."
  type        = number
  default     = 30
}

variable "lifecycle_rules" {
  description = "What becomes of objects under a prefix, or of those with all these tags, by age in days; null means never."
  type = list(object({
    prefix                 = string
    tags                   = optional(map(string))
    infrequent_access_days = optional(number)
    expire_days            = optional(number)
  }))
  default = []
  validation {
    condition     = alltrue([for rule in var.lifecycle_rules : endswith(rule.prefix, "/")])
    error_message = "Every prefix in lifecycle_rules ends with a slash."
  }
  validation {
    condition = alltrue([
      for rule in var.lifecycle_rules :
      rule.infrequent_access_days == null ? true : rule.infrequent_access_days >= 30
    ])
    error_message = "S3 moves objects to infrequent access after 30 days at the earliest."
  }
}

variable "notify_queue_arn" {
  description = "Queue that is told of new objects under notify_queue_prefixes."
  type        = string
  default     = null
}

variable "notify_queue_prefixes" {
  description = "Prefixes whose new objects are announced to the queue."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for prefix in var.notify_queue_prefixes : endswith(prefix, "/")])
    error_message = "Every prefix in notify_queue_prefixes ends with a slash."
  }
}
