# An application as a team runs it: a real Node with a side-car, a secret and a parameter, a role of its own, logs, health
# checks, target tracking, rolling updates with a circuit breaker, and a Redis that it finds by name.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = "ap-northeast-2"
}

variable "release" {
  type    = string
  default = "1"
}

locals {
  zones = ["ap-northeast-2a", "ap-northeast-2c"]

  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
    }]
  })

  logs = {
    for name in ["app", "beat", "cache"] : name => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = "ap-northeast-2"
        awslogs-stream-prefix = "ecs"
      }
    }
  }
}

resource "aws_ecr_repository" "app" {
  name         = "app"
  force_delete = true
}

resource "aws_ecr_repository" "redis" {
  name         = "redis"
  force_delete = true
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/application"
  retention_in_days = 7
}

resource "aws_ssm_parameter" "greeting" {
  name  = "/application/greeting"
  type  = "String"
  value = "good morning"
}

resource "aws_secretsmanager_secret" "database" {
  name                    = "application/database"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "database" {
  secret_id     = aws_secretsmanager_secret.database.id
  secret_string = jsonencode({ user = "app", password = "correct horse" })
}

resource "aws_iam_role" "execution" {
  name               = "application-execution"
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "secrets" {
  name = "secrets"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "ssm:GetParameters", Resource = aws_ssm_parameter.greeting.arn },
      { Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = aws_secretsmanager_secret.database.arn },
    ]
  })
}

resource "aws_iam_role" "task" {
  name               = "application-task"
  assume_role_policy = local.trust
}

resource "aws_ecs_cluster" "this" {
  name = "application"

  setting {
    name  = "containerInsights"
    value = "disabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]

  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    base              = 1
    weight            = 100
  }
}

resource "aws_service_discovery_private_dns_namespace" "this" {
  name = "application.local"
  vpc  = aws_vpc.this.id
}

resource "aws_service_discovery_service" "cache" {
  name = "cache"

  dns_config {
    namespace_id = aws_service_discovery_private_dns_namespace.this.id

    dns_records {
      type = "A"
      ttl  = 1
    }
  }
}

resource "aws_ecs_task_definition" "cache" {
  family                   = "cache"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([{
    name             = "redis"
    image            = "${aws_ecr_repository.redis.repository_url}:latest"
    essential        = true
    user             = "999:999"
    portMappings     = [{ containerPort = 6379 }]
    logConfiguration = local.logs.cache
  }])
}

resource "aws_ecs_service" "cache" {
  name            = "cache"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.cache.arn
  desired_count   = 1

  network_configuration {
    subnets         = aws_subnet.private[*].id
    security_groups = [aws_security_group.cache.id]
  }

  service_registries {
    registry_arn = aws_service_discovery_service.cache.arn
  }

  depends_on = [aws_ecs_cluster_capacity_providers.this, aws_route_table_association.private]

  lifecycle {
    ignore_changes = [capacity_provider_strategy]
  }
}

resource "aws_ecs_task_definition" "app" {
  family                   = "app"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  volume {
    name = "shared"
  }

  container_definitions = jsonencode([
    {
      name         = "app"
      image        = "${aws_ecr_repository.app.repository_url}:latest"
      essential    = true
      user         = "1000"
      portMappings = [{ containerPort = 3000, name = "http", appProtocol = "http" }]
      dependsOn    = [{ containerName = "beat", condition = "HEALTHY" }]
      mountPoints  = [{ sourceVolume = "shared", containerPath = "/shared", readOnly = true }]

      environment = [
        { name = "VERSION", value = var.release },
        { name = "CACHE", value = "cache.application.local" },
      ]

      secrets = [
        { name = "GREETING", valueFrom = aws_ssm_parameter.greeting.name },
        { name = "PASSWORD", valueFrom = "${aws_secretsmanager_secret.database.arn}:password::" },
      ]

      healthCheck = {
        command     = ["CMD", "/usr/bin/node", "-e", "require('http').get('http://localhost:3000/healthz', (a) => process.exit(a.statusCode == 200 ? 0 : 1)).on('error', () => process.exit(1))"]
        interval    = 5
        timeout     = 5
        retries     = 3
        startPeriod = 10
      }

      linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
      readonlyRootFilesystem = true
      stopTimeout            = 20
      ulimits                = [{ name = "nofile", softLimit = 4096, hardLimit = 8192 }]
      dockerLabels           = { team = "platform" }
      logConfiguration       = local.logs.app
    },
    {
      name             = "beat"
      image            = "${aws_ecr_repository.app.repository_url}:latest"
      command          = ["/app/beat.js"]
      essential        = false
      mountPoints      = [{ sourceVolume = "shared", containerPath = "/shared" }]
      logConfiguration = local.logs.beat

      healthCheck = {
        command  = ["CMD", "/usr/bin/node", "-e", "process.exit(require('fs').existsSync('/shared/beats') ? 0 : 1)"]
        interval = 5
        timeout  = 5
        retries  = 3
      }
    },
  ])
}

resource "aws_ecs_service" "app" {
  name                              = "app"
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.app.arn
  desired_count                     = 2
  health_check_grace_period_seconds = 30
  propagate_tags                    = "SERVICE"
  enable_ecs_managed_tags           = true
  wait_for_steady_state             = true
  launch_type                       = "FARGATE"

  network_configuration {
    subnets         = aws_subnet.private[*].id
    security_groups = [aws_security_group.app.id]
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.app.arn
    container_name   = "app"
    container_port   = 3000
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  tags = { team = "platform" }

  depends_on = [
    aws_lb_listener.http,
    aws_iam_role_policy.secrets,
    aws_iam_role_policy_attachment.execution,
    aws_route_table_association.private,
    aws_secretsmanager_secret_version.database,
  ]

  lifecycle {
    ignore_changes = [desired_count]
  }
}

resource "aws_appautoscaling_target" "app" {
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.app.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = 2
  max_capacity       = 4
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.app.service_namespace
  resource_id        = aws_appautoscaling_target.app.resource_id
  scalable_dimension = aws_appautoscaling_target.app.scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_in_cooldown  = 60
    scale_out_cooldown = 10

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "application-5xx"
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HTTPCode_Target_5XX_Count"
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  dimensions          = { LoadBalancer = aws_lb.this.arn_suffix }
}
