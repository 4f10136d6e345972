# Dagster on ECS Fargate: a code location, a webserver and a daemon, and a task for each run.
resource "aws_ecr_repository" "this" {
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = !var.protected

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.kms_key_arn
  }

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_cloudwatch_log_group" "this" {
  for_each          = local.tasks
  name              = "/ecs/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# How the webserver and the daemon find the code location.
resource "aws_service_discovery_private_dns_namespace" "this" {
  name = local.dns_zone
  vpc  = aws_vpc.this.id
}

resource "aws_service_discovery_service" "code" {
  name = "code"

  dns_config {
    namespace_id = aws_service_discovery_private_dns_namespace.this.id

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

locals {
  dns_zone = "${var.name}.internal"
  # a digest is what was pushed, whatever a tag says later
  image = "${aws_ecr_repository.this.repository_url}${var.image_digest == null ? ":${var.image_tag}" : "@${var.image_digest}"}"

  # by way of JSON: not every edition of the provider's schema lists what RDS answers with
  database_secret_arn = jsondecode(jsonencode(aws_db_instance.this)).master_user_secret[0].secret_arn

  # the run task has no command of its own: the run launcher gives it one
  tasks = merge(
    {
      code = {
        command = ["dagster", "code-server", "start", "-h", "0.0.0.0", "-p", "4000", "-m", "stock_pipeline.definitions"]
        role    = "work"
        cpu     = 512
        memory  = 2048
      }
      webserver = {
        command = ["dagster-webserver", "-h", "0.0.0.0", "-p", "3000", "-w", "workspace.yaml"]
        role    = "control"
        cpu     = 512
        memory  = 1024
      }
      daemon = {
        command = ["dagster-daemon", "run", "-w", "workspace.yaml"]
        role    = "control"
        cpu     = 512
        memory  = 1024
      }
      run = {
        command = ["dagster", "--version"]
        role    = "work"
        cpu     = var.run_cpu
        memory  = var.run_memory_mb
      }
    },
    var.stream_producer_command == null ? {} : {
      stream-producer = {
        command = var.stream_producer_command
        role    = "produce"
        cpu     = 256
        memory  = 512
      }
    },
  )
  services = [for key in keys(local.tasks) : key if key != "run"]

  environment = merge(var.environment, {
    DAGSTER_CODE_HOST           = "code.${local.dns_zone}"
    DAGSTER_POSTGRES_HOST       = aws_db_instance.this.address
    DAGSTER_POSTGRES_DB         = aws_db_instance.this.db_name
    DAGSTER_POSTGRES_USER       = aws_db_instance.this.username
    DAGSTER_RUN_TASK_DEFINITION = "${var.name}-run"
  })
}

resource "aws_ecs_task_definition" "this" {
  for_each                 = local.tasks
  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  # what a service goes back to, and what a running webserver starts runs from
  skip_destroy       = true
  execution_role_arn = aws_iam_role.execution.arn
  task_role_arn      = aws_iam_role.task[each.value.role].arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  container_definitions = jsonencode([{
    name        = each.key
    image       = local.image
    command     = each.value.command
    essential   = true
    environment = [for name, value in local.environment : { name = name, value = value }]
    secrets = [{
      name      = "DAGSTER_POSTGRES_PASSWORD"
      valueFrom = "${local.database_secret_arn}:password::"
    }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this[each.key].name
        "awslogs-region"        = var.aws_region
        "awslogs-stream-prefix" = each.key
      }
    }
  }])
}

resource "aws_ecs_service" "this" {
  for_each               = toset(local.services)
  name                   = each.key
  cluster                = aws_ecs_cluster.this.id
  task_definition        = aws_ecs_task_definition.this[each.key].arn
  desired_count          = 1
  launch_type            = "FARGATE"
  enable_execute_command = each.key == "webserver"

  # Stop, then start: two daemons would start every run twice, and the price API allows one connection.
  deployment_minimum_healthy_percent = contains(["daemon", "stream-producer"], each.key) ? 0 : 100
  deployment_maximum_percent         = contains(["daemon", "stream-producer"], each.key) ? 100 : 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = [for subnet in aws_subnet.private : subnet.id]
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = false
  }

  dynamic "service_registries" {
    for_each = each.key == "code" ? [aws_service_discovery_service.code.arn] : []
    content {
      registry_arn = service_registries.value
    }
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.task]
}
