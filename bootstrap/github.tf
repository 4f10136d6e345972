# GitHub Actions gets short-lived credentials by OIDC; no key of the account is stored anywhere.
resource "aws_iam_openid_connect_provider" "github" {
  count          = var.github_repository == null ? 0 : 1
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

locals {
  provider_arn = "arn:${local.partition}:iam::${local.account_id}:oidc-provider/token.actions.githubusercontent.com"
  # who may take which role: pull requests and main may look, only a job of a protected environment may change
  roles = var.github_repository == null ? {} : {
    plan = concat(
      ["repo:${var.github_repository}:pull_request", "repo:${var.github_repository}:ref:refs/heads/main"],
      [for environment in var.environments : "repo:${var.github_repository}:environment:${environment}-plan"],
    )
    apply = [for environment in var.environments : "repo:${var.github_repository}:environment:${environment}"]
  }
}

resource "aws_iam_role" "github" {
  for_each             = local.roles
  name                 = "${var.project_name}-github-${each.key}"
  description          = "Taken by GitHub Actions of ${var.github_repository} to ${each.key}."
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = each.value
        }
      }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy_attachment" "github" {
  for_each   = { for key in keys(local.roles) : key => key == "plan" ? "ReadOnlyAccess" : "PowerUserAccess" }
  role       = aws_iam_role.github[each.key].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.value}"
}

# A plan reads settings, never data.
resource "aws_iam_role_policy" "plan" {
  count = length(local.roles) == 0 ? 0 : 1
  name  = "no-data"
  role  = aws_iam_role.github["plan"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid         = "DenyReadingObjectsOtherThanState"
        Effect      = "Deny"
        Action      = "s3:GetObject*"
        NotResource = "${local.state_arn}/*"
      },
      {
        Sid      = "DenyReadingData"
        Effect   = "Deny"
        Action   = ["secretsmanager:GetSecretValue", "kinesis:GetRecords", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"]
        Resource = "*"
      },
    ]
  })
}

# PowerUserAccess leaves out IAM: the pipeline's own roles, and nothing else of it.
resource "aws_iam_role_policy" "apply" {
  count = length(local.roles) == 0 ? 0 : 1
  name  = "roles-of-the-pipeline"
  role  = aws_iam_role.github["apply"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "ManageRoles"
        Effect = "Allow"
        Action = [
          "iam:CreateRole", "iam:DeleteRole", "iam:GetRole", "iam:UpdateRole", "iam:UpdateRoleDescription", "iam:TagRole",
          "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:GetRolePolicy", "iam:DeleteRolePolicy",
          "iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole",
        ]
        Resource = [for environment in var.environments :
          "arn:${local.partition}:iam::${local.account_id}:role/${var.project_name}-${environment}-*"
        ]
      },
      {
        Sid    = "PassRoles"
        Effect = "Allow"
        Action = ["iam:PassRole"]
        Resource = [for environment in var.environments :
          "arn:${local.partition}:iam::${local.account_id}:role/${var.project_name}-${environment}-*"
        ]
        Condition = {
          StringEquals = {
            "iam:PassedToService" = ["lambda.amazonaws.com", "scheduler.amazonaws.com", "ecs-tasks.amazonaws.com"]
          }
        }
      },
    ]
  })
}
