output "schedules" {
  description = "The schedules with all their settings, by name."
  value       = aws_scheduler_schedule.this
}

output "policy" {
  description = "What the scheduler's role may do."
  value       = jsondecode(aws_iam_role_policy.this.policy)
}
