# What the pipeline's Terraform needs before it can run: the bucket of its state, and the roles of its CI.
# Applied once an account by an administrator; its own state stays with who applied it.
data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  state_arn  = "arn:${local.partition}:s3:::${var.state_bucket_name}"
}

module "state" {
  source          = "../infra/modules/s3"
  name            = var.state_bucket_name
  partition       = local.partition
  force_destroy   = false
  noncurrent_days = 365
}
