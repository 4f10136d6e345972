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
    condition     = toset(keys(aws_iam_role.github)) == toset(flatten([for environment in ["dev", "prod"] : [for job in ["image", "plan", "apply", "smoke"] : "${environment}-${job}"]]))
    error_message = "Each environment has roles of its own."
  }
  assert {
    condition = alltrue([for role in aws_iam_role.github :
      endswith(jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"], ":ref:refs/heads/main")
    ])
    error_message = "Roles are taken from main only."
  }
}

run "an_account_that_has_the_provider" {
  command = plan
  variables {
    github_repository    = "owner/name"
    create_oidc_provider = false
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && length(aws_iam_role.github) == 8
    error_message = "An identity provider that is there is used."
  }
}

run "an_environment_whose_roles_would_be_githubs_is_refused" {
  command = plan
  variables {
    environments = ["dev", "github"]
  }
  expect_failures = [var.environments]
}
