variable "project_name" {
  description = "Beginning of the roles' names; the same as in infra/."
  type        = string
  default     = "stock-pipeline"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.project_name))
    error_message = "project_name takes 2 to 31 lower-case letters, digits and hyphens."
  }
}

variable "aws_region" {
  description = "Region of the state's bucket."
  type        = string
  default     = "us-east-1"
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region takes a region such as us-east-1."
  }
}

variable "state_bucket_name" {
  description = "Bucket of the state, unique in the world."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.state_bucket_name))
    error_message = "state_bucket_name takes 3 to 63 lower-case letters, digits, dots and hyphens."
  }
}

variable "github_repository" {
  description = "Repository whose GitHub Actions deploy, as owner/name; null makes no roles."
  type        = string
  default     = null
  validation {
    condition     = var.github_repository == null || can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository takes owner/name, or null."
  }
}

variable "create_oidc_provider" {
  description = "Whether to make GitHub's identity provider; false where the account has it already."
  type        = bool
  default     = true
  nullable    = false
}

variable "environments" {
  description = "Environments that are deployed here, of those in infra/envs: each gets a boundary of its roles, and GitHub's roles."
  type        = set(string)
  default     = ["dev", "prod"]
  validation {
    condition     = alltrue([for environment in var.environments : can(regex("^[a-z][a-z0-9]{0,15}$", environment))])
    error_message = "environments takes short names such as dev and prod."
  }
  validation {
    condition     = !contains(var.environments, "github")
    error_message = "environments takes no github: GitHub's own roles begin like that environment's, which its deployments may change."
  }
}
