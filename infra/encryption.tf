# The customer managed key, where one is wanted; elsewhere the keys that AWS manages do.
resource "aws_kms_key" "data" {
  count                   = var.customer_key ? 1 : 0
  description             = "Data of ${local.name}."
  enable_key_rotation     = true
  deletion_window_in_days = 30

  # Whatever is encrypted with it can't be read without it, also what outlives the rest. docs/deploy.md says how to take
  # the rest down.
  lifecycle {
    prevent_destroy = true
  }

  # In a key's policy "*" is the key itself.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AllowTheAccountToGrantUse"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "AllowAlarmsAndBudget"
        Effect    = "Allow"
        Principal = { Service = concat(["cloudwatch.amazonaws.com"], local.has_budgets ? ["budgets.amazonaws.com"] : []) }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      {
        Sid       = "AllowLogGroups"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.aws_region}.amazonaws.com" }
        Action = [
          "kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
          "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey",
        ]
        Resource  = "*"
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "${local.arn.log_group_prefix}:*" } }
      },
    ]
  })
}

resource "aws_kms_alias" "data" {
  count         = var.customer_key ? 1 : 0
  name          = local.key_aliases[0]
  target_key_id = aws_kms_key.data[0].key_id
}

locals {
  kms_key_arn = one(aws_kms_key.data[*].arn)
  key_aliases = var.customer_key ? ["alias/${local.name}"] : []
}
