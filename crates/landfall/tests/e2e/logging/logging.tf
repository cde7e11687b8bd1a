# Beside the example's own files: a log group, a task that writes to it, and the flow log of the VPC.

data "aws_region" "here" {}

resource "aws_cloudwatch_log_group" "app" {
  name              = "/${var.name}/app"
  retention_in_days = 7
  tags              = { team = "e2e" }
}

resource "aws_cloudwatch_log_stream" "own" {
  name           = "own"
  log_group_name = aws_cloudwatch_log_group.app.name
}

resource "aws_cloudwatch_log_metric_filter" "errors" {
  name           = "errors"
  log_group_name = aws_cloudwatch_log_group.app.name
  pattern        = "ERROR"

  metric_transformation {
    name          = "Errors"
    namespace     = "Talker"
    value         = "1"
    default_value = "0"
  }
}

data "aws_cloudwatch_log_groups" "all" {
  log_group_name_prefix = "/${var.name}/"
  depends_on            = [aws_cloudwatch_log_group.app, aws_cloudwatch_log_group.flows]
}

resource "aws_ecs_task_definition" "talker" {
  family                   = "${var.name}-talker"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([{
    name  = "app"
    image = "${aws_ecr_repository.app.repository_url}:talker"
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"             = aws_cloudwatch_log_group.app.name
        "awslogs-region"            = data.aws_region.here.name
        "awslogs-stream-prefix"     = "ecs"
        "awslogs-multiline-pattern" = "^[A-Z{]"
      }
    }
  }])
}

resource "aws_cloudwatch_log_group" "flows" {
  name = "/${var.name}/flows"
}

resource "aws_iam_role" "flows" {
  name = "${var.name}-flows"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "flows" {
  name = "flows"
  role = aws_iam_role.flows.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      Resource = "${aws_cloudwatch_log_group.flows.arn}:*"
    }]
  })
}

resource "aws_flow_log" "vpc" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  log_destination          = aws_cloudwatch_log_group.flows.arn
  iam_role_arn             = aws_iam_role.flows.arn
  max_aggregation_interval = 60
  tags                     = { team = "e2e" }
  depends_on               = [aws_iam_role_policy.flows]
}

output "logging" {
  value = join(" ", sort(data.aws_cloudwatch_log_groups.all.log_group_names))
}
