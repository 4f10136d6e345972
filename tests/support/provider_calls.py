"""What Terraform's AWS provider asks to read and to make a resource, by type: for the roles that plan and apply.

Actions are those of the API calls that the provider's resources make (hashicorp/terraform-provider-aws,
internal/service); the resource is the ARN that the service's page of the Service Authorization Reference names:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

ACCOUNT = "123456789012"
ANY = "*"


class Ask(NamedTuple):
    """What is asked: an action on a resource."""

    action: str
    resource: str


class Calls(NamedTuple):
    """arn: with fields of the resource's planned values, and region and account; `*` where a service knows none."""

    arn: str
    read: str
    make: str


ROLE = "arn:aws:iam::{account}:role/{name}"
BUCKET = "arn:aws:s3:::{bucket}"
LOG_GROUP = "arn:aws:logs:{region}:{account}:log-group:{name}"

CALLS: dict[str, Calls] = {
    "aws_athena_workgroup": Calls(
        "arn:aws:athena:{region}:{account}:workgroup/{name}",
        "athena:GetWorkGroup athena:ListTagsForResource",
        "athena:CreateWorkGroup athena:UpdateWorkGroup athena:TagResource",
    ),
    "aws_budgets_budget": Calls(
        "arn:aws:budgets::{account}:budget/{name}",
        "budgets:ViewBudget budgets:ListTagsForResource",
        "budgets:ModifyBudget budgets:TagResource",
    ),
    "aws_cloudwatch_dashboard": Calls(
        "arn:aws:cloudwatch::{account}:dashboard/{dashboard_name}", "cloudwatch:GetDashboard", "cloudwatch:PutDashboard"
    ),
    "aws_cloudwatch_log_group": Calls(
        LOG_GROUP, "logs:ListTagsForResource", "logs:CreateLogGroup logs:PutRetentionPolicy logs:TagResource"
    ),
    "aws_cloudwatch_metric_alarm": Calls(
        "arn:aws:cloudwatch:{region}:{account}:alarm:{alarm_name}",
        "cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource",
        "cloudwatch:PutMetricAlarm cloudwatch:TagResource",
    ),
    "aws_db_instance": Calls(
        "arn:aws:rds:{region}:{account}:db:{identifier}",
        "rds:DescribeDBInstances rds:ListTagsForResource",
        "rds:CreateDBInstance rds:ModifyDBInstance rds:AddTagsToResource",
    ),
    "aws_db_subnet_group": Calls(
        "arn:aws:rds:{region}:{account}:subgrp:{name}",
        "rds:DescribeDBSubnetGroups rds:ListTagsForResource",
        "rds:CreateDBSubnetGroup rds:AddTagsToResource",
    ),
    "aws_default_security_group": Calls(
        ANY, "ec2:DescribeSecurityGroups", "ec2:RevokeSecurityGroupIngress ec2:CreateTags"
    ),
    "aws_dynamodb_table": Calls(
        "arn:aws:dynamodb:{region}:{account}:table/{name}",
        "dynamodb:DescribeTable dynamodb:DescribeContinuousBackups dynamodb:DescribeTimeToLive "
        "dynamodb:ListTagsOfResource",
        "dynamodb:CreateTable dynamodb:UpdateTimeToLive dynamodb:UpdateContinuousBackups dynamodb:TagResource",
    ),
    "aws_ecr_lifecycle_policy": Calls(
        "arn:aws:ecr:{region}:{account}:repository/{repository}", "ecr:GetLifecyclePolicy", "ecr:PutLifecyclePolicy"
    ),
    "aws_ecr_repository": Calls(
        "arn:aws:ecr:{region}:{account}:repository/{name}",
        "ecr:DescribeRepositories ecr:ListTagsForResource",
        "ecr:CreateRepository ecr:PutImageScanningConfiguration ecr:TagResource",
    ),
    "aws_ecs_cluster": Calls(
        "arn:aws:ecs:{region}:{account}:cluster/{name}", "ecs:DescribeClusters", "ecs:CreateCluster ecs:TagResource"
    ),
    "aws_ecs_service": Calls(
        "arn:aws:ecs:{region}:{account}:service/stock-pipeline-prod-dagster/{name}",
        "ecs:DescribeServices",
        "ecs:CreateService ecs:UpdateService ecs:TagResource",
    ),
    "aws_ecs_task_definition": Calls(
        "arn:aws:ecs:{region}:{account}:task-definition/{family}:1",
        "ecs:DescribeTaskDefinition",
        "ecs:RegisterTaskDefinition ecs:TagResource",
    ),
    "aws_eip": Calls(ANY, "ec2:DescribeAddresses", "ec2:AllocateAddress ec2:CreateTags"),
    "aws_glue_catalog_database": Calls(
        "arn:aws:glue:{region}:{account}:database/{name}",
        "glue:GetDatabase glue:GetTags",
        "glue:CreateDatabase glue:TagResource",
    ),
    "aws_glue_catalog_table": Calls(
        "arn:aws:glue:{region}:{account}:table/{database_name}/{name}",
        "glue:GetTable glue:GetPartitionIndexes",
        "glue:CreateTable glue:UpdateTable",
    ),
    "aws_glue_registry": Calls(
        "arn:aws:glue:{region}:{account}:registry/{registry_name}",
        "glue:GetRegistry glue:GetTags",
        "glue:CreateRegistry glue:TagResource",
    ),
    "aws_glue_schema": Calls(
        "arn:aws:glue:{region}:{account}:schema/{registry}/{schema_name}",
        "glue:GetSchema glue:GetSchemaVersion",
        "glue:CreateSchema glue:RegisterSchemaVersion glue:TagResource",
    ),
    "aws_iam_role": Calls(
        ROLE, "iam:GetRole iam:ListRolePolicies iam:ListAttachedRolePolicies", "iam:CreateRole iam:TagRole iam:PassRole"
    ),
    "aws_iam_role_policy": Calls(
        "arn:aws:iam::{account}:role/stock-pipeline-{environment}-x", "iam:GetRolePolicy", "iam:PutRolePolicy"
    ),
    "aws_internet_gateway": Calls(
        ANY, "ec2:DescribeInternetGateways", "ec2:CreateInternetGateway ec2:AttachInternetGateway ec2:CreateTags"
    ),
    "aws_kinesis_stream": Calls(
        "arn:aws:kinesis:{region}:{account}:stream/{name}",
        "kinesis:DescribeStreamSummary kinesis:ListTagsForStream",
        "kinesis:CreateStream kinesis:IncreaseStreamRetentionPeriod kinesis:StartStreamEncryption "
        "kinesis:AddTagsToStream kinesis:EnableEnhancedMonitoring",
    ),
    "aws_kms_alias": Calls("arn:aws:kms:{region}:{account}:{name}", "", "kms:CreateAlias"),
    "aws_kms_key": Calls(
        "arn:aws:kms:{region}:{account}:key/0000",
        "kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags",
        "kms:CreateKey kms:EnableKeyRotation kms:PutKeyPolicy kms:TagResource",
    ),
    # with tags of its own, beside the function's: https://docs.aws.amazon.com/lambda/latest/dg/tags-esm.html
    "aws_lambda_event_source_mapping": Calls(
        "arn:aws:lambda:{region}:{account}:event-source-mapping:0000",
        "lambda:GetEventSourceMapping lambda:ListTags",
        "lambda:CreateEventSourceMapping lambda:TagResource",
    ),
    "aws_lambda_function": Calls(
        "arn:aws:lambda:{region}:{account}:function:{function_name}",
        "lambda:GetFunction lambda:ListVersionsByFunction lambda:GetFunctionCodeSigningConfig lambda:ListTags",
        "lambda:CreateFunction lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration "
        "lambda:PutFunctionConcurrency lambda:TagResource",
    ),
    "aws_lambda_function_event_invoke_config": Calls(
        "arn:aws:lambda:{region}:{account}:function:{function_name}",
        "lambda:GetFunctionEventInvokeConfig",
        "lambda:PutFunctionEventInvokeConfig",
    ),
    # of the page, where one is served. What a listener is made of is asked for on its balancer.
    "aws_lb": Calls(
        "arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/app/{name}/0000",
        "elasticloadbalancing:DescribeLoadBalancers elasticloadbalancing:DescribeLoadBalancerAttributes "
        "elasticloadbalancing:DescribeTags",
        "elasticloadbalancing:CreateLoadBalancer elasticloadbalancing:ModifyLoadBalancerAttributes "
        "elasticloadbalancing:CreateListener elasticloadbalancing:AddTags",
    ),
    "aws_lb_listener": Calls(
        "arn:aws:elasticloadbalancing:{region}:{account}:listener/app/{name}/0000/0000",
        "elasticloadbalancing:DescribeListeners elasticloadbalancing:DescribeListenerAttributes "
        "elasticloadbalancing:DescribeTags",
        "elasticloadbalancing:ModifyListener elasticloadbalancing:ModifyListenerAttributes "
        "elasticloadbalancing:AddTags",
    ),
    "aws_lb_target_group": Calls(
        "arn:aws:elasticloadbalancing:{region}:{account}:targetgroup/{name}/0000",
        "elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetGroupAttributes "
        "elasticloadbalancing:DescribeTags",
        "elasticloadbalancing:CreateTargetGroup elasticloadbalancing:ModifyTargetGroupAttributes "
        "elasticloadbalancing:AddTags",
    ),
    "aws_nat_gateway": Calls(ANY, "ec2:DescribeNatGateways", "ec2:CreateNatGateway ec2:CreateTags"),
    "aws_route_table": Calls(ANY, "ec2:DescribeRouteTables", "ec2:CreateRouteTable ec2:CreateRoute ec2:CreateTags"),
    "aws_route_table_association": Calls(ANY, "ec2:DescribeRouteTables", "ec2:AssociateRouteTable"),
    "aws_s3_bucket": Calls(
        BUCKET,
        "s3:ListBucket s3:GetBucketAcl s3:GetBucketCORS s3:GetBucketVersioning s3:GetBucketLogging s3:GetBucketTagging "
        "s3:GetBucketPolicy s3:GetBucketWebsite s3:GetBucketRequestPayment s3:GetAccelerateConfiguration "
        "s3:GetLifecycleConfiguration s3:GetReplicationConfiguration s3:GetEncryptionConfiguration "
        "s3:GetBucketObjectLockConfiguration",
        "s3:CreateBucket s3:PutBucketTagging",
    ),
    "aws_s3_bucket_lifecycle_configuration": Calls(
        BUCKET, "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"
    ),
    "aws_s3_bucket_notification": Calls(BUCKET, "s3:GetBucketNotification", "s3:PutBucketNotification"),
    "aws_s3_bucket_ownership_controls": Calls(BUCKET, "s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
    "aws_s3_bucket_policy": Calls(BUCKET, "s3:GetBucketPolicy", "s3:PutBucketPolicy"),
    "aws_s3_bucket_public_access_block": Calls(
        BUCKET, "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"
    ),
    "aws_s3_bucket_server_side_encryption_configuration": Calls(
        BUCKET, "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration"
    ),
    "aws_s3_bucket_versioning": Calls(BUCKET, "s3:GetBucketVersioning", "s3:PutBucketVersioning"),
    # a HEAD of the object; the review found that a plan could not refresh it
    "aws_s3_object": Calls(
        "arn:aws:s3:::{bucket}/{key}",
        "s3:GetObject s3:GetObjectTagging",
        "s3:PutObject s3:PutObjectTagging s3:DeleteObject",
    ),
    "aws_scheduler_schedule": Calls(
        "arn:aws:scheduler:{region}:{account}:schedule/{group_name}/{name}",
        "scheduler:GetSchedule",
        "scheduler:CreateSchedule scheduler:UpdateSchedule",
    ),
    "aws_scheduler_schedule_group": Calls(
        "arn:aws:scheduler:{region}:{account}:schedule-group/{name}",
        "scheduler:GetScheduleGroup scheduler:ListTagsForResource",
        "scheduler:CreateScheduleGroup scheduler:TagResource",
    ),
    "aws_secretsmanager_secret": Calls(
        "arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf",
        "secretsmanager:DescribeSecret secretsmanager:GetResourcePolicy",
        "secretsmanager:CreateSecret secretsmanager:TagResource",
    ),
    "aws_security_group": Calls(
        ANY, "ec2:DescribeSecurityGroups", "ec2:CreateSecurityGroup ec2:AuthorizeSecurityGroupIngress ec2:CreateTags"
    ),
    "aws_service_discovery_private_dns_namespace": Calls(
        ANY,
        "servicediscovery:GetNamespace servicediscovery:ListTagsForResource",
        "servicediscovery:CreatePrivateDnsNamespace servicediscovery:GetOperation servicediscovery:TagResource "
        "route53:CreateHostedZone",
    ),
    "aws_service_discovery_service": Calls(
        ANY, "servicediscovery:GetService", "servicediscovery:CreateService servicediscovery:TagResource"
    ),
    "aws_sns_topic": Calls(
        "arn:aws:sns:{region}:{account}:{name}",
        "sns:GetTopicAttributes sns:ListTagsForResource",
        "sns:CreateTopic sns:SetTopicAttributes sns:TagResource",
    ),
    "aws_sns_topic_policy": Calls(
        "arn:aws:sns:{region}:{account}:stock-pipeline-{environment}-alarms",
        "sns:GetTopicAttributes",
        "sns:SetTopicAttributes",
    ),
    "aws_sns_topic_subscription": Calls(
        "arn:aws:sns:{region}:{account}:stock-pipeline-{environment}-alarms",
        "sns:GetSubscriptionAttributes",
        "sns:Subscribe",
    ),
    "aws_sqs_queue": Calls(
        "arn:aws:sqs:{region}:{account}:{name}",
        "sqs:GetQueueAttributes sqs:ListQueueTags",
        "sqs:CreateQueue sqs:SetQueueAttributes sqs:TagQueue",
    ),
    "aws_sqs_queue_policy": Calls(
        "arn:aws:sqs:{region}:{account}:stock-pipeline-{environment}-dead-letter",
        "sqs:GetQueueAttributes",
        "sqs:SetQueueAttributes",
    ),
    "aws_subnet": Calls(ANY, "ec2:DescribeSubnets", "ec2:CreateSubnet ec2:CreateTags"),
    "aws_vpc": Calls(
        ANY, "ec2:DescribeVpcs ec2:DescribeVpcAttribute", "ec2:CreateVpc ec2:ModifyVpcAttribute ec2:CreateTags"
    ),
    "aws_vpc_endpoint": Calls(
        ANY, "ec2:DescribeVpcEndpoints", "ec2:CreateVpcEndpoint ec2:ModifyVpcEndpoint ec2:CreateTags"
    ),
    "terraform_data": Calls(ANY, "", ""),  # lives in the state alone
}

UNTAGGED = frozenset(
    {
        "aws_cloudwatch_dashboard",
        "aws_ecr_lifecycle_policy",
        "aws_glue_catalog_table",
        "aws_iam_role_policy",
        "aws_kms_alias",
        "aws_lambda_function_event_invoke_config",
        "aws_route_table_association",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_notification",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_server_side_encryption_configuration",
        "aws_s3_bucket_versioning",
        "aws_scheduler_schedule",
        "aws_sns_topic_policy",
        "aws_sns_topic_subscription",
        "aws_sqs_queue_policy",
        "terraform_data",
    }
)
"""Types without tags in the provider's schema. All others get its default tags, for which services ask a right."""


def asked(resource: dict[str, Any], environment: str, make: bool) -> Iterator[Ask]:
    """Yield what the provider asks to refresh a planned resource, or to make it."""
    calls = CALLS[resource["type"]]
    values = resource["values"]
    bucket = values.get("bucket") or f"stock-historical-data-{environment}-artifacts"
    fields = {
        **{name: value for name, value in values.items() if isinstance(value, str)},
        "bucket": bucket,
        "account": ACCOUNT,
        "region": "us-east-1",
        "environment": environment,
        "registry": f"stock-pipeline-{environment}",
    }
    if resource["type"] in ("aws_ecr_lifecycle_policy",):
        fields.setdefault("repository", f"stock-pipeline-{environment}-dagster")
    if resource["type"] == "aws_lambda_function_event_invoke_config":
        fields.setdefault("function_name", f"stock-pipeline-{environment}-producer")
    for action in (calls.make if make else calls.read).split():
        yield Ask(action, calls.arn.format(**fields))
