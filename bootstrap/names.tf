# Names and ARNs of what each environment holds, from its variables in infra/envs.
locals {
  settings = { for environment in var.environments :
    environment => provider::terraform::decode_tfvars(file("${path.module}/../infra/envs/${environment}.tfvars"))
  }

  names = { for environment, set in local.settings : environment => "${var.project_name}-${environment}" }

  # every region's resources of an environment lie in one
  in_region = { for environment, set in local.settings : environment => {
    for service in [
      "athena", "cloudwatch", "dynamodb", "ecr", "ecs", "glue", "kinesis", "kms", "lambda", "logs", "rds", "rds-db", "scheduler",
      "secretsmanager", "servicediscovery", "sns", "sqs", "ec2", "events", "elasticloadbalancing",
    ] : service => "arn:${local.partition}:${service}:${set.aws_region}:${local.account_id}"
  } }

  arns = { for environment, set in local.settings : environment => {
    roles     = ["arn:${local.partition}:iam::${local.account_id}:role/${local.names[environment]}-*"]
    boundary  = "arn:${local.partition}:iam::${local.account_id}:policy/${local.names[environment]}-boundary"
    lake      = "arn:${local.partition}:s3:::${set.bucket_name}"
    artifacts = "arn:${local.partition}:s3:::${set.bucket_name}-artifacts"
    stream    = "${local.in_region[environment].kinesis}:stream/${set.stream_name}"
    table     = "${local.in_region[environment].dynamodb}:table/${set.state_table_name}"
    queues    = "${local.in_region[environment].sqs}:${local.names[environment]}-*"
    topics    = "${local.in_region[environment].sns}:${local.names[environment]}-*"
    functions = "${local.in_region[environment].lambda}:function:${local.names[environment]}-*"
    secrets   = "${local.in_region[environment].secretsmanager}:secret:${var.project_name}/${environment}/*"
    glue = [for part in ["catalog", "database/${set.database_name}", "table/${set.database_name}/*"] :
      "${local.in_region[environment].glue}:${part}"
    ]
    workgroups = [for suffix in ["", "-*"] : "${local.in_region[environment].athena}:workgroup/${local.names[environment]}${suffix}"]
    dagster    = "${local.names[environment]}-dagster"
  } }
}
