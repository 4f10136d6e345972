# Table, buckets, secrets, catalog and workgroup.
variables {
  packages_file = "tests/packages.json"
}

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

run "table" {
  command = plan

  assert {
    condition     = module.state.table.billing_mode == "PAY_PER_REQUEST"
    error_message = "The table is billed on demand."
  }
  assert {
    condition     = module.state.table.point_in_time_recovery[0].enabled == true
    error_message = "The table can be restored to a point in time."
  }
  assert {
    condition     = module.state.table.ttl[0].enabled == true && module.state.table.ttl[0].attribute_name == "expires_at"
    error_message = "Items expire by expires_at."
  }
  assert {
    condition     = module.state.table.deletion_protection_enabled == (var.environment == "prod")
    error_message = "prod's table refuses to be deleted."
  }
  assert {
    condition     = module.state.table.hash_key == "symbol" && module.state.table.range_key == "feed"
    error_message = "An item is found by symbol and feed."
  }
  assert {
    condition     = module.state.table.server_side_encryption[0].enabled == true
    error_message = "The table is encrypted with a KMS key."
  }
}

run "buckets" {
  command = plan

  assert {
    condition = alltrue([for bucket in [module.lake.bucket, module.artifacts.bucket] : alltrue([
      bucket.public_access_block.block_public_acls, bucket.public_access_block.block_public_policy,
      bucket.public_access_block.ignore_public_acls, bucket.public_access_block.restrict_public_buckets,
    ])])
    error_message = "Buckets are private."
  }
  assert {
    condition     = alltrue([for bucket in [module.lake.bucket, module.artifacts.bucket] : bucket.ownership.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "Buckets have no ACLs."
  }
  assert {
    condition     = alltrue([for bucket in [module.lake.bucket, module.artifacts.bucket] : bucket.versioning.versioning_configuration[0].status == "Enabled"])
    error_message = "Buckets are versioned."
  }
  assert {
    condition = alltrue([for bucket in [module.lake.bucket, module.artifacts.bucket] : alltrue([
      for rule in bucket.encryption.rule :
      rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" && rule.bucket_key_enabled
    ])])
    error_message = "Buckets are encrypted with KMS and bucket keys."
  }
  assert {
    condition = alltrue([for bucket in [module.lake.bucket, module.artifacts.bucket] : anytrue([
      for statement in bucket.policy.Statement :
      statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
    ])])
    error_message = "Buckets take TLS only."
  }
  assert {
    condition     = module.lake.bucket.bucket.force_destroy == (var.environment != "prod")
    error_message = "prod's bucket is never emptied by Terraform."
  }
  assert {
    condition = alltrue([for bucket in [module.lake.bucket, module.artifacts.bucket] :
      bucket.lifecycle.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7 &&
      bucket.lifecycle.rule[0].noncurrent_version_expiration[0].noncurrent_days == 30
    ])
    error_message = "Unfinished uploads and old versions go away."
  }
  assert {
    condition = jsonencode({
      for rule in module.lake.bucket.lifecycle.rule : rule.id => one(rule.expiration[*].days) if rule.id != "tidy"
      }) == jsonencode({
      raw            = var.environment == "prod" ? null : 90
      curated        = null
      quarantine     = 90
      failed         = 90
      redrive        = 90
      aws-lambda     = 90
      athena-results = 14
      dagster-logs   = 30
    })
    error_message = "Every zone of the lake has its age limit; curated trades have none."
  }
}

run "secrets" {
  command = plan

  assert {
    condition     = toset(keys(module.secrets.secrets)) == toset(["stock-pipeline/${var.environment}/provider"])
    error_message = "There is a secret for the price API's key."
  }
  assert {
    condition     = alltrue([for secret in module.secrets.secrets : secret.recovery_window_in_days == (var.environment == "prod" ? 30 : 0)])
    error_message = "prod's secrets can be brought back for 30 days."
  }
}

run "catalog" {
  command = plan

  assert {
    condition     = module.catalog.tables["raw_trades"].parameters["projection.enabled"] == "true"
    error_message = "raw_trades has partition projection."
  }
  assert {
    condition     = length([for name in keys(module.catalog.tables["trades"].parameters) : name if startswith(name, "projection")]) == 0
    error_message = "trades has none: Athena would ignore the registered locations."
  }
  assert {
    condition     = module.catalog.tables["raw_trades"].parameters["storage.location.template"] == "s3://${var.bucket_name}/raw/trades/year=$${year}/month=$${month}/day=$${day}/"
    error_message = "Raw partitions lie where the processor writes them."
  }
  assert {
    condition     = module.catalog.schema.compatibility == "BACKWARD" && module.catalog.schema.data_format == "JSON"
    error_message = "The contract may only grow."
  }
  assert {
    condition     = module.catalog.schema.schema_definition == file("../contracts/trade.v1.schema.json")
    error_message = "The registry holds the contract file."
  }
}

run "workgroup" {
  command = plan

  assert {
    condition     = module.athena.workgroup.configuration[0].enforce_workgroup_configuration == true
    error_message = "The workgroup's settings are enforced."
  }
  assert {
    condition     = module.athena.workgroup.configuration[0].result_configuration[0].output_location == "s3://${var.bucket_name}/athena-results/"
    error_message = "Results go to one place."
  }
  assert {
    condition     = module.athena.workgroup.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == (var.environment == "prod" ? "SSE_KMS" : "SSE_S3")
    error_message = "Results are encrypted."
  }
  assert {
    condition     = module.athena.workgroup.configuration[0].bytes_scanned_cutoff_per_query == (var.environment == "prod" ? 10 : 1) * 1024 * 1024 * 1024
    error_message = "A query is cancelled after 10 GiB in prod, 1 GiB in dev."
  }
}
