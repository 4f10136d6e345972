# Dagster in the account: in prod, and anywhere on request.
variables {
  packages_file           = "tests/packages.json"
  alert_email             = "alarms@example.com"
  dagster_enabled         = true
  stream_producer_command = ["stock-pipeline", "stream"]
}

mock_provider "aws" {
  source = "./tests/aws"
}

run "services" {
  command = plan

  assert {
    condition     = toset(keys(module.dagster[0].services)) == toset(["code", "daemon", "webserver", "stream-producer"])
    error_message = "Code location, daemon, webserver and the websocket producer are services of their own."
  }
  assert {
    condition = alltrue([for name in ["daemon", "stream-producer"] :
      module.dagster[0].services[name].deployment_minimum_healthy_percent == 0 &&
      module.dagster[0].services[name].deployment_maximum_percent == 100
    ])
    error_message = "The old daemon and the old producer stop before the new ones start."
  }
  assert {
    condition     = alltrue([for service in module.dagster[0].services : service.network_configuration[0].assign_public_ip == false])
    error_message = "No task can be reached from outside."
  }
  assert {
    condition     = module.dagster[0].database.publicly_accessible == false && module.dagster[0].database.storage_encrypted == true
    error_message = "The database is private and encrypted."
  }
  assert {
    condition     = module.dagster[0].database.manage_master_user_password == true && module.dagster[0].database.password == null
    error_message = "RDS keeps the password; Terraform never knows it."
  }
  assert {
    condition     = module.dagster[0].database.deletion_protection == (var.environment == "prod")
    error_message = "prod's database refuses to be deleted."
  }
  assert {
    condition     = module.dagster[0].database.max_allocated_storage == 100
    error_message = "The database grows by itself, up to dagster_sizes."
  }
  assert {
    condition     = module.dagster[0].database.apply_immediately == true
    error_message = "What is applied is done, and not in next week's maintenance window."
  }
}

run "tasks" {
  command = plan

  assert {
    condition = [for key, containers in module.dagster[0].containers : key if anytrue([
      for container in containers : container.user != "10001" || !container.readonlyRootFilesystem
    ])] == ["webserver"]
    error_message = "Every container runs as nobody special on a root that can't be written; Session Manager needs one that can."
  }
  assert {
    condition     = toset([for key, containers in module.dagster[0].containers : key if can(containers[0].healthCheck)]) == toset(["code", "daemon", "webserver"])
    error_message = "What can be asked whether it is well is asked."
  }
  assert {
    condition = alltrue([for containers in module.dagster[0].containers :
      !can(containers[0].secrets) && length([for entry in containers[0].environment : entry if strcontains(entry.name, "PASSWORD")]) == 0
    ])
    error_message = "Nothing that stays has a password: RDS changes it every seven days."
  }
  assert {
    condition = toset([for key, containers in module.dagster[0].containers : key if try(containers[1].name, "") == "database-login" &&
      try(containers[0].dependsOn[0].condition, "") == "SUCCESS"
    ]) == toset(["code", "daemon", "webserver"])
    error_message = "What logs in to the database waits until its role may."
  }
  assert {
    condition     = module.dagster[0].database.iam_database_authentication_enabled == true
    error_message = "The database takes tokens."
  }
  assert {
    condition     = module.dagster[0].database.multi_az == (var.environment == "prod") && module.dagster[0].gateways == (var.environment == "prod" ? 2 : 1)
    error_message = "prod's database and its way out stand in two zones."
  }
}

run "a_network_that_fits_the_account" {
  command = plan
  variables {
    dagster_network = { cidr_block = "10.99.0.0/22", zones = ["a", "c"] }
  }

  assert {
    condition     = sort(module.dagster[0].zones) == tolist(["us-east-1a", "us-east-1c"])
    error_message = "An account has its own zones: some lack a or b."
  }
}

run "a_network_that_can_not_be_cut_is_refused" {
  command = plan
  variables {
    dagster_network = { cidr_block = "10.99.0.0/27" }
  }
  expect_failures = [var.dagster_network]
}

run "one_zone_twice_is_refused" {
  command = plan
  variables {
    dagster_network = { zones = ["a", "a"] }
  }
  expect_failures = [var.dagster_network]
}

run "a_run_without_disk_for_its_sessions_is_refused" {
  command = plan
  variables {
    dagster_sizes               = { run_disk_gb = 21 }
    athena_compaction_megabytes = 7001
    athena_scan_cutoff_bytes    = 99000000000
  }
  expect_failures = [var.dagster_sizes]
}

run "an_image_of_half_a_digest_is_refused" {
  command = plan
  variables {
    dagster_image_digest = "sha256:0123"
  }
  expect_failures = [var.dagster_image_digest]
}

