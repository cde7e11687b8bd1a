output "url" {
  description = "Where the service answers."
  value       = "http://${aws_lb.this.dns_name}"
}

output "repository" {
  description = "Where its image is pushed to."
  value       = aws_ecr_repository.app.repository_url
}
