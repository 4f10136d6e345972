output "arn" {
  description = "The table's ARN; waiting for it means waiting for the table."
  value       = aws_dynamodb_table.this.arn
}

output "table" {
  description = "The table with all its settings."
  value       = aws_dynamodb_table.this
}