run "raw_trades_are_safe" {
  command = plan

  assert {
    condition = anytrue([
      for statement in module.dagster[0].policies["work"].Statement :
      statement.Effect == "Deny" && contains(statement.Action, "s3:DeleteObjectVersion") &&
      contains(flatten([statement.Resource]), "arn:aws:s3:::${var.bucket_name}/raw/*")
    ])
    error_message = "Dagster is denied deleting what the bucket keeps of raw trades."
  }
  assert {
    condition = anytrue([
      for statement in module.dagster[0].policies["work"].Statement :
      statement.Effect == "Deny" && contains(statement.Action, "s3:PutObject") &&
      contains(flatten([statement.Resource]), "arn:aws:s3:::${var.bucket_name}/raw/*") &&
      try(statement.Condition.Null["s3:if-none-match"], "") == "true"
    ])
    error_message = "Dagster is denied overwriting raw trades: it writes only where nothing is."
  }
  assert {
    condition = flatten([
      for name, policy in module.dagster[0].policies : [
        for statement in policy.Statement : "${name}: ${statement.Sid}" if statement.Effect == "Allow" && contains(statement.Action, "s3:DeleteObject") && anytrue([
          for resource in flatten([statement.Resource]) :
          endswith(resource, "${var.bucket_name}/*") || strcontains(resource, "/raw/")
        ])
      ]
    ]) == ["work: MoveUnreadableRawTrades"]
    error_message = "Nothing but the move to the quarantine allows deleting raw trades."
  }
  assert {
    condition = [
      for statement in module.dagster[0].policies["work"].Statement : statement.Condition
      if statement.Effect == "Allow" && contains(statement.Action, "s3:PutObjectTagging")
      ] == [{
        "ForAllValues:StringEquals" = { "s3:RequestObjectTagKeys" = ["compacted"] }
        StringEquals                = { "s3:RequestObjectTag/compacted" = "true" }
    }]
    error_message = "Dagster gives raw trades one tag and no other."
  }
}

run "a_page_behind_a_balancer_that_asks_who_comes" {
  command = plan
  variables {
    page = {
      certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
      networks        = ["10.0.0.0/8"]
      identity = {
        issuer                 = "https://id.example.com"
        authorization_endpoint = "https://id.example.com/authorize"
        token_endpoint         = "https://id.example.com/token"
        user_info_endpoint     = "https://id.example.com/userinfo"
        client_id              = "prices"
      }
    }
    page_client_secret = "not a secret"
  }

  assert {
    condition     = module.dagster[0].page.internal == true && module.dagster[0].page.networks == ["10.0.0.0/8"]
    error_message = "The page's balancer is internal, and takes the named networks only."
  }
  assert {
    condition     = module.observability.alarms["page-stopped"].dimensions["ServiceName"] == "page"
    error_message = "A page that stops is told of, as every service is."
  }
  assert {
    condition     = module.dagster[0].page.actions == ["authenticate-oidc", "forward"]
    error_message = "Who comes is asked before anything is shown."
  }
  assert {
    condition     = module.dagster[0].services["page"].load_balancer != null && module.dagster[0].services["page"].network_configuration[0].assign_public_ip == false
    error_message = "The page's task stands behind it, and cannot be reached from outside."
  }
  assert {
    condition = flatten([
      for statement in module.dagster[0].policies["page"].Statement : [
        for action in statement.Action : action if !can(regex(":(Get|List|BatchGet|Scan|Describe|Decrypt|GenerateDataKey|StartQuery)", action))
      ] if !strcontains(jsonencode(statement.Resource), "athena-results") && !strcontains(jsonencode(statement.Resource), "/alerts/") && statement.Action != ["sns:Publish"]
    ]) == []
    error_message = "The page reads; it writes answers of Athena and the price alerts that it told, and tells them."
  }
}

run "a_page_with_price_alerts" {
  command = plan
  variables {
    page = {
      certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
      networks        = ["10.0.0.0/8"]
      alerts          = "[[alert]]\nname = \"apple-high\"\nsymbol = \"AAPL\"\nabove = 200\n"
      identity = {
        issuer                 = "https://id.example.com"
        authorization_endpoint = "https://id.example.com/authorize"
        token_endpoint         = "https://id.example.com/token"
        user_info_endpoint     = "https://id.example.com/userinfo"
        client_id              = "prices"
      }
    }
    page_client_secret = "not a secret"
  }

  assert {
    condition = anytrue([
      for entry in module.dagster[0].containers["page"][0].environment : entry.name == "PRICE_ALERT_RULES" && strcontains(entry.value, "apple-high")
    ]) && endswith(module.dagster[0].containers["page"][0].command[2], "--alerts /tmp/alerts.toml")
    error_message = "The page's server watches the rules."
  }
}

run "a_page_for_everybody_is_refused" {
  command = plan
  variables {
    page = {
      certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
      networks        = ["0.0.0.0/0"]
      identity = {
        issuer                 = "https://id.example.com"
        authorization_endpoint = "https://id.example.com/authorize"
        token_endpoint         = "https://id.example.com/token"
        user_info_endpoint     = "https://id.example.com/userinfo"
        client_id              = "prices"
      }
    }
    page_client_secret = "not a secret"
  }
  expect_failures = [var.page]
}

run "without_dagster" {
  command = plan
  variables {
    dagster_enabled = false
  }

  assert {
    condition     = length(module.dagster) == 0
    error_message = "Where Dagster is not wanted there is none."
  }
}
