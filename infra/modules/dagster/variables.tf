variable "name" {
  description = "Beginning of every name here."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,50}$", var.name))
    error_message = "name takes 2 to 51 lower-case letters, digits and hyphens: roles are named after it, in at most 64 characters."
  }
}

variable "aws_region" {
  description = "Region of everything."
  type        = string
}

variable "account_id" {
  description = "Account whose tasks may use the roles."
  type        = string
}

variable "partition" {
  description = "AWS partition of the ARNs in policies."
  type        = string
}

variable "image_tag" {
  description = "Tag of the image in the repository: the commit it was built from."
  type        = string
}

variable "image_digest" {
  description = "Digest of that image; null while the repository has none."
  type        = string
  default     = null
}

variable "environment" {
  description = "Environment variables: the settings of stock_pipeline/settings.py. Never a secret."
  type        = map(string)
}

variable "bucket_arn" {
  description = "The lake's bucket, which tasks reach without the gateway."
  type        = string
}

variable "control_statements" {
  description = "What webserver and daemon may do beside starting runs, as statements of a policy."
  type        = any
}

variable "work_statements" {
  description = "What the code location and runs may do, as statements of a policy."
  type        = any
}

variable "produce_statements" {
  description = "What the long-lived producer may do, as statements of a policy."
  type        = any
}

variable "page_statements" {
  description = "What the page's server may do, as statements of a policy."
  type        = any
}

variable "page" {
  description = "The page's certificate, who reaches it, who says who they are, and rules of price alerts; null serves none."
  type = object({
    certificate_arn = string
    networks        = list(string)
    alerts          = optional(string)
    identity = object({
      issuer                 = string
      authorization_endpoint = string
      token_endpoint         = string
      user_info_endpoint     = string
      client_id              = string
    })
  })
  default = null
}

variable "page_client_secret" {
  description = "Secret of the page's client at the identity provider."
  type        = string
  default     = null
  sensitive   = true
}

variable "stream_producer_command" {
  description = "Command of the long-lived websocket producer; null runs none."
  type        = list(string)
  default     = null
}

variable "sizes" {
  description = "CPU units, memory and disk of runs, of the websocket producer and of the page, and the database's class and most storage."
  type = object({
    run_cpu           = number
    run_memory_mb     = number
    run_disk_gb       = number
    stream_cpu        = number
    stream_memory_mb  = number
    page_cpu          = number
    page_memory_mb    = number
    database_instance = string
    database_most_gb  = number
  })
}

variable "cidr_block" {
  description = "Addresses of the network: a block that can be cut into four."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "protected" {
  description = "Whether database and images are protected against deletion."
  type        = bool
}

variable "kms_key_arn" {
  description = "Customer managed key of database, images and logs; null uses the keys that AWS manages."
  type        = string
  default     = null
}

variable "zones" {
  description = "Letters of the two availability zones, of those that the account has in the region."
  type        = list(string)
}

variable "permissions_boundary" {
  description = "Policy that no role here can go beyond."
  type        = string
}

variable "multi_az" {
  description = "Whether database and way out stand in two zones."
  type        = bool
}

variable "backup_days" {
  description = "Days that the database can be brought back to any second of."
  type        = number
}

variable "table_arn" {
  description = "The realtime table, which tasks reach without the gateway."
  type        = string
}
