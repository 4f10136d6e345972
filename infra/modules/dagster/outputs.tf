output "repository_url" {
  description = "Where the image is pushed to."
  value       = aws_ecr_repository.this.repository_url
}

output "cluster_name" {
  description = "The cluster."
  value       = aws_ecs_cluster.this.name
}

output "task_definitions" {
  description = "The revision that each service is to run."
  value       = { for key in local.services : key => aws_ecs_task_definition.this[key].arn }
}

output "containers" {
  description = "The containers of each task."
  value       = local.containers
}

output "services" {
  description = "The services with all their settings."
  value       = aws_ecs_service.this
}

output "database" {
  description = "The database with all its settings."
  value       = aws_db_instance.this
}

output "policies" {
  description = "What each role may do."
  value       = { for role, policy in aws_iam_role_policy.task : role => jsondecode(policy.policy) }
}

output "endpoint_policies" {
  description = "What can be reached without the gateway, by service."
  value       = { for service, endpoint in aws_vpc_endpoint.direct : service => jsondecode(endpoint.policy) }
}

output "zones" {
  description = "The zones of the private subnets."
  value       = [for subnet in aws_subnet.private : subnet.availability_zone]
}

output "page" {
  description = "The page's load balancer and its listener; nothing where there is none."
  value = one([for key, balancer in aws_lb.page : {
    address  = balancer.dns_name
    zone_id  = balancer.zone_id
    vpc_id   = aws_vpc.this.id
    internal = balancer.internal
    actions  = [for action in aws_lb_listener.page[key].default_action : action.type]
    networks = flatten([for rule in aws_security_group.page_balancer[key].ingress : rule.cidr_blocks])
  }])
}

output "gateways" {
  description = "How many ways out there are."
  value       = length(local.gateway_zones)
}
