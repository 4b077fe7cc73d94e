locals {
  zones = slice(sort(data.aws_availability_zones.here.names), 0, 3)

  # Of the /16: a /19 per zone for nodes and pods, which need addresses by the thousand; a /24 per
  # zone for databases; a /24 per zone for NAT gateways. The upper half stays free.
  subnets = {
    for index, zone in local.zones : zone => {
      nodes = cidrsubnet(var.network, 3, index)
      data  = cidrsubnet(var.network, 8, 96 + index)
      edge  = cidrsubnet(var.network, 8, 112 + index)
    }
  }

  routes = var.transit_gateway == null ? [] : var.routed_networks
}

data "aws_availability_zones" "here" {
  #checkov:skip=CKV_AWS_394:The first three by name stay the first three; a plan that would move subnets is refused.
  state = "available"

  # Zones that EKS cannot use: "Amazon EKS networking requirements for VPC and subnets".
  exclude_zone_ids = ["use1-az3", "usw1-az2", "cac1-az3"]

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }

  lifecycle {
    postcondition {
      condition     = length(self.names) >= 3
      error_message = "${var.region} offers this account fewer than three zones: choose another region."
    }
  }
}

resource "aws_vpc" "this" {
  cidr_block           = var.network
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = merge(var.tags, { Name = var.name })
}

# Without rules: what joins no security group on purpose reaches nothing.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-closed" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_subnet" "edge" {
  for_each = local.subnets

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value.edge
  map_public_ip_on_launch = false

  # Where load balancers of Services go that are asked to be public.
  tags = merge(var.tags, {
    Name                                = "${var.name}-edge-${each.key}"
    "kubernetes.io/cluster/${var.name}" = "shared"
    "kubernetes.io/role/elb"            = "1"
  })
}

resource "aws_subnet" "nodes" {
  for_each = local.subnets

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value.nodes

  # Where all others go.
  tags = merge(var.tags, {
    Name                                = "${var.name}-nodes-${each.key}"
    "kubernetes.io/cluster/${var.name}" = "shared"
    "kubernetes.io/role/internal-elb"   = "1"
  })
}

resource "aws_subnet" "data" {
  for_each = local.subnets

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value.data
  tags              = merge(var.tags, { Name = "${var.name}-data-${each.key}" })
}

resource "aws_eip" "nat" {
  #checkov:skip=CKV2_AWS_19:They belong to NAT gateways, which the check does not know.
  for_each = local.subnets

  domain     = "vpc"
  tags       = merge(var.tags, { Name = "${var.name}-nat-${each.key}" })
  depends_on = [aws_internet_gateway.this]
}

# One per zone: the loss of a zone must not cut the others off.
resource "aws_nat_gateway" "this" {
  for_each = local.subnets

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.edge[each.key].id
  tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_route_table" "edge" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-edge" })
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.edge.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "edge" {
  for_each = local.subnets

  route_table_id = aws_route_table.edge.id
  subnet_id      = aws_subnet.edge[each.key].id
}

resource "aws_route_table" "nodes" {
  for_each = local.subnets

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-nodes-${each.key}" })
}

resource "aws_route" "nat" {
  #checkov:skip=CKV2_AWS_44:The check takes any route of everything for one to a peering connection.
  for_each = local.subnets

  route_table_id         = aws_route_table.nodes[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[each.key].id
}

resource "aws_route_table_association" "nodes" {
  for_each = local.subnets

  route_table_id = aws_route_table.nodes[each.key].id
  subnet_id      = aws_subnet.nodes[each.key].id
}

# No way out: databases start no connections.
resource "aws_route_table" "data" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-data" })
}

resource "aws_route_table_association" "data" {
  for_each = local.subnets

  route_table_id = aws_route_table.data.id
  subnet_id      = aws_subnet.data[each.key].id
}

resource "aws_ec2_transit_gateway_vpc_attachment" "this" {
  count = var.transit_gateway == null ? 0 : 1

  transit_gateway_id = var.transit_gateway.id
  vpc_id             = aws_vpc.this.id
  subnet_ids         = [for zone in local.zones : aws_subnet.data[zone].id]
  tags               = merge(var.tags, { Name = var.name })
}

resource "aws_route" "routed_from_nodes" {
  for_each = {
    for pair in setproduct(local.zones, local.routes) : "${pair[0]} ${pair[1]}" => pair
  }

  route_table_id         = aws_route_table.nodes[each.value[0]].id
  destination_cidr_block = each.value[1]
  transit_gateway_id     = var.transit_gateway.id
  depends_on             = [aws_ec2_transit_gateway_vpc_attachment.this]
}

resource "aws_route" "routed_from_data" {
  for_each = toset(local.routes)

  route_table_id         = aws_route_table.data.id
  destination_cidr_block = each.value
  transit_gateway_id     = var.transit_gateway.id
  depends_on             = [aws_ec2_transit_gateway_vpc_attachment.this]
}
