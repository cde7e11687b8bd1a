//! AWS's protocols (awsQuery, ec2Query, awsJson 1.1) and SigV4; knows no service.
