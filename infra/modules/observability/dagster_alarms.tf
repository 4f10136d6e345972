# Dagster watched from outside: its own alerts end with it. It prints StockPipeline's metrics; the others are AWS's.
locals {
  watched = {
    namespace  = "StockPipeline"
    dimensions = { Service = "dagster", Environment = var.environment }
  }
  database = {
    namespace  = "AWS/RDS"
    dimensions = { DBInstanceIdentifier = try(var.dagster.database, "") }
  }

  dagster_alarms = { for name, alarm in merge(
    {
      for service in try(var.dagster.services, []) : "${service}-stopped" => {
        description = "For ten minutes the service `${service}` of Dagster's cluster has had no running task."
        namespace   = "ECS/ContainerInsights"
        metric      = "RunningTaskCount"
        dimensions  = { ClusterName = try(var.dagster.cluster, ""), ServiceName = service }
        statistic   = "Maximum"
        comparison  = "LessThanThreshold"
        threshold   = 1
        periods     = 2
        missing     = "breaching"
      }
    },
    {
      dagster-silent = merge(local.watched, {
        description = "For 15 minutes Dagster's sensor `heartbeat` has not ticked: daemon, code location, database or network are down, or it is off."
        metric      = "Heartbeats"
        comparison  = "LessThanThreshold"
        threshold   = 1
        periods     = 3
        missing     = "breaching"
      })
      switched-off = merge(local.watched, {
        description = "For an hour a schedule or sensor of Dagster has been off; the line `heartbeat` of its log names it."
        metric      = "SwitchedOff"
        statistic   = "Minimum"
        period      = 60 * 60
      })
      session-overdue = merge(local.watched, {
        description = "The session that was due at 22:00 New York is not published, or nobody has looked for half an hour."
        metric      = "StaleAssets"
        dimensions  = merge(local.watched.dimensions, { Asset = "trades" })
        statistic   = "Minimum"
        period      = 10 * 60
        periods     = 3
        missing     = "breaching"
      })
      bars-overdue = merge(local.watched, {
        description = "The bars of the session that was due at 22:00 New York are not built."
        metric      = "StaleAssets"
        dimensions  = merge(local.watched.dimensions, { Asset = "daily_bars" })
        statistic   = "Minimum"
        period      = 10 * 60
        periods     = 3
      })
      unexplained-differences = merge(local.watched, {
        description = "Stream, raw files, published rows and realtime table differ about a session."
        metric      = "UnexplainedDifferences"
      })
      # RDS adds storage below 10 %, at most once in six hours.
      database-storage = merge(local.database, {
        description = "For an hour Dagster's database has had less than 1.5 GB free: storage does not grow by itself any more."
        metric      = "FreeStorageSpace"
        statistic   = "Maximum"
        comparison  = "LessThanThreshold"
        threshold   = 1.5 * 1000 * 1000 * 1000
        periods     = 12
      })
      # A new instance begins without credits and earns twelve an hour.
      database-credits = merge(local.database, {
        description = "For three hours Dagster's database has had no CPU credits to speak of: it uses more than its class earns."
        metric      = "CPUCreditBalance"
        statistic   = "Maximum"
        comparison  = "LessThanThreshold"
        threshold   = 10
        period      = 60 * 60
        periods     = 3
        urgent      = false
      })
      # A db.t4g.micro takes about 110.
      database-connections = merge(local.database, {
        description = "For 15 minutes Dagster's database has had more than 80 connections."
        metric      = "DatabaseConnections"
        statistic   = "Minimum"
        threshold   = 80
        periods     = 3
      })
    },
  ) : name => alarm if var.dagster != null }
}
