output "database_name" {
  description = "The database's name; waiting for it means waiting for the database."
  value       = aws_glue_catalog_database.this.name
}

output "raw_trades" {
  description = "The table of trades as they arrived."
  value       = aws_glue_catalog_table.raw_trades
}

output "trades" {
  description = "The table of compacted trades."
  value       = aws_glue_catalog_table.trades
}

output "schema" {
  description = "The contract in the schema registry."
  value       = aws_glue_schema.trade
}
