variable "names" {
  description = "Names of the secrets."
  type        = set(string)
}

variable "kms_key_arn" {
  description = "Customer managed key; null encrypts with the key that AWS manages for Secrets Manager."
  type        = string
  default     = null
}

variable "recovery_days" {
  description = "Days that a deleted secret can be brought back; 0 deletes at once."
  type        = number
}
