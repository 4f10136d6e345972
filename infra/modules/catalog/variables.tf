variable "database_name" {
  description = "Name of the Glue database."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9_]{1,255}$", var.database_name))
    error_message = "database_name takes lower-case letters, digits and underscores."
  }
}

variable "bucket_name" {
  description = "Bucket of the lake."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name takes 3 to 63 lower-case letters, digits, dots and hyphens."
  }
}

variable "registry_name" {
  description = "Name of the schema registry."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_$#.-]{1,255}$", var.registry_name))
    error_message = "registry_name takes 1 to 255 letters, digits and _ $ # . -."
  }
}

variable "trade_schema" {
  description = "The JSON Schema of a trade: contracts/trade.v1.schema.json."
  type        = string
  validation {
    condition     = can(jsondecode(var.trade_schema).properties.event_id)
    error_message = "trade_schema takes the JSON Schema of a trade."
  }
}
