output "workgroup" {
  description = "The workgroup with all its settings."
  value       = aws_athena_workgroup.this
}
