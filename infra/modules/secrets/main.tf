# Places for the price API's keys. The values are stored by hand and never pass through Terraform, whose state would keep them.
resource "aws_secretsmanager_secret" "this" {
  for_each                = var.names
  name                    = each.key
  description             = "Key of a price API, as JSON: {\"key\": \"...\", \"secret\": \"...\"}. Stored by hand; see docs/deploy.md."
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_days
}
