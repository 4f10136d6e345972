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

# Repositories keep every image otherwise. Rolling back needs the last ones.
resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "The newest hundred images."
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 100 }
      action       = { type = "expire" }
    }]
  })
}

# Before the cluster, which would otherwise make one that keeps figures for ever.
resource "aws_cloudwatch_log_group" "insights" {
  name              = "/aws/ecs/containerinsights/${var.name}/performance"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# What is typed in a shell of a container. Forwarding a port leaves no text.
resource "aws_cloudwatch_log_group" "shells" {
  name              = "/ecs/${var.name}/shells"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  configuration {
    execute_command_configuration {
      logging = "OVERRIDE"

      log_configuration {
        cloud_watch_log_group_name = aws_cloudwatch_log_group.shells.name
      }
    }
  }

  depends_on = [aws_cloudwatch_log_group.insights]
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
  # a task that is just stopping would hold it
  force_destroy = true

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

  # by way of JSON: not every edition of the provider's schema lists what RDS answers with. An ARN is no secret, and would
  # make the whole task definition one.
  database_secret_arn = nonsensitive(jsondecode(jsonencode(aws_db_instance.this)).master_user_secret[0].secret_arn)
  with_database       = ["code", "daemon", "webserver"]

  # the run task has no command of its own: the run launcher gives it one
  tasks = merge(
    {
      code = {
        command = ["dagster", "code-server", "start", "-h", "0.0.0.0", "-p", "4000", "-m", "stock_pipeline.definitions"]
        role    = "work"
        cpu     = 512
        memory  = 2048
        healthy = ["dagster", "api", "grpc-health-check", "-p", "4000"]
      }
      webserver = {
        command = ["dagster-webserver", "-h", "0.0.0.0", "-p", "3000", "-w", "workspace.yaml"]
        role    = "control"
        cpu     = 512
        memory  = 1024
        healthy = ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:3000/server_info', timeout=10)"]
      }
      daemon = {
        command = ["dagster-daemon", "run", "-w", "workspace.yaml"]
        role    = "control"
        cpu     = 512
        memory  = 1024
        healthy = ["dagster-daemon", "liveness-check"]
      }
      run = {
        command = ["dagster", "--version"]
        role    = "work"
        cpu     = var.sizes.run_cpu
        memory  = var.sizes.run_memory_mb
        healthy = null
      }
    },
    var.stream_producer_command == null ? {} : {
      stream-producer = {
        command = var.stream_producer_command
        role    = "produce"
        cpu     = var.sizes.stream_cpu
        memory  = var.sizes.stream_memory_mb
        healthy = null
      }
    },
    var.page == null ? {} : {
      page = {
        command = local.page_command
        role    = "page"
        cpu     = var.sizes.page_cpu
        memory  = var.sizes.page_memory_mb
        healthy = ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:${local.page_port}/', timeout=10)"]
      }
    },
  )
  services = [for key in keys(local.tasks) : key if key != "run"]

  environment = merge(var.environment, {
    DAGSTER_CODE_HOST           = "code.${local.dns_zone}"
    DAGSTER_POSTGRES_HOST       = aws_db_instance.this.address
    DAGSTER_POSTGRES_DB         = aws_db_instance.this.db_name
    DAGSTER_POSTGRES_USER       = aws_db_instance.this.username
    DAGSTER_POSTGRES_CA         = var.partition == "aws-us-gov" ? "/opt/dagster/rds-ca-us-gov.pem" : "/opt/dagster/rds-ca.pem"
    DAGSTER_RUN_TASK_DEFINITION = "${var.name}-run"
    # dbt's compiled models and logs
    DBT_TARGET_PATH = "/scratch/dbt"
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

  dynamic "ephemeral_storage" {
    for_each = each.key == "run" ? [var.sizes.run_disk_gb] : []
    content {
      size_in_gib = ephemeral_storage.value
    }
  }

  # the only places to write; the image says whose they are
  dynamic "volume" {
    for_each = local.writable
    content {
      name = volume.key
    }
  }

  container_definitions = jsonencode(local.containers[each.key])
}

locals {
  writable     = { tmp = "/tmp", scratch = "/scratch" }
  mount_points = [for name, path in local.writable : { sourceVolume = name, containerPath = path, readOnly = false }]
  containers = { for key, task in local.tasks : key => concat(
    [merge(
      {
        name             = key
        image            = local.image
        command          = task.command
        user             = "10001"
        essential        = true
        environment      = [for name, value in merge(local.environment, key == "page" ? local.page_rules : {}) : { name = name, value = value }]
        linuxParameters  = { initProcessEnabled = true }
        mountPoints      = local.mount_points
        logConfiguration = local.log_configuration[key]
        # Session Manager's agent writes into the container that it opens
        readonlyRootFilesystem = key != "webserver"
      },
      # a run is started by who is logged in already
      contains(local.with_database, key) ? { dependsOn = [{ containerName = "database-login", condition = "SUCCESS" }] } : {},
      task.healthy == null ? {} : {
        healthCheck = { command = concat(["CMD"], task.healthy), interval = 60, timeout = 30, retries = 3, startPeriod = 180 }
      },
    )],
    # Lets Dagster log in with its role. It alone sees the database's password, as it is when the task starts.
    !contains(local.with_database, key) ? [] : [{
      name                   = "database-login"
      image                  = local.image
      command                = ["python", "database_login.py"]
      user                   = "10001"
      essential              = false
      environment            = [for name, value in local.environment : { name = name, value = value } if startswith(name, "DAGSTER_POSTGRES_") || name == "AWS_REGION"]
      secrets                = [{ name = "DATABASE_LOGIN", valueFrom = local.database_secret_arn }]
      mountPoints            = local.mount_points
      logConfiguration       = local.log_configuration[key]
      readonlyRootFilesystem = true
    }],
  ) }
  log_configuration = { for key in keys(local.tasks) : key => {
    logDriver = "awslogs"
    options = {
      "awslogs-group"         = aws_cloudwatch_log_group.this[key].name
      "awslogs-region"        = var.aws_region
      "awslogs-stream-prefix" = key
    }
  } }
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
    security_groups  = concat([aws_security_group.tasks.id], each.key == "page" ? [aws_security_group.page["page"].id] : [])
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = each.key == "page" ? [aws_lb_target_group.page["page"].arn] : []
    content {
      target_group_arn = load_balancer.value
      container_name   = "page"
      container_port   = local.page_port
    }
  }

  dynamic "service_registries" {
    for_each = each.key == "code" ? [aws_service_discovery_service.code.arn] : []
    content {
      registry_arn = service_registries.value
    }
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.task, aws_lb_listener.page]
}
