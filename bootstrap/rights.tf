# What GitHub's roles may do, by environment and job. `plan` reads settings of the kinds of resources that are deployed, and
# no data. `apply` makes and changes them. What holds data it can't delete: that is for an administrator (docs/deploy.md).
locals {
  # by kind: where, what a plan reads, and what an apply does beside
  kinds = { for environment, arn in local.arns : environment => {
    storage = {
      Buckets = {
        on    = [arn.lake, arn.artifacts]
        read  = ["s3:ListBucket", "s3:GetBucket*", "s3:Get*Configuration"]
        write = ["s3:CreateBucket", "s3:PutBucket*", "s3:Put*Configuration", "s3:DeleteBucketPolicy"]
      }
      Packages = {
        on    = ["${arn.artifacts}/lambdas/*"]
        read  = ["s3:GetObject", "s3:GetObjectTagging"]
        write = ["s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:DeleteObjectVersion"]
      }
      Stream = {
        on   = [arn.stream]
        read = ["kinesis:DescribeStream*", "kinesis:ListTags*", "kinesis:ListStreamConsumers"]
        write = [
          "kinesis:CreateStream", "kinesis:UpdateShardCount", "kinesis:UpdateStreamMode", "kinesis:*RetentionPeriod",
          "kinesis:*EnhancedMonitoring", "kinesis:*StreamEncryption", "kinesis:*Tag*",
        ]
      }
      Table = {
        on    = [arn.table]
        read  = ["dynamodb:Describe*", "dynamodb:ListTagsOfResource", "dynamodb:GetResourcePolicy"]
        write = ["dynamodb:CreateTable", "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive", "dynamodb:UpdateContinuousBackups", "dynamodb:*agResource"]
      }
      Queues = {
        on    = [arn.queues]
        read  = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags"]
        write = ["sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:*agQueue"]
      }
      Topics = {
        on   = [arn.topics]
        read = ["sns:GetTopicAttributes", "sns:GetSubscriptionAttributes", "sns:ListSubscriptionsByTopic", "sns:ListTagsForResource", "sns:GetDataProtectionPolicy"]
        write = [
          "sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:Unsubscribe",
          "sns:SetSubscriptionAttributes", "sns:*agResource",
        ]
      }
      Secrets = {
        on    = [arn.secrets]
        read  = ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"]
        write = ["secretsmanager:CreateSecret", "secretsmanager:UpdateSecret", "secretsmanager:*agResource"]
      }
      Catalog = {
        on = concat(arn.glue, [
          "${local.in_region[environment].glue}:registry/${local.names[environment]}",
          "${local.in_region[environment].glue}:schema/${local.names[environment]}/*",
        ])
        read = ["glue:GetDatabase", "glue:GetTable", "glue:GetTags", "glue:GetPartitionIndexes", "glue:GetRegistry", "glue:GetSchema*"]
        write = [
          "glue:CreateDatabase", "glue:UpdateDatabase", "glue:CreateTable", "glue:UpdateTable", "glue:DeleteTable", "glue:CreateRegistry",
          "glue:UpdateRegistry", "glue:CreateSchema", "glue:UpdateSchema", "glue:RegisterSchemaVersion", "glue:*agResource",
        ]
      }
      Workgroups = {
        on    = arn.workgroups
        read  = ["athena:GetWorkGroup", "athena:ListTagsForResource"]
        write = ["athena:CreateWorkGroup", "athena:UpdateWorkGroup", "athena:DeleteWorkGroup", "athena:*agResource"]
      }
    }

    compute = {
      Functions = {
        on   = [arn.functions]
        read = ["lambda:GetFunction*", "lambda:GetPolicy", "lambda:ListVersionsByFunction", "lambda:ListTags"]
        write = [
          "lambda:CreateFunction", "lambda:UpdateFunction*", "lambda:DeleteFunction*", "lambda:PutFunction*", "lambda:*agResource",
        ]
      }
      Schedules = {
        on = [
          "${local.in_region[environment].scheduler}:schedule/${local.names[environment]}/*",
          "${local.in_region[environment].scheduler}:schedule-group/${local.names[environment]}",
        ]
        read  = ["scheduler:Get*", "scheduler:ListTagsForResource"]
        write = ["scheduler:CreateSchedule*", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule*", "scheduler:*agResource"]
      }
      Logs = {
        on = [for prefix in [
          "/aws/lambda/${local.names[environment]}-", "/ecs/${arn.dagster}/", "/aws/rds/instance/${arn.dagster}/",
          "/aws/ecs/containerinsights/${arn.dagster}/",
        ] : "${local.in_region[environment].logs}:log-group:${prefix}*"]
        read  = ["logs:ListTagsForResource", "logs:ListTagsLogGroup"]
        write = ["logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:*RetentionPolicy", "logs:*KmsKey", "logs:*agResource"]
      }
      Alarms = {
        on = [
          "${local.in_region[environment].cloudwatch}:alarm:${local.names[environment]}-*",
          "arn:${local.partition}:cloudwatch::${local.account_id}:dashboard/${local.names[environment]}*",
          "arn:${local.partition}:budgets::${local.account_id}:budget/${local.names[environment]}*",
        ]
        read = ["cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource", "cloudwatch:GetDashboard", "budgets:ViewBudget", "budgets:ListTagsForResource"]
        write = [
          "cloudwatch:PutMetricAlarm", "cloudwatch:PutCompositeAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards",
          "cloudwatch:*agResource", "budgets:ModifyBudget", "budgets:*agResource",
        ]
      }
      Roles = {
        on   = arn.roles
        read = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies"]
        write = [
          "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription", "iam:UpdateAssumeRolePolicy", "iam:TagRole", "iam:UntagRole",
          "iam:ListInstanceProfilesForRole",
        ]
      }
    }

    dagster = {
      Images = {
        on    = ["${local.in_region[environment].ecr}:repository/${arn.dagster}"]
        read  = ["ecr:DescribeRepositories", "ecr:DescribeImages", "ecr:GetLifecyclePolicy", "ecr:ListTagsForResource"]
        write = concat(["ecr:CreateRepository", "ecr:PutLifecyclePolicy", "ecr:PutImage*", "ecr:*agResource"], local.push)
      }
      Tasks = {
        on = [for what in ["cluster/${arn.dagster}", "service/${arn.dagster}/*", "task-definition/${arn.dagster}-*"] :
          "${local.in_region[environment].ecs}:${what}"
        ]
        read  = ["ecs:DescribeClusters", "ecs:DescribeServices", "ecs:ListTagsForResource"]
        write = ["ecs:CreateCluster", "ecs:UpdateCluster*", "ecs:PutClusterCapacityProviders", "ecs:CreateService", "ecs:UpdateService", "ecs:DeleteService", "ecs:RegisterTaskDefinition", "ecs:*agResource"]
      }
      # of the live page, where one is served
      Balancer = {
        on = [for what in ["loadbalancer/app", "targetgroup", "listener/app"] :
          "${local.in_region[environment].elasticloadbalancing}:${what}/${local.names[environment]}-page/*"
        ]
        read = ["elasticloadbalancing:DescribeTags"]
        write = [
          "elasticloadbalancing:Create*", "elasticloadbalancing:Modify*", "elasticloadbalancing:Set*", "elasticloadbalancing:Delete*",
          "elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags",
        ]
      }
      Database = {
        on    = [for what in ["db:${arn.dagster}", "subgrp:${arn.dagster}", "og:*", "pg:*"] : "${local.in_region[environment].rds}:${what}"]
        read  = ["rds:DescribeDBInstances", "rds:DescribeDBSubnetGroups", "rds:ListTagsForResource"]
        write = ["rds:CreateDBInstance", "rds:ModifyDBInstance", "rds:CreateDBSubnetGroup", "rds:ModifyDBSubnetGroup", "rds:*agsToResource", "rds:RebootDBInstance"]
      }
    }
  } }

  # Of services that know no resource for what is made, or none before it is there.
  anywhere = {
    read = [
      "ec2:Describe*", "ecs:DescribeTaskDefinition", "kms:ListAliases", "lambda:GetEventSourceMapping", "lambda:ListTags", "logs:DescribeLogGroups",
      "route53:GetHostedZone", "servicediscovery:Get*", "servicediscovery:ListTagsForResource", "sns:GetSubscriptionAttributes",
      "rds:DescribeDBInstances", "ecr:GetAuthorizationToken", "cloudwatch:DescribeAlarms", "elasticloadbalancing:Describe*",
    ]
    write = [
      "servicediscovery:Create*", "servicediscovery:Update*", "servicediscovery:Delete*", "servicediscovery:*agResource", "route53:CreateHostedZone",
      "route53:ListHostedZonesByName", "ec2:AssociateRouteTable", "ec2:DisassociateRouteTable", "ec2:AllocateAddress", "ec2:CreateTags", "ec2:CreateVpc*", "ec2:ModifyVpc*",
      "ec2:CreateSubnet", "ec2:ModifySubnetAttribute", "ec2:CreateRoute*", "ec2:ReplaceRoute*", "ec2:CreateInternetGateway",
      "ec2:AttachInternetGateway", "ec2:CreateNatGateway", "ec2:CreateSecurityGroup", "ec2:*SecurityGroupIngress", "ec2:*SecurityGroupEgress",
      "secretsmanager:CreateSecret", "secretsmanager:TagResource",
    ]
  }

  push = [
    "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload", "ecr:PutImage", "ecr:DescribeImages",
  ]

  # An environment's own key, by the tags that it is made with.
  own_key = { for environment in keys(local.settings) : environment => {
    StringEquals = { "aws:ResourceTag/Project" = var.project_name, "aws:ResourceTag/Environment" = environment }
  } }

  # What is made with an environment's tags. What has another's already can't be taken over by tagging it.
  own_tags = { for environment in keys(local.settings) : environment => {
    StringEquals         = { "aws:RequestTag/Project" = var.project_name, "aws:RequestTag/Environment" = environment }
    StringEqualsIfExists = local.own_key[environment].StringEquals
  } }

  reads = { for environment, groups in local.kinds : environment => { for group, kinds in groups : group => [
    for name, kind in kinds : { Sid = "Read${name}", Effect = "Allow", Action = kind.read, Resource = kind.on }
  ] } }
  writes = { for environment, groups in local.kinds : environment => { for group, kinds in groups : group => [
    for name, kind in kinds : { Sid = "Change${name}", Effect = "Allow", Action = concat(kind.read, kind.write), Resource = kind.on }
  ] } }

  state = { for environment in keys(local.settings) : environment => {
    read = [
      { Sid = "FindState", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.state_arn] },
      { Sid = "ReadState", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.state_arn}/${var.project_name}/${environment}.tfstate"] },
    ]
    # Packages, functions' settings and schedules are encrypted with the environment's key, and read by way of their services.
    settings = [
      {
        Sid       = "ReadEncryptedSettings"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = ["${local.in_region[environment].kms}:key/*"]
        Condition = merge(local.own_key[environment], { StringLike = { "kms:ViaService" = [for service in ["s3", "lambda", "scheduler"] : "${service}.*.amazonaws.com"] } })
      },
      {
        Sid       = "ReadOwnKey"
        Effect    = "Allow"
        Action    = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"]
        Resource  = ["${local.in_region[environment].kms}:key/*"]
        Condition = local.own_key[environment]
      },
    ]
  } }

  rights = { for environment, arn in local.arns : environment => {
    image = {
      push = concat(local.state[environment].read, [
        { Sid = "LogIn", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = "*" },
        { Sid = "Push", Effect = "Allow", Action = local.push, Resource = ["${local.in_region[environment].ecr}:repository/${arn.dagster}"] },
      ])
    }

    plan = {
      settings = concat(
        local.state[environment].read, local.state[environment].settings, local.reads[environment].compute, local.reads[environment].dagster,
        [
          { Sid = "KeepPlans", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${local.state_arn}/plans/${environment}/*"] },
          { Sid = "LookAround", Effect = "Allow", Action = local.anywhere.read, Resource = "*" },
        ],
      )
      storage = local.reads[environment].storage
    }

    apply = {
      storage = local.writes[environment].storage
      compute = local.writes[environment].compute
      dagster = concat(local.writes[environment].dagster, [
        { Sid = "Anywhere", Effect = "Allow", Action = concat(local.anywhere.read, local.anywhere.write), Resource = "*" },
      ])
      rest = concat(
        local.state[environment].read, local.state[environment].settings,
        [
          {
            Sid    = "WriteState"
            Effect = "Allow"
            Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
            Resource = [for name in ["${var.project_name}/${environment}.tfstate", "${var.project_name}/${environment}.tfstate.tflock"] :
              "${local.state_arn}/${name}"
            ]
          },
          { Sid = "TakeThePlan", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.state_arn}/plans/${environment}/*"] },
          {
            # roles within the boundary, and none without
            Sid       = "MakeRolesWithinTheBoundary"
            Effect    = "Allow"
            Action    = ["iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"]
            Resource  = arn.roles
            Condition = { StringEquals = { "iam:PermissionsBoundary" = arn.boundary } }
          },
          {
            Sid       = "PassRoles"
            Effect    = "Allow"
            Action    = ["iam:PassRole"]
            Resource  = arn.roles
            Condition = { StringEquals = { "iam:PassedToService" = ["lambda.amazonaws.com", "scheduler.amazonaws.com", "ecs-tasks.amazonaws.com"] } }
          },
          {
            Sid       = "LetServicesMakeTheirOwnRoles"
            Effect    = "Allow"
            Action    = ["iam:CreateServiceLinkedRole"]
            Resource  = "arn:${local.partition}:iam::${local.account_id}:role/aws-service-role/*"
            Condition = { StringEquals = { "iam:AWSServiceName" = ["ecs.amazonaws.com", "rds.amazonaws.com", "elasticloadbalancing.amazonaws.com"] } }
          },
          {
            Sid       = "MapTheStream"
            Effect    = "Allow"
            Action    = ["lambda:CreateEventSourceMapping", "lambda:UpdateEventSourceMapping", "lambda:DeleteEventSourceMapping"]
            Resource  = "*"
            Condition = { ArnLike = { "lambda:FunctionArn" = arn.functions } }
          },
          {
            Sid       = "MakeTheKey"
            Effect    = "Allow"
            Action    = ["kms:CreateKey", "kms:TagResource"]
            Resource  = "*"
            Condition = local.own_tags[environment]
          },
          {
            # mappings have tags of their own, and names that nobody chose
            Sid       = "TagTheMapping"
            Effect    = "Allow"
            Action    = ["lambda:TagResource"]
            Resource  = ["${local.in_region[environment].lambda}:event-source-mapping:*"]
            Condition = local.own_tags[environment]
          },
          {
            Sid       = "ChangeTheKey"
            Effect    = "Allow"
            Action    = ["kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:UpdateKeyDescription", "kms:CreateAlias", "kms:CreateGrant", "kms:GenerateDataKey*", "kms:Encrypt"]
            Resource  = ["${local.in_region[environment].kms}:key/*"]
            Condition = local.own_key[environment]
          },
          {
            Sid      = "NameTheKey"
            Effect   = "Allow"
            Action   = ["kms:CreateAlias", "kms:UpdateAlias"]
            Resource = ["${local.in_region[environment].kms}:alias/${local.names[environment]}"]
          },
        ],
      )
    }

    # what `stock-pipeline smoke` does: one trade, followed through stream, lake, table and a query
    smoke = {
      follow = [
        {
          Sid      = "FollowATrade"
          Effect   = "Allow"
          Action   = ["kinesis:PutRecords", "dynamodb:BatchGetItem", "athena:*QueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup", "glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"]
          Resource = concat([arn.stream, arn.table], arn.glue, arn.workgroups)
        },
        { Sid = "FindObjects", Effect = "Allow", Action = ["s3:ListBucket", "s3:GetBucketLocation"], Resource = [arn.lake] },
        { Sid = "ReadTrades", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${arn.lake}/raw/*", "${arn.lake}/athena-results/*"] },
        { Sid = "KeepAnswers", Effect = "Allow", Action = ["s3:PutObject", "s3:AbortMultipartUpload"], Resource = ["${arn.lake}/athena-results/*"] },
        {
          Sid       = "UseTheKey"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = ["${local.in_region[environment].kms}:key/*"]
          Condition = local.own_key[environment]
        },
      ]
    }
  } }
}
