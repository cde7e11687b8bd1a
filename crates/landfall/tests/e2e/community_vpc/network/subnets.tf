# Each kind of subnet has its own tables. A zone is given by its name or by its id.

resource "aws_subnet" "public" {
  count = length(var.public_subnets)

  assign_ipv6_address_on_creation                = false
  availability_zone                              = length(regexall("^[a-z]{2}-", element(var.zones, count.index))) > 0 ? element(var.zones, count.index) : null
  availability_zone_id                           = length(regexall("^[a-z]{2}-", element(var.zones, count.index))) == 0 ? element(var.zones, count.index) : null
  cidr_block                                     = var.public_subnets[count.index]
  enable_dns64                                   = false
  enable_resource_name_dns_aaaa_record_on_launch = false
  enable_resource_name_dns_a_record_on_launch    = false
  ipv6_cidr_block                                = null
  ipv6_native                                    = false
  map_public_ip_on_launch                        = var.map_public_ip_on_launch
  private_dns_hostname_type_on_launch            = null
  vpc_id                                         = local.vpc_id
  tags                                           = { Name = "${var.name}-public-${count.index}" }
}

resource "aws_subnet" "private" {
  count = length(var.private_subnets)

  assign_ipv6_address_on_creation                = false
  availability_zone                              = element(var.zones, count.index)
  cidr_block                                     = var.private_subnets[count.index]
  enable_dns64                                   = false
  enable_resource_name_dns_aaaa_record_on_launch = false
  enable_resource_name_dns_a_record_on_launch    = false
  ipv6_cidr_block                                = null
  ipv6_native                                    = false
  private_dns_hostname_type_on_launch            = null
  vpc_id                                         = local.vpc_id
  tags                                           = { Name = "${var.name}-private-${count.index}" }
}

resource "aws_subnet" "database" {
  count = length(var.database_subnets)

  assign_ipv6_address_on_creation                = false
  availability_zone                              = element(var.zones, count.index)
  cidr_block                                     = var.database_subnets[count.index]
  enable_dns64                                   = false
  enable_resource_name_dns_aaaa_record_on_launch = false
  enable_resource_name_dns_a_record_on_launch    = false
  ipv6_cidr_block                                = null
  ipv6_native                                    = false
  private_dns_hostname_type_on_launch            = "ip-name"
  vpc_id                                         = local.vpc_id
  tags                                           = { Name = "${var.name}-db-${count.index}" }
}

resource "aws_subnet" "intra" {
  count = length(var.intra_subnets)

  assign_ipv6_address_on_creation                = false
  availability_zone                              = element(var.zones, count.index)
  cidr_block                                     = var.intra_subnets[count.index]
  enable_dns64                                   = false
  enable_resource_name_dns_aaaa_record_on_launch = false
  enable_resource_name_dns_a_record_on_launch    = false
  ipv6_cidr_block                                = null
  ipv6_native                                    = false
  private_dns_hostname_type_on_launch            = null
  vpc_id                                         = local.vpc_id
  tags                                           = { Name = "${var.name}-intra-${count.index}" }
}

# Route tables.

resource "aws_route_table" "public" {
  count = length(var.public_subnets) > 0 ? 1 : 0

  vpc_id = local.vpc_id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route_table_association" "public" {
  count = length(var.public_subnets)

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_route" "public_internet_gateway" {
  count = length(var.public_subnets) > 0 ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id

  timeouts {
    create = "5m"
  }
}

# As many as there are NAT gateways.
resource "aws_route_table" "private" {
  count = max(local.nat_gateways, length(var.private_subnets) > 0 ? 1 : 0)

  vpc_id = local.vpc_id
  tags   = { Name = "${var.name}-private-${count.index}" }
}

resource "aws_route_table_association" "private" {
  count = length(var.private_subnets)

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = element(aws_route_table.private[*].id, var.single_nat_gateway ? 0 : count.index)
}

resource "aws_route" "private_nat_gateway" {
  count = local.nat_gateways

  route_table_id         = aws_route_table.private[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[count.index].id

  timeouts {
    create = "5m"
  }
}

resource "aws_route_table" "database" {
  count = length(var.database_subnets) == 0 ? 0 : var.single_nat_gateway ? 1 : length(var.database_subnets)

  vpc_id = local.vpc_id
  tags   = { Name = "${var.name}-db-${count.index}" }
}

resource "aws_route_table_association" "database" {
  count = length(var.database_subnets)

  subnet_id      = aws_subnet.database[count.index].id
  route_table_id = element(aws_route_table.database[*].id, count.index)
}

resource "aws_route" "database_nat_gateway" {
  count = local.nat_gateways == 0 ? 0 : length(aws_route_table.database)

  route_table_id         = aws_route_table.database[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = element(aws_nat_gateway.this[*].id, count.index)

  timeouts {
    create = "5m"
  }
}

# No way out at all.
resource "aws_route_table" "intra" {
  count = length(var.intra_subnets) > 0 ? 1 : 0

  vpc_id = local.vpc_id
  tags   = { Name = "${var.name}-intra" }
}

resource "aws_route_table_association" "intra" {
  count = length(var.intra_subnets)

  subnet_id      = aws_subnet.intra[count.index].id
  route_table_id = aws_route_table.intra[0].id
}
