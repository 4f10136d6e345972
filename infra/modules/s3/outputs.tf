output "arn" {
  description = "The bucket's ARN; waiting for it means waiting for its encryption too."
  value       = aws_s3_bucket.this.arn
  depends_on  = [aws_s3_bucket_public_access_block.this, aws_s3_bucket_server_side_encryption_configuration.this]
}

output "id" {
  description = "The bucket's name; waiting for it means waiting for its encryption too."
  value       = aws_s3_bucket.this.id
  depends_on  = [aws_s3_bucket_public_access_block.this, aws_s3_bucket_server_side_encryption_configuration.this]
}

output "bucket" {
  description = "The bucket with its companions, under the names of their settings."
  value = {
    bucket              = aws_s3_bucket.this
    ownership           = aws_s3_bucket_ownership_controls.this
    public_access_block = aws_s3_bucket_public_access_block.this
    versioning          = aws_s3_bucket_versioning.this
    encryption          = aws_s3_bucket_server_side_encryption_configuration.this
    policy              = jsondecode(aws_s3_bucket_policy.this.policy)
    lifecycle           = aws_s3_bucket_lifecycle_configuration.this
    notification        = one(aws_s3_bucket_notification.this)
  }
}
