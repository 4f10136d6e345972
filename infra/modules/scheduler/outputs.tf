output "schedules" {
  description = "The schedules with all their settings, by name."
  value       = aws_scheduler_schedule.this
}
