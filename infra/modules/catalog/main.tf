# The lake's database, tables and contract in Glue.
# stock_pipeline/aws/catalog.py has the same tables for the local stack; a test compares them.
resource "aws_glue_catalog_database" "this" {
  name        = var.database_name
  description = "Trades of the stock pipeline, and the models built on them."
}

resource "aws_glue_catalog_table" "this" {
  for_each      = local.tables
  name          = each.key
  description   = each.value.description
  database_name = aws_glue_catalog_database.this.name
  table_type    = "EXTERNAL_TABLE"

  parameters = merge(
    { classification = "parquet", EXTERNAL = "TRUE" },
    !each.value.projected ? {} : {
      "projection.enabled"        = "true"
      "projection.year.type"      = "integer"
      "projection.year.range"     = "2026,2035"
      "projection.month.type"     = "integer"
      "projection.month.range"    = "1,12"
      "projection.day.type"       = "integer"
      "projection.day.range"      = "1,31"
      "storage.location.template" = "s3://${var.bucket_name}/${each.value.prefix}year=$${year}/month=$${month}/day=$${day}/"
    },
  )

  dynamic "partition_keys" {
    for_each = each.value.partitioned ? local.partition_columns : []
    content {
      name    = partition_keys.value.name
      type    = partition_keys.value.type
      comment = partition_keys.value.comment
    }
  }

  storage_descriptor {
    location      = "s3://${var.bucket_name}/${each.value.prefix}"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = each.value.columns
      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }

  # The pipeline adds the years of other sessions that have raw files, and no apply may hide them again.
  lifecycle {
    ignore_changes = [parameters["projection.year.range"]]
  }
}

locals {
  tables = {
    # partitions follow from their path (projection), so nothing is ever registered
    raw_trades = {
      description = "Trades as they arrived, with repeats."
      prefix      = "raw/trades/"
      columns     = local.trade_columns
      projected   = true
      partitioned = true
    }
    # The raw files of sessions without a published version, which Dagster registers: queries list no other ones.
    unpublished_trades = {
      description = "Trades as they arrived, of sessions without a published version."
      prefix      = "raw/trades/"
      columns     = local.trade_columns
      projected   = false
      partitioned = true
    }
    # Dagster registers each partition with the location of its published version. No projection: Athena would then
    # ignore the registered locations.
    trades = {
      description = "Trades once each, sorted, corrections kept as rows."
      prefix      = "curated/trades/"
      columns     = local.trade_columns
      projected   = false
      partitioned = true
    }
    corporate_actions = {
      description = "News of splits, dividends and changes of symbol."
      prefix      = "reference/corporate_actions/"
      columns     = local.action_columns
      projected   = false
      partitioned = false
    }
    rejected_records = {
      description = "Lines of the stream that were no trades."
      prefix      = "quarantine/records/"
      columns     = local.rejection_columns
      projected   = true
      partitioned = true
    }
  }
}

resource "aws_glue_registry" "this" {
  registry_name = var.registry_name
  description   = "Contracts of the stream."
}

resource "aws_glue_schema" "trade" {
  schema_name       = "trade"
  registry_arn      = aws_glue_registry.this.arn
  description       = "One line of a record of the stream."
  data_format       = "JSON"
  compatibility     = "BACKWARD"
  schema_definition = var.trade_schema
}
