locals {
  # The node port of the ingress. What leads to it stays when Services in the cluster come and go,
  # which an endpoint service needs: its load balancer cannot be replaced under its consumers.
  ingress_node_port = 30443
}

resource "aws_lb" "ingress" {
  #checkov:skip=CKV_AWS_91:Access logs of network load balancers tell of TLS listeners only; TLS ends in Envoy here.
  #checkov:skip=CKV_AWS_150:Protected by default; deletion_protection is switched off only to destroy the cell.
  name               = local.name
  load_balancer_type = "network"
  internal           = true
  subnets            = values(module.network.node_subnets)
  security_groups    = [aws_security_group.ingress.id]
  tags               = local.tags

  enable_cross_zone_load_balancing = true
  enable_deletion_protection       = var.deletion_protection

  # Those who come by PrivateLink have addresses of their own networks: who they are is said by
  # endpoint_consumers, and by their certificates.
  enforce_security_group_inbound_rules_on_private_link_traffic = "off"
}

resource "aws_lb_listener" "ingress" {
  load_balancer_arn = aws_lb.ingress.arn
  port              = 443
  protocol          = "TCP"
  tags              = local.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.ingress.arn
  }
}

resource "aws_lb_target_group" "ingress" {
  name               = local.name
  vpc_id             = module.network.vpc
  target_type        = "instance"
  protocol           = "TCP"
  port               = local.ingress_node_port
  preserve_client_ip = "false"
  tags               = local.tags

  # Long polls last a minute.
  deregistration_delay   = "90"
  connection_termination = false

  health_check {
    protocol            = "TCP"
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_autoscaling_attachment" "ingress" {
  #checkov:skip=CKV2_AWS_15:The groups are those of EKS, which repairs its nodes by what Kubernetes says of them.
  # The zones are known before the groups are.
  for_each = toset(module.network.zones)

  autoscaling_group_name = module.cluster.autoscaling_groups[each.value]
  lb_target_group_arn    = aws_lb_target_group.ingress.arn
}

resource "aws_security_group" "ingress" {
  name        = "${local.name}-ingress"
  description = "The load balancer of the ingress"
  vpc_id      = module.network.vpc
  tags        = merge(local.tags, { Name = "${local.name}-ingress" })
}

resource "aws_vpc_security_group_ingress_rule" "ingress" {
  for_each = toset(concat([var.network], var.control_plane_networks))

  security_group_id = aws_security_group.ingress.id
  description       = "The ingress from ${each.value}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "ingress" {
  security_group_id            = aws_security_group.ingress.id
  description                  = "The ingress on the nodes"
  referenced_security_group_id = module.cluster.security_group
  ip_protocol                  = "tcp"
  from_port                    = local.ingress_node_port
  to_port                      = local.ingress_node_port
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = module.cluster.security_group
  description                  = "The ingress from its load balancer"
  referenced_security_group_id = aws_security_group.ingress.id
  ip_protocol                  = "tcp"
  from_port                    = local.ingress_node_port
  to_port                      = local.ingress_node_port
  tags                         = local.tags
}

resource "aws_vpc_endpoint_service" "ingress" {
  #checkov:skip=CKV_AWS_123:Whoever may connect is listed in endpoint_consumers; by default, nobody.
  acceptance_required        = false
  network_load_balancer_arns = [aws_lb.ingress.arn]
  allowed_principals         = var.endpoint_consumers
  private_dns_name           = var.dns_zone == "" ? null : var.dns_zone
  tags                       = merge(local.tags, { Name = local.name })
}
