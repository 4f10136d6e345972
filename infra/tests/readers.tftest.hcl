# The policy of who only reads.
variables {
  packages_file = "tests/packages.json"
  alert_email   = "alarms@example.com"
}

mock_provider "aws" {
  source = "./tests/aws"
}

run "readers" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(output.readers_policy).Statement : [
        for action in statement.Action :
        can(regex(":(Get|List|BatchGet|Scan|Decrypt|GenerateDataKey|StartQuery|StopQuery)", action)) ||
        flatten([statement.Resource]) == ["arn:aws:s3:::${var.bucket_name}/athena-results/*"]
      ]
    ]))
    error_message = "Readers write nothing but Athena's answers."
  }
  assert {
    condition = !anytrue([
      for statement in jsondecode(output.readers_policy).Statement : strcontains(jsonencode(statement.Resource), "\"*\"")
    ])
    error_message = "Readers see this pipeline only."
  }
}
