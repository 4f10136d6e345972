output "arn" {
  description = "The queue's ARN; waiting for it means waiting for the queue and its policy."
  value       = aws_sqs_queue.this.arn
  depends_on  = [aws_sqs_queue_policy.this]
}

output "url" {
  description = "The queue's URL."
  value       = aws_sqs_queue.this.url
}

output "queue" {
  description = "The queue with all its settings."
  value       = aws_sqs_queue.this
}

output "policy" {
  description = "The queue's policy."
  value       = jsondecode(aws_sqs_queue_policy.this.policy)
}
