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
  description = "The lake's bucket, which also keeps the logs of runs."
  type        = string
}

variable "work_statements" {
  description = "What the code location and runs may do, as statements of a policy."
  type        = any
}

variable "produce_statements" {
  description = "What the long-lived producer may do, as statements of a policy."
  type        = any
}

variable "stream_producer_command" {
  description = "Command of the long-lived websocket producer; null runs none."
  type        = list(string)
  default     = null
}

variable "run_cpu" {
  description = "CPU units of a run; 1024 is one processor."
  type        = number
  default     = 2048
}

variable "run_memory_mb" {
  description = "Memory of a run: a day of trades is compacted in it."
  type        = number
  default     = 8192
}

variable "database_instance_class" {
  description = "Size of Dagster's database."
  type        = string
  default     = "db.t4g.micro"
}

variable "cidr_block" {
  description = "Addresses of the network."
  type        = string
  default     = "10.20.0.0/22"
  validation {
    condition     = can(cidrsubnet(var.cidr_block, 2, 2))
    error_message = "cidr_block takes a block that can be cut into four."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "protected" {
  description = "Whether the database is protected against deletion and stands in two zones."
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
  default     = ["a", "b"]
  validation {
    condition     = length(distinct(var.zones)) == 2 && length(var.zones) == 2 && alltrue([for zone in var.zones : can(regex("^[a-z]$", zone))])
    error_message = "zones takes two letters."
  }
}
