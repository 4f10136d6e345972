# The three functions. grants.tf says what each may do. Their zips come from `make lambdas`; nothing is built here.
locals {
  packages_path = "${path.root}/${var.packages_file}"
  packages_dir  = dirname(local.packages_path)
  unbuilt = {
    python       = "3.13"
    architecture = "arm64"
    functions    = {}
  }
  packages = fileexists(local.packages_path) ? jsondecode(file(local.packages_path)) : local.unbuilt
  package = {
    for key in keys(local.function_names) : key => {
      file   = try("${local.packages_dir}/${local.packages.functions[key].file}", "${local.packages_dir}/${key}.zip")
      sha256 = try(local.packages.functions[key].sha256_base64, "unbuilt")
      key    = try("lambdas/${key}/${local.packages.functions[key].sha256_hex}.zip", "lambdas/${key}/unbuilt.zip")
    }
  }
  runtime = "python${local.packages.python}"

  event_source_mapping = jsondecode(file("${path.root}/event_source_mapping.json"))
}

check "packages_are_built" {
  assert {
    condition     = alltrue([for key in keys(local.function_names) : can(local.packages.functions[key].sha256_base64)])
    error_message = "Packages are missing in ${var.packages_file}: run `make lambdas` before an apply."
  }
}

resource "aws_s3_object" "package" {
  for_each    = local.package
  bucket      = module.artifacts.id
  key         = each.value.key
  source      = each.value.file
  source_hash = each.value.sha256

  # the function goes over before its old package goes
  lifecycle {
    create_before_destroy = true
  }
}

module "producer" {
  source               = "./modules/lambda"
  name                 = local.function_names.producer
  description          = "Polls a price API and puts its trades into the stream."
  runtime              = local.runtime
  architecture         = local.packages.architecture
  memory_mb            = var.functions.producer.memory_mb
  timeout_seconds      = var.functions.producer.timeout_seconds
  reserved_concurrency = var.reserve_concurrency ? 1 : -1
  environment          = local.settings
  statements           = local.statements.producer
  log_group_arn_prefix = local.arn.log_group_prefix
  log_retention_days   = var.log_retention_days
  kms_key_arn          = local.kms_key_arn
  permissions_boundary = local.arn.boundary
  package = {
    bucket        = module.artifacts.id
    key           = aws_s3_object.package["producer"].key
    sha256_base64 = local.package.producer.sha256
  }
}

module "processor" {
  source               = "./modules/lambda"
  name                 = local.function_names.processor
  description          = "Takes trades from the stream into the lake and the realtime state."
  runtime              = local.runtime
  architecture         = local.packages.architecture
  memory_mb            = var.functions.processor.memory_mb
  timeout_seconds      = var.functions.processor.timeout_seconds
  environment          = local.settings
  statements           = local.statements.processor
  log_group_arn_prefix = local.arn.log_group_prefix
  log_retention_days   = var.log_retention_days
  kms_key_arn          = local.kms_key_arn
  permissions_boundary = local.arn.boundary
  package = {
    bucket        = module.artifacts.id
    key           = aws_s3_object.package["processor"].key
    sha256_base64 = local.package.processor.sha256
  }

  stream = {
    arn                   = module.stream.arn
    on_failure_bucket_arn = module.lake.arn
    mapping               = local.event_source_mapping
  }
}

module "redrive" {
  source               = "./modules/lambda"
  name                 = local.function_names.redrive
  description          = "Sends what is in the dead-letter queue through the stream again."
  runtime              = local.runtime
  architecture         = local.packages.architecture
  memory_mb            = var.functions.redrive.memory_mb
  timeout_seconds      = var.functions.redrive.timeout_seconds
  reserved_concurrency = var.reserve_concurrency ? 1 : -1
  environment          = local.settings
  statements           = local.statements.redrive
  log_group_arn_prefix = local.arn.log_group_prefix
  log_retention_days   = var.log_retention_days
  kms_key_arn          = local.kms_key_arn
  permissions_boundary = local.arn.boundary
  package = {
    bucket        = module.artifacts.id
    key           = aws_s3_object.package["redrive"].key
    sha256_base64 = local.package.redrive.sha256
  }
}
