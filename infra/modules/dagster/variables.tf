variable "name" {
  description = "Beginning of every name here."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,50}$", var.name))
    error_message = "name takes lower-case letters, digits and hyphens."
  }
}

variable "aws_region" {
  description = "Region of everything."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region takes a region such as us-east-1."
  }
}

variable "account_id" {
  description = "Account whose tasks may use the roles."
  type        = string
  validation {
    condition     = length(var.account_id) > 0
    error_message = "account_id takes an account."
  }
}

variable "partition" {
  description = "AWS partition of the ARNs in policies."
  type        = string
  validation {
    condition     = length(var.partition) > 0
    error_message = "partition takes a name such as aws."
  }
}

variable "image_tag" {
  description = "Tag of the image in the repository: the commit it was built from."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{1,128}$", var.image_tag))
    error_message = "image_tag takes a tag."
  }
}

variable "environment" {
  description = "Environment variables: the settings of stock_pipeline/settings.py. Never a secret."
  type        = map(string)
  validation {
    condition     = contains(keys(var.environment), "AWS_REGION")
    error_message = "environment takes every setting, AWS_REGION included."
  }
}

variable "bucket_arn" {
  description = "The lake's bucket, which also keeps the logs of runs."
  type        = string
  validation {
    condition     = can(regex("^arn:", var.bucket_arn))
    error_message = "bucket_arn takes an ARN."
  }
}

variable "work_statements" {
  description = "What the code location and runs may do, as statements of a policy."
  type        = any
  validation {
    condition     = alltrue([for statement in var.work_statements : can(statement.Action) && can(statement.Resource)])
    error_message = "work_statements takes statements with Action and Resource."
  }
}

variable "produce_statements" {
  description = "What the long-lived producer may do, as statements of a policy."
  type        = any
  validation {
    condition     = alltrue([for statement in var.produce_statements : can(statement.Action) && can(statement.Resource)])
    error_message = "produce_statements takes statements with Action and Resource."
  }
}

variable "stream_producer_command" {
  description = "Command of the long-lived websocket producer; null runs none."
  type        = list(string)
  default     = null
  validation {
    condition     = var.stream_producer_command == null ? true : length(var.stream_producer_command) > 0
    error_message = "stream_producer_command takes a command, or null."
  }
}

variable "run_cpu" {
  description = "CPU units of a run; 1024 is one processor."
  type        = number
  default     = 2048
  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.run_cpu)
    error_message = "run_cpu takes one of Fargate's sizes."
  }
}

variable "run_memory_mb" {
  description = "Memory of a run: a day of trades is compacted in it."
  type        = number
  default     = 8192
  validation {
    condition     = var.run_memory_mb >= 512 && var.run_memory_mb <= 122880
    error_message = "run_memory_mb takes 512 to 122880."
  }
}

variable "database_instance_class" {
  description = "Size of Dagster's database."
  type        = string
  default     = "db.t4g.micro"
  validation {
    condition     = startswith(var.database_instance_class, "db.")
    error_message = "database_instance_class takes a class such as db.t4g.micro."
  }
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
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.log_retention_days)
    error_message = "log_retention_days takes one of CloudWatch's retention periods up to 365."
  }
}

variable "protected" {
  description = "Whether the database is protected against deletion and stands in two zones."
  type        = bool
  validation {
    condition     = var.protected != null
    error_message = "protected takes true or false."
  }
}

variable "kms_key_arn" {
  description = "Customer managed key of database, images and logs; null uses the keys that AWS manages."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:", var.kms_key_arn))
    error_message = "kms_key_arn takes the ARN of a key, or null."
  }
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
