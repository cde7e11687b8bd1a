# An echo service on ECS Fargate behind an application load balancer: the smallest stack that is built as a real one.
#
#   public subnets (2 zones):  load balancer, NAT gateway      → internet gateway
#   private subnets (2 zones): the service's tasks              → NAT gateway
#
# It is the same for AWS and for Landfall; only environment variables differ.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "Where the stack stands."
  type        = string
  default     = "ap-northeast-2"
}

variable "name" {
  description = "The name of the service, and the prefix of all other names."
  type        = string
  default     = "echo"
}

locals {
  zones = ["${var.region}a", "${var.region}c"]
}
