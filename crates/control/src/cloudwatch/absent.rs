//! What CloudWatch has and Landfall does not, with the reason that a refusal gives.

const COMPOSITE: &str = "Alarms here are metric alarms: a composite alarm has no evaluation here.";
const ANOMALY: &str = "No model learns from a metric here, so that there are no bands.";
const DASHBOARD: &str = "There is no console that would show a dashboard.";
const INSIGHT: &str = "Contributor Insights has no rules here.";
const STREAM: &str = "There is no Firehose that a metric stream would go to.";

/// Actions and why they are refused.
pub(crate) const REASONS: &[(&str, &str)] = &[
    ("PutCompositeAlarm", COMPOSITE),
    ("DeleteAnomalyDetector", ANOMALY),
    ("DescribeAnomalyDetectors", ANOMALY),
    ("PutAnomalyDetector", ANOMALY),
    ("DeleteDashboards", DASHBOARD),
    ("GetDashboard", DASHBOARD),
    ("ListDashboards", DASHBOARD),
    ("PutDashboard", DASHBOARD),
    ("GetMetricWidgetImage", DASHBOARD),
    ("DeleteInsightRules", INSIGHT),
    ("DescribeInsightRules", INSIGHT),
    ("DisableInsightRules", INSIGHT),
    ("EnableInsightRules", INSIGHT),
    ("GetInsightRuleReport", INSIGHT),
    ("PutInsightRule", INSIGHT),
    ("PutManagedInsightRules", INSIGHT),
    ("ListManagedInsightRules", INSIGHT),
    ("DeleteMetricStream", STREAM),
    ("GetMetricStream", STREAM),
    ("ListMetricStreams", STREAM),
    ("PutMetricStream", STREAM),
    ("StartMetricStreams", STREAM),
    ("StopMetricStreams", STREAM),
];
