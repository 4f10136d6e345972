# Dagster's run and event storage. RDS makes the password and keeps it in Secrets Manager: it is never in the state.
resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = [for subnet in aws_subnet.private : subnet.id]
}

# Before the database, which would otherwise make groups that keep logs for ever.
resource "aws_cloudwatch_log_group" "database" {
  for_each          = toset(["postgresql", "upgrade"])
  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# A name for the last snapshot that no database before had: RDS deletes none whose snapshot's name is taken, and final
# snapshots stay. https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBInstance.html
resource "terraform_data" "final_snapshot" {}

resource "aws_db_instance" "this" {
  identifier                  = var.name
  engine                      = "postgres"
  engine_version              = "16"
  instance_class              = var.sizes.database_instance
  allocated_storage           = 20
  max_allocated_storage       = var.sizes.database_most_gb
  storage_type                = "gp3"
  storage_encrypted           = true
  kms_key_id                  = var.kms_key_arn
  db_name                     = "dagster"
  username                    = "dagster"
  manage_master_user_password = true
  # Dagster logs in with its task's role: RDS changes the password every seven days, and a task would keep the old one
  iam_database_authentication_enabled = true
  db_subnet_group_name                = aws_db_subnet_group.this.name
  vpc_security_group_ids              = [aws_security_group.database.id]
  publicly_accessible                 = false
  multi_az                            = var.multi_az
  backup_retention_period             = var.backup_days
  deletion_protection                 = var.protected
  # what waits for the week's maintenance window is planned again until then
  apply_immediately               = true
  skip_final_snapshot             = !var.protected
  final_snapshot_identifier       = var.protected ? "${var.name}-final-${terraform_data.final_snapshot.id}" : null
  auto_minor_version_upgrade      = true
  copy_tags_to_snapshot           = true
  enabled_cloudwatch_logs_exports = keys(aws_cloudwatch_log_group.database)
}
