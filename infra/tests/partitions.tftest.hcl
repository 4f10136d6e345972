# Another partition than the commercial one: GovCloud, whose names are other and which has no budgets.
variables {
  packages_file           = "tests/packages.json"
  alert_email             = "alarms@example.com"
  aws_region              = "us-gov-west-1"
  dagster_enabled         = true
  customer_key            = true
  stream_producer_command = ["stock-pipeline", "stream"]
}

mock_provider "aws" {
  source = "./tests/aws"

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-us-gov" }
  }
}

run "govcloud" {
  command = plan

  assert {
    condition = alltrue([
      for text in [
        jsonencode(module.dagster[0].policies), jsonencode(module.dagster[0].endpoint_policies), jsonencode(module.processor.policy),
        jsonencode(module.lake.bucket.policy), jsonencode(module.observability.topic_policy), jsonencode(module.scheduler.policy),
        jsonencode(module.dlq.policy), aws_kms_key.data[0].policy,
      ] : !strcontains(text, "arn:aws:")
    ])
    error_message = "Every ARN is of the partition."
  }
  assert {
    condition     = module.observability.budgets == 0 && !strcontains(jsonencode(module.observability.topic_policy), "budgets.")
    error_message = "What an account costs is told in the standard account that pays for it."
  }
  assert {
    condition     = !strcontains(aws_kms_key.data[0].policy, "budgets.")
    error_message = "A key's policy names services that the partition has."
  }
  assert {
    condition = alltrue([for containers in module.dagster[0].containers :
      [for entry in containers[0].environment : entry.value if entry.name == "DAGSTER_POSTGRES_CA"] == ["/opt/dagster/rds-ca-us-gov.pem"]
    ])
    error_message = "The database's certificate is of the partition's own authority."
  }
}
