output "state_bucket" {
  description = "Bucket of the state: what STATE_BUCKET is for make deploy."
  value       = module.state.id
}

output "role_arns" {
  description = "Roles of GitHub Actions, by environment and job: dev-plan is the PLAN_ROLE_ARN of the environment dev-plan."
  value       = { for key, role in aws_iam_role.github : key => role.arn }
}
