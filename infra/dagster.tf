# Dagster in the account, where it is wanted; elsewhere `dagster dev` on a laptop does the same work (docs/deploy.md).
module "dagster" {
  count        = var.dagster_enabled ? 1 : 0
  source       = "./modules/dagster"
  name         = "${local.name}-dagster"
  aws_region   = var.aws_region
  account_id   = local.account_id
  partition    = local.partition
  image_tag    = var.dagster_image_tag
  image_digest = var.dagster_image_digest
  environment = merge(
    local.settings,
    { AWS_REGION = var.aws_region },
    { for name, address in { DAGSTER_URL = var.dagster_url, RUNBOOK_URL = var.runbook_url } : name => address if address != null },
  )
  bucket_arn              = local.arn.bucket
  control_statements      = local.statements.control
  work_statements         = local.statements.work
  produce_statements      = local.statements.produce
  page_statements         = local.statements.page
  page                    = var.page
  page_client_secret      = var.page_client_secret
  stream_producer_command = var.stream_producer_command
  log_retention_days      = var.log_retention_days
  protected               = var.protected
  multi_az                = var.multi_az
  backup_days             = var.backup_days
  sizes                   = var.dagster_sizes
  cidr_block              = var.dagster_network.cidr_block
  zones                   = var.dagster_network.zones
  table_arn               = local.arn.table
  permissions_boundary    = local.arn.boundary
  kms_key_arn             = local.kms_key_arn
}
