# GitHub Actions gets short-lived credentials by OIDC; no key of the account is stored anywhere.
resource "aws_iam_openid_connect_provider" "github" {
  count          = var.github_repository != null && var.create_oidc_provider ? 1 : 0
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

locals {
  provider_arn = "arn:${local.partition}:iam::${local.account_id}:oidc-provider/token.actions.githubusercontent.com"

  # Who may take which role: a job of one environment, on main. GitHub puts the branch into the subject where the
  # repository asks for it (docs/deploy.md); before that nobody can take any.
  jobs = { image = "-plan", plan = "-plan", apply = "", smoke = "" }
  roles = var.github_repository == null ? {} : { for pair in setproduct(keys(local.settings), keys(local.jobs)) :
    "${pair[0]}-${pair[1]}" => {
      environment = pair[0]
      job         = pair[1]
      subject     = "repo:${var.github_repository}:environment:${pair[0]}${local.jobs[pair[1]]}:ref:refs/heads/main"
    }
  }
  # a policy has at most 6,144 characters
  policies = { for part in flatten([for key, role in local.roles : [
    for name, statements in local.rights[role.environment][role.job] : { role = key, name = name, statements = statements }
  ]]) : "${part.role}-${part.name}" => part if length(part.statements) > 0 }
}

resource "aws_iam_role" "github" {
  for_each             = local.roles
  name                 = "${var.project_name}-github-${each.key}"
  description          = "Taken by GitHub Actions of ${var.github_repository} to ${each.value.job} ${each.value.environment}."
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
          "token.actions.githubusercontent.com:sub" = each.value.subject
        }
      }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_policy" "github" {
  for_each    = local.policies
  name        = "${var.project_name}-github-${each.key}"
  description = "What ${aws_iam_role.github[each.value.role].name} may do: ${each.value.name}."
  policy      = jsonencode({ Version = "2012-10-17", Statement = each.value.statements })
}

resource "aws_iam_role_policy_attachment" "github" {
  for_each   = local.policies
  role       = aws_iam_role.github[each.value.role].name
  policy_arn = aws_iam_policy.github[each.key].arn
}
