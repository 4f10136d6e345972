output "settings" {
  description = "Environment of every process of the pipeline, for a Dagster or a shell of your own."
  value       = merge(local.settings, { AWS_REGION = var.aws_region })
}

output "functions" {
  description = "Names of the functions."
  value       = local.function_names
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = module.dlq.url
}

output "secret_names" {
  description = "Secrets whose values are to be stored by hand."
  value       = sort(keys(module.secrets.arns))
}

output "artifacts_bucket" {
  description = "Bucket of the functions' packages."
  value       = module.artifacts.id
}

output "alarm_topic_arn" {
  description = "Topic that alarms and the budget publish to."
  value       = module.observability.topic_arn
}

output "dagster" {
  description = "Dagster's repository, cluster, image and services; nothing where it does not run."
  value = one([for dagster in module.dagster : {
    repository_url   = dagster.repository_url
    cluster          = dagster.cluster_name
    image_digest     = var.dagster_image_digest
    task_definitions = dagster.task_definitions
  }])
}

output "page" {
  description = "Where the live page's load balancer is, for a DNS name of yours; nothing where there is none."
  value       = one([for dagster in module.dagster : dagster.page])
}

output "readers_policy" {
  description = "IAM policy of who only reads: Athena, the lake's prices, the realtime table. Attach it to a role of yours."
  value       = jsonencode({ Version = "2012-10-17", Statement = local.statements.readers })
}
