variable "name" {
  description = "Name of the schedule group."
  type        = string
}

variable "account_id" {
  description = "Account whose scheduler may use the role."
  type        = string
}

variable "schedules" {
  description = "What is invoked when, by name; expressions are read on New York's clock."
  type = map(object({
    description  = string
    expression   = string
    function_arn = string
    enabled      = bool
  }))
}

variable "kms_key_arn" {
  description = "Customer managed key of the schedules; null uses the keys that AWS owns."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "Policy that no role here can go beyond."
  type        = string
}

variable "arn_prefix" {
  description = "Beginning of ARNs of the scheduler: partition, region, account."
  type        = string
}

variable "statements" {
  description = "What the scheduler's role may do beside invoking."
  type        = any
  default     = []
}
