variable "database_name" {
  description = "Name of the Glue database."
  type        = string
}

variable "bucket_name" {
  description = "Bucket of the lake."
  type        = string
}

variable "registry_name" {
  description = "Name of the schema registry."
  type        = string
}

variable "trade_schema" {
  description = "The JSON Schema of a trade: contracts/trade.v2.schema.json."
  type        = string
}
