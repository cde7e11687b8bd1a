# VPC endpoints of both kinds, and the security group of those that have interfaces.

variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  type = list(string)
}

variable "security_group_for" {
  type = list(string)
}

variable "endpoints" {
  type = any
}

data "aws_vpc_endpoint_service" "this" {
  for_each = var.endpoints

  service      = each.value.service
  service_name = null

  filter {
    name   = "service-type"
    values = [lookup(each.value, "service_type", "Interface")]
  }
}

resource "aws_vpc_endpoint" "this" {
  for_each = var.endpoints

  vpc_id            = var.vpc_id
  service_name      = data.aws_vpc_endpoint_service.this[each.key].service_name
  vpc_endpoint_type = lookup(each.value, "service_type", "Interface")
  auto_accept       = null

  security_group_ids  = lookup(each.value, "service_type", "Interface") == "Interface" ? [aws_security_group.this.id] : null
  subnet_ids          = lookup(each.value, "service_type", "Interface") == "Interface" ? var.subnet_ids : null
  route_table_ids     = lookup(each.value, "service_type", "Interface") == "Gateway" ? each.value.route_table_ids : null
  policy              = null
  private_dns_enabled = lookup(each.value, "service_type", "Interface") == "Interface" ? each.value.private_dns_enabled : null
  ip_address_type     = null

  tags = lookup(each.value, "tags", {})

  timeouts {
    create = "10m"
    update = "10m"
    delete = "10m"
  }
}

resource "aws_security_group" "this" {
  name_prefix = "endpoints-"
  description = "VPC endpoints security group"
  vpc_id      = var.vpc_id
  tags        = { Name = "endpoints" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group_rule" "this" {
  security_group_id = aws_security_group.this.id
  type              = "ingress"
  protocol          = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "HTTPS from the VPC"
  cidr_blocks       = var.security_group_for
}
