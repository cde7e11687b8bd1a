# A network ACL for each kind of subnet, each entry a resource of its own.

locals {
  kinds = var.dedicated_network_acls ? {
    public   = { subnets = aws_subnet.public[*].id, rules = var.public_acl_rules }
    private  = { subnets = aws_subnet.private[*].id, rules = var.inner_acl_rules }
    database = { subnets = aws_subnet.database[*].id, rules = var.inner_acl_rules }
    intra    = { subnets = aws_subnet.intra[*].id, rules = var.inner_acl_rules }
  } : {}

  entries = merge(flatten([
    for kind, it in local.kinds : [
      { for rule in it.rules.inbound : "${kind}-in-${rule.rule_number}" => merge(rule, { kind = kind, egress = false }) },
      { for rule in it.rules.outbound : "${kind}-out-${rule.rule_number}" => merge(rule, { kind = kind, egress = true }) },
    ]
  ])...)
}

resource "aws_network_acl" "this" {
  for_each = local.kinds

  vpc_id     = local.vpc_id
  subnet_ids = each.value.subnets
  tags       = { Name = "${var.name}-${each.key}" }
}

resource "aws_network_acl_rule" "this" {
  for_each = local.entries

  network_acl_id  = aws_network_acl.this[each.value.kind].id
  egress          = each.value.egress
  rule_number     = each.value.rule_number
  rule_action     = each.value.rule_action
  from_port       = lookup(each.value, "from_port", null)
  to_port         = lookup(each.value, "to_port", null)
  icmp_code       = lookup(each.value, "icmp_code", null)
  icmp_type       = lookup(each.value, "icmp_type", null)
  protocol        = each.value.protocol
  cidr_block      = lookup(each.value, "cidr_block", null)
  ipv6_cidr_block = lookup(each.value, "ipv6_cidr_block", null)
}
