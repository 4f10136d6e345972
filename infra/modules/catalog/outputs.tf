output "tables" {
  description = "The tables with all their settings, by name."
  value       = aws_glue_catalog_table.this
}

output "schema" {
  description = "The contract in the schema registry."
  value       = aws_glue_schema.trade
}
