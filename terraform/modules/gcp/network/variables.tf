variable "name" {
  description = "How everything is called that is made here."
  type        = string
}

variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "The region, such as us-east4."
  type        = string
}

variable "network" {
  description = "The IPv4 range of everything in the VPC, pods and Services included: a /16."
  type        = string

  validation {
    condition     = can(cidrhost(var.network, 0)) && endswith(var.network, "/16")
    error_message = "network must be a /16 in CIDR notation, such as 10.7.0.0/16."
  }
}

variable "hub" {
  description = "The Network Connectivity Center hub that the VPC joins. An object, since whether there is one must be known before its id may be."
  type        = object({ id = string })
  default     = null
}

variable "labels" {
  description = "Labels of everything that can have them."
  type        = map(string)
}
