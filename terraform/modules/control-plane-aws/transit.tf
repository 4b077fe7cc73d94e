# The way to the cells of this region. A cell's VPC joins by itself, and only from an account in the
# unit of the cells.
resource "aws_ec2_transit_gateway" "cells" {
  #checkov:skip=CKV_AWS_331:It is shared with the unit of the cells alone; each of their VPCs is to join.
  description                     = "${var.name} and its cells"
  auto_accept_shared_attachments  = "enable"
  default_route_table_association = "enable"
  default_route_table_propagation = "enable"
  dns_support                     = "enable"
  tags                            = merge(local.tags, { Name = var.name })
}

resource "aws_ram_resource_share" "cells" {
  name                      = "${var.name}-cells"
  allow_external_principals = false
  tags                      = local.tags
}

resource "aws_ram_resource_association" "cells" {
  resource_share_arn = aws_ram_resource_share.cells.arn
  resource_arn       = aws_ec2_transit_gateway.cells.arn
}

resource "aws_ram_principal_association" "cells" {
  resource_share_arn = aws_ram_resource_share.cells.arn
  principal          = aws_organizations_organizational_unit.cells.arn
}
