# The workgroup that everybody queries in: location, encryption and the scan limit are enforced on every query.
resource "aws_athena_workgroup" "this" {
  name          = var.name
  description   = "Queries on the lake of ${var.name}."
  force_destroy = var.force_destroy

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.scan_cutoff_bytes

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location       = var.output_location
      expected_bucket_owner = var.account_id

      encryption_configuration {
        encryption_option = var.encryption_option
        kms_key_arn       = var.kms_key_arn
      }
    }
  }
}
