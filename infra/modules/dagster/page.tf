# The live page, where it is wanted: a service behind an internal load balancer, which asks the organisation's identity
# provider who comes. Nothing of it can be reached from outside; connect networks to the VPC, and name them.
locals {
  page_port    = 8080
  page_serve   = "stock-pipeline serve --host 0.0.0.0 --port ${local.page_port}"
  page_rules   = try(var.page.alerts, null) == null ? {} : { PRICE_ALERT_RULES = var.page.alerts }
  page_command = local.page_rules == {} ? split(" ", local.page_serve) : ["sh", "-c", "printf '%s' \"$PRICE_ALERT_RULES\" > /tmp/alerts.toml && exec ${local.page_serve} --alerts /tmp/alerts.toml"]
  page         = var.page == null ? {} : { page = var.page }
  # names of load balancers and target groups have 32 characters at most
  page_name = "${trimsuffix(var.name, "-dagster")}-page"
}

resource "aws_security_group" "page_balancer" {
  for_each    = local.page
  name        = "${var.name}-page-balancer"
  description = "The page's load balancer: your networks in, page and identity provider out."
  vpc_id      = aws_vpc.this.id

  ingress {
    description = "Who looks at the page."
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = each.value.networks
  }

  egress {
    description = "The page's tasks."
    from_port   = local.page_port
    to_port     = local.page_port
    protocol    = "tcp"
    cidr_blocks = [var.cidr_block]
  }

  egress {
    description = "The identity provider: the balancer itself asks it for tokens."
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "page" {
  for_each    = local.page
  name        = "${var.name}-page"
  description = "The page's tasks: their load balancer only. The way out is that of all tasks."
  vpc_id      = aws_vpc.this.id

  ingress {
    description     = "The page's load balancer."
    from_port       = local.page_port
    to_port         = local.page_port
    protocol        = "tcp"
    security_groups = [aws_security_group.page_balancer[each.key].id]
  }
}

resource "aws_lb" "page" {
  for_each                   = local.page
  name                       = local.page_name
  internal                   = true
  load_balancer_type         = "application"
  subnets                    = [for subnet in aws_subnet.private : subnet.id]
  security_groups            = [aws_security_group.page_balancer[each.key].id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.protected
  # a stream of changes says something every 15 seconds
  idle_timeout = 120

  lifecycle {
    precondition {
      condition     = length(local.page_name) <= 32
      error_message = "The page's load balancer would be named ${local.page_name}, and 32 characters are the most: choose a shorter project_name."
    }
  }
}

resource "aws_lb_target_group" "page" {
  for_each             = local.page
  name                 = local.page_name
  port                 = local.page_port
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = aws_vpc.this.id
  deregistration_delay = 30

  # the page's own file: figures that lag are shown, and are no reason to start the server again
  health_check {
    path     = "/"
    matcher  = "200"
    interval = 30
    timeout  = 10
  }
}

resource "aws_lb_listener" "page" {
  for_each          = local.page
  load_balancer_arn = aws_lb.page[each.key].arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = each.value.certificate_arn

  default_action {
    type  = "authenticate-oidc"
    order = 1

    authenticate_oidc {
      issuer                 = each.value.identity.issuer
      authorization_endpoint = each.value.identity.authorization_endpoint
      token_endpoint         = each.value.identity.token_endpoint
      user_info_endpoint     = each.value.identity.user_info_endpoint
      client_id              = each.value.identity.client_id
      client_secret          = var.page_client_secret
      session_timeout        = 43200
    }
  }

  default_action {
    type             = "forward"
    order            = 2
    target_group_arn = aws_lb_target_group.page[each.key].arn
  }
}
