# Private subnets in two zones, a way out through a gateway in one or both, S3 and DynamoDB without it. Nothing can be reached from outside.
resource "aws_vpc" "this" {
  cidr_block           = var.cidr_block
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# Closes what a VPC is born with.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "private" {
  for_each          = { for place, zone in var.zones : zone => place }
  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(var.cidr_block, 2, each.value)
  availability_zone = "${var.aws_region}${each.key}"

  tags = { Name = "${var.name}-private-${each.key}" }
}

locals {
  gateway_zones = toset(var.multi_az ? var.zones : slice(var.zones, 0, 1))
}

resource "aws_subnet" "public" {
  for_each          = { for place, zone in var.zones : zone => place if contains(local.gateway_zones, zone) }
  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(var.cidr_block, 2, 2 + each.value)
  availability_zone = "${var.aws_region}${each.key}"

  tags = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_eip" "nat" {
  for_each   = local.gateway_zones
  domain     = "vpc"
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each      = local.gateway_zones
  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }
}

resource "aws_route_table_association" "public" {
  for_each       = local.gateway_zones
  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public.id
}

# a zone goes out by its own gateway, or by the only one
resource "aws_route_table" "private" {
  for_each = toset(var.zones)
  vpc_id   = aws_vpc.this.id

  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.this[contains(local.gateway_zones, each.key) ? each.key : var.zones[0]].id
  }
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[each.key].id
}

moved {
  from = aws_subnet.public
  to   = aws_subnet.public["a"]
}

moved {
  from = aws_eip.nat
  to   = aws_eip.nat["a"]
}

moved {
  from = aws_nat_gateway.this
  to   = aws_nat_gateway.this["a"]
}

moved {
  from = aws_route_table_association.public
  to   = aws_route_table_association.public["a"]
}

moved {
  from = aws_route_table.private
  to   = aws_route_table.private["a"]
}

# The lake's bytes and the table's do not pay the gateway, and no other bucket or table can be reached this way: what runs
# here can't carry data into another account. The layers of images lie in a bucket of the registry's.
resource "aws_vpc_endpoint" "direct" {
  for_each = {
    s3       = { Action = "s3:*", Resource = [var.bucket_arn, "${var.bucket_arn}/*"] }
    dynamodb = { Action = "dynamodb:*", Resource = [var.table_arn] }
  }
  vpc_id          = aws_vpc.this.id
  service_name    = "com.amazonaws.${var.aws_region}.${each.key}"
  route_table_ids = [for table in aws_route_table.private : table.id]

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [merge(each.value, { Sid = "OwnData", Effect = "Allow", Principal = "*" })],
      each.key == "dynamodb" ? [] : [{
        Sid       = "LayersOfImages"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource  = ["arn:${var.partition}:s3:::prod-${var.aws_region}-starport-layer-bucket/*"]
      }],
    )
  })
}

moved {
  from = aws_vpc_endpoint.s3
  to   = aws_vpc_endpoint.direct["s3"]
}

resource "aws_security_group" "tasks" {
  name        = "${var.name}-tasks"
  description = "Dagster's tasks: each other, and out."
  vpc_id      = aws_vpc.this.id

  ingress {
    description = "Webserver, daemon and runs ask the code location."
    from_port   = 4000
    to_port     = 4000
    protocol    = "tcp"
    self        = true
  }

  egress {
    description = "AWS's services and the price API."
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }

  egress {
    description = "Code location and database."
    from_port   = 0
    to_port     = 65535
    protocol    = "tcp"
    cidr_blocks = [var.cidr_block]
  }
}

resource "aws_security_group" "database" {
  name        = "${var.name}-database"
  description = "Dagster's database: its tasks only."
  vpc_id      = aws_vpc.this.id

  ingress {
    description     = "Dagster's tasks."
    from_port       = 5432
    to_port         = 5432
    protocol        = "tcp"
    security_groups = [aws_security_group.tasks.id]
  }
}
