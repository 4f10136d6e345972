mock_provider "aws" {
  source = "../infra/tests/aws"
}

variables {
  state_bucket_name = "example-state"
}

run "state" {
  command = plan

  assert {
    condition     = module.state.bucket.versioning.versioning_configuration[0].status == "Enabled"
    error_message = "Every version of the state can be brought back."
  }
  assert {
    condition     = module.state.bucket.bucket.force_destroy == false
    error_message = "The state is never emptied by Terraform."
  }
  assert {
    condition     = length(aws_iam_role.github) == 0
    error_message = "Without a repository there are no roles."
  }
}

run "roles" {
  command = plan
  variables {
    github_repository = "owner/name"
  }

  assert {
    condition = jsondecode(aws_iam_role.github["apply"].assume_role_policy).Statement[0].Condition.StringEquals == {
      "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
      "token.actions.githubusercontent.com:sub" = ["repo:owner/name:environment:dev", "repo:owner/name:environment:prod"]
    }
    error_message = "Only jobs of a protected environment may change anything."
  }
  assert {
    condition     = !contains(jsondecode(aws_iam_role.github["plan"].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"], "repo:owner/name:environment:prod")
    error_message = "A plan's role is not an apply's."
  }
  assert {
    condition     = endswith(aws_iam_role_policy_attachment.github["plan"].policy_arn, "/ReadOnlyAccess")
    error_message = "A plan only reads."
  }
}
