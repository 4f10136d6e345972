variable "name" {
  description = "Name of the table."
  type        = string
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted."
  type        = bool
}

variable "recovery_days" {
  description = "Days that the table can be restored to any second of."
  type        = number
}

variable "kms_key_arn" {
  description = "Customer managed key; null encrypts with the key that AWS manages for DynamoDB."
  type        = string
  default     = null
}

variable "max_request_units" {
  description = "Cap of read and write request units a second: a mistake can't run up a bill. Null is no cap."
  type        = number
  default     = null
}
