# Table, buckets, secrets, catalog and workgroup.
variables {
  packages_file = "tests/packages.json"
  alert_email   = "alarms@example.com"
}

mock_provider "aws" {
  source = "./tests/aws"
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
    condition     = module.state.table.server_side_encryption[0].enabled == true
    error_message = "The table is encrypted with a KMS key."
  }
}

run "buckets" {
  command = plan

  assert {
    condition     = module.lake.bucket.bucket.force_destroy == (var.environment != "prod")
    error_message = "prod's bucket is never emptied by Terraform."
  }
  assert {
    condition = alltrue([for bucket in [module.lake.bucket, module.artifacts.bucket] :
      bucket.lifecycle.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7 &&
      bucket.lifecycle.rule[0].noncurrent_version_expiration[0].noncurrent_days == 30 &&
      bucket.lifecycle.rule[0].expiration[0].expired_object_delete_marker == true
    ])
    error_message = "Unfinished uploads, old versions and what marks their end go away."
  }
  assert {
    condition     = [for rule in module.lake.bucket.lifecycle.rule : rule.id if length(rule.expiration) == 0] == ["curated"]
    error_message = "Curated trades never expire."
  }
  assert {
    condition     = [for rule in module.lake.bucket.lifecycle.rule : rule.filter[0].and[0].tags if rule.id == "raw"] == [tomap({ compacted = "true" })]
    error_message = "Of raw trades only those expire that have the tag of garbage collection."
  }
}

run "secrets" {
  command = plan

  assert {
    condition     = alltrue([for secret in module.secrets.secrets : secret.recovery_window_in_days == (var.environment == "prod" ? 30 : 0)])
    error_message = "prod's secrets can be brought back for 30 days."
  }
}

run "catalog" {
  command = plan

  assert {
    condition     = length([for name in keys(module.catalog.tables["trades"].parameters) : name if startswith(name, "projection")]) == 0
    error_message = "trades has no partition projection: Athena would ignore the registered locations."
  }
  assert {
    condition     = module.catalog.schema.compatibility == "BACKWARD" && module.catalog.schema.data_format == "JSON"
    error_message = "The contract may only grow."
  }
  assert {
    condition     = module.catalog.schema.schema_definition == file("../contracts/trade.v2.schema.json")
    error_message = "The registry holds the contract file."
  }
}

run "workgroup" {
  command = plan

  assert {
    condition     = module.athena.workgroup.configuration[0].bytes_scanned_cutoff_per_query < module.athena_of_the_pipeline.workgroup.configuration[0].bytes_scanned_cutoff_per_query
    error_message = "What stops a slip of the hand does not stop a compaction."
  }

  assert {
    condition     = module.athena.workgroup.configuration[0].enforce_workgroup_configuration == true
    error_message = "The workgroup's settings are enforced."
  }
  assert {
    condition     = module.athena.workgroup.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == (var.environment == "prod" ? "SSE_KMS" : "SSE_S3")
    error_message = "Results are encrypted."
  }
}

run "a_cutoff_that_stops_compaction_by_athena_is_refused" {
  command = plan
  variables {
    athena_scan_cutoff_bytes    = 19999999999
    athena_compaction_megabytes = 5000
  }
  expect_failures = [var.athena_scan_cutoff_bytes]
}
