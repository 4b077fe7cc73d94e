# A zone of the cell's own, whose name leads to the internal load balancer, from within and, once AWS
# has verified it, from wherever the endpoint service is connected to. The name under which
# namespaces find the ingress is another: it is in the fleet's zone, and the control plane's to write.
locals {
  zones = toset(var.dns_zone == "" ? [] : [var.dns_zone])
}

resource "aws_route53_zone" "cell" {
  #checkov:skip=CKV2_AWS_38:Signing needs a key in us-east-1, and a DS record above that nobody would renew.
  #checkov:skip=CKV2_AWS_39:Query logs need a log group in us-east-1, outside the cell's region.
  for_each = local.zones

  name    = each.value
  comment = "The cell ${var.cell}"
  tags    = local.tags
}

resource "aws_route53_record" "ingress" {
  for_each = local.zones

  zone_id = aws_route53_zone.cell[each.key].zone_id
  name    = each.value
  type    = "A"

  alias {
    name                   = aws_lb.ingress.dns_name
    zone_id                = aws_lb.ingress.zone_id
    evaluate_target_health = true
  }
}

resource "aws_route53_record" "delegation" {
  for_each = var.dns_parent_zone == "" ? toset([]) : local.zones
  provider = aws.dns

  zone_id = var.dns_parent_zone
  name    = each.value
  type    = "NS"
  ttl     = 300
  records = aws_route53_zone.cell[each.key].name_servers
}

# Shows AWS that the name of the endpoint service is ours.
resource "aws_route53_record" "endpoint" {
  for_each = local.zones

  zone_id = aws_route53_zone.cell[each.key].zone_id
  name    = "${aws_vpc_endpoint_service.ingress.private_dns_name_configuration[0].name}.${each.value}"
  type    = aws_vpc_endpoint_service.ingress.private_dns_name_configuration[0].type
  ttl     = 300
  records = [aws_vpc_endpoint_service.ingress.private_dns_name_configuration[0].value]
}

resource "aws_vpc_endpoint_service_private_dns_verification" "endpoint" {
  for_each = local.zones

  service_id = aws_vpc_endpoint_service.ingress.id

  # It fails until the world sees the delegation, which may be somebody else's to write.
  wait_for_verification = false

  depends_on = [aws_route53_record.delegation, aws_route53_record.endpoint]
}
