# What the pipeline's Terraform needs before it can run: the bucket of its state, what its roles can't go beyond, and the
# roles of its CI. Applied by an administrator, once an account and after a name in infra/envs changes. Its own state stays
# with who applied it; docs/deploy.md says where else to keep it.
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

  # plans of GitHub's runs, which name what is in the account
  lifecycle_rules = [{ prefix = "plans/", expire_days = 7 }]
}
