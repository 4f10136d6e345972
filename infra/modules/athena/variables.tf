variable "name" {
  description = "Name of the workgroup."
  type        = string
}

variable "account_id" {
  description = "Account that the bucket of the results must belong to."
  type        = string
}

variable "output_location" {
  description = "Where results go, as an s3:// address that ends with a slash."
  type        = string
}

variable "scan_cutoff_bytes" {
  description = "Bytes after which a query is cancelled."
  type        = number
}

variable "encryption_option" {
  description = "SSE_KMS with the customer managed key, or SSE_S3."
  type        = string
}

variable "kms_key_arn" {
  description = "Customer managed key of the results, for SSE_KMS."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether the workgroup may be destroyed with its saved queries."
  type        = bool
}
