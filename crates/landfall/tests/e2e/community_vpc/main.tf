# Two networks as the community VPC module makes them, with the resources and the arguments of its documented inputs:
# one with a single NAT gateway and its defaults for all else, one with everything that has a place here.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = "ap-northeast-2"

  default_tags {
    tags = { Stage = "test" }
  }
}

data "aws_availability_zones" "available" {
  state = "available"
}

locals {
  zones = slice(data.aws_availability_zones.available.names, 0, 3)

  # What a service on the internet needs of a stateless filter.
  from_anywhere = [
    { rule_number = 100, rule_action = "allow", from_port = 80, to_port = 80, protocol = "tcp", cidr_block = "0.0.0.0/0" },
    { rule_number = 110, rule_action = "allow", from_port = 443, to_port = 443, protocol = "tcp", cidr_block = "0.0.0.0/0" },
    { rule_number = 120, rule_action = "allow", from_port = 443, to_port = 443, protocol = "tcp", ipv6_cidr_block = "::/0" },
    { rule_number = 130, rule_action = "allow", icmp_type = 8, icmp_code = -1, protocol = "icmp", cidr_block = "10.40.0.0/16" },
    { rule_number = 140, rule_action = "deny", from_port = 3389, to_port = 3389, protocol = "tcp", cidr_block = "0.0.0.0/0" },
    { rule_number = 900, rule_action = "allow", from_port = 1024, to_port = 65535, protocol = "tcp", cidr_block = "0.0.0.0/0" },
  ]
  within = [
    { rule_number = 100, rule_action = "allow", from_port = 0, to_port = 0, protocol = "-1", cidr_block = "10.40.0.0/16" },
    { rule_number = 105, rule_action = "allow", from_port = 0, to_port = 0, protocol = "-1", cidr_block = "10.41.0.0/16" },
    { rule_number = 110, rule_action = "allow", from_port = 443, to_port = 443, protocol = "6", cidr_block = "0.0.0.0/0" },
    { rule_number = 900, rule_action = "allow", from_port = 1024, to_port = 65535, protocol = "tcp", cidr_block = "0.0.0.0/0" },
  ]
}

module "simple" {
  source = "./network"

  name  = "simple"
  cidr  = "10.30.0.0/16"
  zones = slice(local.zones, 0, 2)

  private_subnets = ["10.30.1.0/24", "10.30.2.0/24"]
  public_subnets  = ["10.30.101.0/24", "10.30.102.0/24"]

  enable_nat_gateway = true
  single_nat_gateway = true
}

module "complete" {
  source = "./network"

  name                  = "complete"
  cidr                  = "10.40.0.0/16"
  secondary_cidr_blocks = ["10.41.0.0/16"]
  zones                 = local.zones

  private_subnets  = ["10.40.1.0/24", "10.40.2.0/24", "10.41.3.0/24"]
  public_subnets   = ["10.40.11.0/24", "10.40.12.0/24", "10.40.13.0/24"]
  database_subnets = ["10.40.21.0/24", "10.40.22.0/24", "10.40.23.0/24"]
  intra_subnets    = ["10.40.51.0/24", "10.40.52.0/24", "10.40.53.0/24"]

  enable_nat_gateway     = true
  single_nat_gateway     = false
  one_nat_gateway_per_az = true

  map_public_ip_on_launch = true

  enable_dhcp_options              = true
  dhcp_options_domain_name         = "corp.example.com"
  dhcp_options_domain_name_servers = ["AmazonProvidedDNS"]
  dhcp_options_ntp_servers         = ["169.254.169.123"]

  dedicated_network_acls = true
  public_acl_rules       = { inbound = local.from_anywhere, outbound = local.from_anywhere }
  inner_acl_rules        = { inbound = local.within, outbound = local.within }
}

module "endpoints" {
  source = "./endpoints"

  vpc_id             = module.complete.vpc_id
  subnet_ids         = module.complete.private_subnets
  security_group_for = [module.complete.cidr, module.complete.secondary_cidr_blocks[0]]

  endpoints = {
    s3 = {
      service         = "s3"
      service_type    = "Gateway"
      route_table_ids = concat(module.complete.intra_route_table_ids, module.complete.private_route_table_ids)
      tags            = { Name = "s3" }
    }
    ecr_api = { service = "ecr.api", private_dns_enabled = true }
    ecr_dkr = { service = "ecr.dkr", private_dns_enabled = true }
  }
}

# Something that runs in them.

resource "aws_ecr_repository" "app" {
  name         = "echo"
  force_delete = true
}

resource "aws_ecs_cluster" "this" {
  name = "community"
}

resource "aws_iam_role" "execution" {
  name = "community-execution"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_ecs_task_definition" "app" {
  family                   = "echo"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn
  container_definitions    = jsonencode([{ name = "app", image = "${aws_ecr_repository.app.repository_url}:latest" }])
}

resource "aws_security_group" "task" {
  for_each = { simple = module.simple.vpc_id, complete = module.complete.vpc_id }

  name_prefix = "task-"
  vpc_id      = each.value

  egress {
    from_port        = 0
    to_port          = 0
    protocol         = "-1"
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

output "repository" {
  value = aws_ecr_repository.app.repository_url
}

# Where a task is run: a subnet and its security group.
output "places" {
  value = {
    "a private subnet behind the single NAT gateway"      = [module.simple.private_subnets[1], aws_security_group.task["simple"].id]
    "a private subnet behind the NAT gateway of its zone" = [module.complete.private_subnets[1], aws_security_group.task["complete"].id]
    "a private subnet in the secondary block"             = [module.complete.private_subnets[2], aws_security_group.task["complete"].id]
    "an intra subnet, through the endpoints alone"        = [module.complete.intra_subnets[0], aws_security_group.task["complete"].id]
  }
}

output "nat_public_ips" {
  value = concat(module.simple.nat_public_ips, module.complete.nat_public_ips)
}
