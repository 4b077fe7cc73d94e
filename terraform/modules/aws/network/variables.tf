variable "name" {
  description = "How everything is called that is made here, and the cluster that is to stand in it."
  type        = string
}

variable "region" {
  description = "The region, such as us-east-1."
  type        = string
}

variable "network" {
  description = "The IPv4 range of the VPC, a /16."
  type        = string

  validation {
    condition     = can(cidrhost(var.network, 0)) && endswith(var.network, "/16")
    error_message = "network must be a /16 in CIDR notation, such as 10.7.0.0/16."
  }
}

variable "transit_gateway" {
  description = "The transit gateway through which routed_networks are reached. An object, since whether there is one must be known before its id may be."
  type        = object({ id = string })
  default     = null
}

variable "routed_networks" {
  description = "IPv4 ranges behind the transit gateway."
  type        = list(string)
  default     = []
}

variable "key" {
  description = "ARN of the KMS key that encrypts the flow logs."
  type        = string
}

variable "log_retention_days" {
  description = "How long flow logs are kept."
  type        = number
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
}
