output "arn" {
  description = "The stream's ARN; waiting for it means waiting for the stream."
  value       = aws_kinesis_stream.this.arn
}

output "stream" {
  description = "The stream with all its settings."
  value       = aws_kinesis_stream.this
}
