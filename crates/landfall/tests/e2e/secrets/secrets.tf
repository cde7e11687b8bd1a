# Beside the example's own files: a parameter, a secret, and a task definition that gets both.

data "aws_secretsmanager_random_password" "password" {
  password_length     = 24
  exclude_punctuation = true
}

resource "aws_ssm_parameter" "level" {
  name            = "/${var.name}/level"
  description     = "How much it says"
  type            = "String"
  value           = "chatty"
  allowed_pattern = "[a-z]+"
  tags            = { team = "e2e" }
}

resource "aws_ssm_parameter" "token" {
  name  = "/${var.name}/token"
  type  = "SecureString"
  tier  = "Intelligent-Tiering"
  value = "token-of-the-e2e"
}

resource "aws_secretsmanager_secret" "database" {
  name                    = "${var.name}/database"
  description             = "Of the database"
  recovery_window_in_days = 0
  tags                    = { team = "e2e" }
}

resource "aws_secretsmanager_secret_version" "database" {
  secret_id     = aws_secretsmanager_secret.database.id
  secret_string = jsonencode({ user = "someone", password = "hunter2" })
}

resource "aws_secretsmanager_secret_policy" "database" {
  secret_arn = aws_secretsmanager_secret.database.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = aws_iam_role.execution.arn }
      Action    = "secretsmanager:GetSecretValue"
      Resource  = "*"
    }]
  })
}

data "aws_ssm_parameter" "token" {
  name = aws_ssm_parameter.token.name
}

data "aws_ssm_parameters_by_path" "all" {
  path       = "/${var.name}"
  depends_on = [aws_ssm_parameter.level, aws_ssm_parameter.token]
}

data "aws_secretsmanager_secret" "database" {
  name       = aws_secretsmanager_secret.database.name
  depends_on = [aws_secretsmanager_secret_version.database]
}

data "aws_secretsmanager_secret_version" "database" {
  secret_id  = aws_secretsmanager_secret.database.id
  depends_on = [aws_secretsmanager_secret_version.database]
}

# The secret's own policy lets the role in to the secret.
resource "aws_iam_role_policy" "secrets" {
  name = "secrets"
  role = aws_iam_role.execution.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "ssm:GetParameters"
      Resource = [aws_ssm_parameter.level.arn, aws_ssm_parameter.token.arn]
    }]
  })
}

resource "aws_ecs_task_definition" "secrets" {
  family                   = "${var.name}-secrets"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([{
    name  = "app"
    image = "${aws_ecr_repository.app.repository_url}:environment"
    secrets = [
      { name = "SHOWN_LEVEL", valueFrom = aws_ssm_parameter.level.name },
      { name = "SHOWN_TOKEN", valueFrom = aws_ssm_parameter.token.arn },
      { name = "SHOWN_PASSWORD", valueFrom = "${aws_secretsmanager_secret.database.arn}:password::" },
    ]
  }])
}

output "secrets" {
  sensitive = true
  value = join(" ", concat(
    [data.aws_ssm_parameter.token.value, jsondecode(data.aws_secretsmanager_secret_version.database.secret_string).user],
    [data.aws_secretsmanager_secret.database.name],
    sort(data.aws_ssm_parameters_by_path.all.names),
    [length(data.aws_secretsmanager_random_password.password.random_password)],
  ))
}
