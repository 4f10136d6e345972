# Who may do what. `execution` starts containers; `control` (webserver, daemon) starts runs. `work` (code location, runs)
# does the work on the lake; `produce` is the long-lived producer; `page` only reads.
locals {
  assume = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })

  logs      = "arn:${var.partition}:logs:${var.aws_region}:${var.account_id}:log-group"
  ecs       = "arn:${var.partition}:ecs:${var.aws_region}:${var.account_id}"
  role_arns = { for role in ["execution", "control", "work", "produce", "page"] : role => "arn:${var.partition}:iam::${var.account_id}:role/${var.name}-${role}" }
  cluster_condition = {
    ArnEquals = { "ecs:cluster" = "${local.ecs}:cluster/${var.name}" }
  }

  statements = {
    control = concat(var.control_statements, local.log_in, [
      {
        Sid       = "StartRuns"
        Effect    = "Allow"
        Action    = ["ecs:RunTask"]
        Resource  = ["${local.ecs}:task-definition/${var.name}-run:*"]
        Condition = local.cluster_condition
      },
      {
        Sid       = "WatchAndStopRuns"
        Effect    = "Allow"
        Action    = ["ecs:StopTask", "ecs:DescribeTasks"]
        Resource  = ["${local.ecs}:task/${var.name}/*"]
        Condition = local.cluster_condition
      },
      {
        # the last lines of a run that died, for its failure's message
        Sid      = "ReadWhatRunsPrinted"
        Effect   = "Allow"
        Action   = ["logs:GetLogEvents"]
        Resource = ["${local.logs}:/ecs/${var.name}/run:*"]
      },
      {
        Sid      = "TagRuns"
        Effect   = "Allow"
        Action   = ["ecs:TagResource"]
        Resource = ["${local.ecs}:task/${var.name}/*"]
      },
      {
        # none of these knows a resource
        Sid      = "LookAtTheNetworkAndTasks"
        Effect   = "Allow"
        Action   = ["ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"]
        Resource = "*"
      },
      {
        Sid       = "GiveRunsTheirRoles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [local.role_arns.execution, local.role_arns.work]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid    = "OpenAShellForForwarding"
        Effect = "Allow"
        Action = [
          "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ]
        Resource = "*"
      },
      {
        Sid      = "KeepWhatIsTypedInAShell"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = ["${local.logs}:/ecs/${var.name}/shells:*"]
      },
      {
        Sid      = "FindTheLogOfShells"
        Effect   = "Allow"
        Action   = ["logs:DescribeLogGroups"]
        Resource = ["${local.logs}:*"]
      },
    ])
    work    = concat(local.log_in, var.work_statements)
    produce = var.produce_statements
    page    = var.page_statements
  }

  # By the user's name: the database's own id is not known before it is there.
  log_in = [{
    Sid      = "LogInToTheDatabase"
    Effect   = "Allow"
    Action   = ["rds-db:connect"]
    Resource = ["arn:${var.partition}:rds-db:${var.aws_region}:${var.account_id}:dbuser:*/dagster"]
  }]
}

resource "aws_iam_role" "execution" {
  name        = "${var.name}-execution"
  description = "Starts Dagster's containers."

  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.assume
}

resource "aws_iam_role_policy" "execution" {
  name = "start-containers"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "LogInToTheRegistry"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = "*"
      },
      {
        Sid      = "PullTheImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = "arn:${var.partition}:ecr:${var.aws_region}:${var.account_id}:repository/${var.name}"
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${var.partition}:logs:${var.aws_region}:${var.account_id}:log-group:/ecs/${var.name}/*"
      },
      {
        Sid      = "ReadTheDatabasesPassword"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = "arn:${var.partition}:secretsmanager:${var.aws_region}:${var.account_id}:secret:rds!db-*"
        Condition = {
          StringEquals = {
            "aws:ResourceTag/aws:rds:primaryDBInstanceArn" = "arn:${var.partition}:rds:${var.aws_region}:${var.account_id}:db:${var.name}"
          }
        }
      },
    ]
  })
}

resource "aws_iam_role" "task" {
  for_each    = local.statements
  name        = "${var.name}-${each.key}"
  description = "What Dagster's ${each.key} tasks may do."

  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.assume
}

resource "aws_iam_role_policy" "task" {
  for_each = local.statements
  name     = each.key
  role     = aws_iam_role.task[each.key].id
  policy   = jsonencode({ Version = "2012-10-17", Statement = each.value })
}
