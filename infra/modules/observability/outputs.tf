output "topic_arn" {
  description = "Topic that alarms and the budget publish to."
  value       = aws_sns_topic.this.arn
}

output "topic_policy" {
  description = "Who may publish to the topic."
  value       = jsondecode(aws_sns_topic_policy.this.policy)
}

output "budgets" {
  description = "How many budgets there are."
  value       = length(aws_budgets_budget.monthly)
}

output "alarms" {
  description = "Every alarm with its settings, by name."
  value       = aws_cloudwatch_metric_alarm.this
}

output "dashboard" {
  description = "The dashboard."
  value       = aws_cloudwatch_dashboard.this
}
