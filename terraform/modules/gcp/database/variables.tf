variable "name" {
  description = "The instance's name. Google keeps it for a week after the instance is deleted."
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

variable "subnet" {
  description = "Id of the subnet in which the instance has its address."
  type        = string
}

variable "network" {
  description = "Id of the VPC of that subnet."
  type        = string
}

variable "consumer_projects" {
  description = "Projects that may connect to it by Private Service Connect, besides its own."
  type        = list(string)
  default     = []
}

variable "tier" {
  description = "The machine type of the two instances."
  type        = string
}

variable "storage_gib" {
  description = "What it begins with. Storage grows by itself, up to eight times that."
  type        = number
}

variable "key" {
  description = "Resource name of the KMS key that encrypts storage, backups and the first role's password."
  type        = string
}

variable "final_backup" {
  description = "Whether a last backup outlives the instance, for thirty days."
  type        = bool
}

variable "deletion_protection" {
  description = "Whether Google and Terraform refuse to delete it."
  type        = bool
}

variable "labels" {
  description = "Labels of everything."
  type        = map(string)
}
