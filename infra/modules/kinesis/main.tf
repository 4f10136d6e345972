# The stream of trades.
resource "aws_kinesis_stream" "this" {
  name                      = var.name
  retention_period          = var.retention_hours
  shard_count               = var.stream_mode == "PROVISIONED" ? var.shard_count : null
  encryption_type           = "KMS"
  kms_key_id                = coalesce(var.kms_key_arn, "alias/aws/kinesis")
  enforce_consumer_deletion = var.force_destroy
  shard_level_metrics       = var.shard_level_metrics

  stream_mode_details {
    stream_mode = var.stream_mode
  }
}
