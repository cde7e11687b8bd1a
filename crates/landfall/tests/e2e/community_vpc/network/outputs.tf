output "vpc_id" {
  value = aws_vpc.this.id
}

output "cidr" {
  value = aws_vpc.this.cidr_block
}

output "secondary_cidr_blocks" {
  value = aws_vpc_ipv4_cidr_block_association.this[*].cidr_block
}

output "private_subnets" {
  value      = aws_subnet.private[*].id
  depends_on = [aws_route.private_nat_gateway, aws_route_table_association.private, aws_network_acl_rule.this]
}

output "intra_subnets" {
  value      = aws_subnet.intra[*].id
  depends_on = [aws_route_table_association.intra, aws_network_acl_rule.this]
}

output "private_route_table_ids" {
  value = aws_route_table.private[*].id
}

output "intra_route_table_ids" {
  value = aws_route_table.intra[*].id
}

output "nat_public_ips" {
  value = aws_eip.nat[*].public_ip
}
