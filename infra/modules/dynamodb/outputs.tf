output "table" {
  description = "The table with all its settings."
  value       = aws_dynamodb_table.this
}
