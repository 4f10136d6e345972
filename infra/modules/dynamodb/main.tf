# The realtime state: one item a symbol and feed.
resource "aws_dynamodb_table" "this" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "symbol"
  range_key                   = "feed"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "symbol"
    type = "S"
  }

  attribute {
    name = "feed"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.recovery_days
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }

  dynamic "on_demand_throughput" {
    for_each = var.max_request_units == null ? [] : [var.max_request_units]
    content {
      max_read_request_units  = on_demand_throughput.value
      max_write_request_units = on_demand_throughput.value
    }
  }
}
