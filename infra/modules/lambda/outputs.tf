output "function" {
  description = "The function with all its settings."
  value       = aws_lambda_function.this
}

output "policy" {
  description = "What the function's role may do."
  value       = jsondecode(aws_iam_role_policy.this.policy)
}

output "invoke_config" {
  description = "How asynchronous invocations are retried."
  value       = aws_lambda_function_event_invoke_config.this
}

output "event_source_mapping" {
  description = "The mapping to the stream, or null."
  value       = one(aws_lambda_event_source_mapping.this)
}
