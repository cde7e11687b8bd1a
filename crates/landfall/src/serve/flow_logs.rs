//! Flow logs: what the machine recorded, written to the groups that ask for it.
//!
//! A record is of ten seconds at most, which is within any `max_aggregation_interval`. A batch is written before it is
//! noted that it was: after a crash it may be written twice, and none is left out that the machine still has.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::{Action, Client, Flow, FlowRecord, Seen};
use control::ec2::flow_log::{self, Delivered, FlowLog, TrafficType};
use control::ec2::flow_log_format::Format;
use store::{Row, Snapshot, Store, Tx};
use types::Timestamp;

use crate::terminal;

/// How long one question to the agent waits.
const WAIT: Duration = Duration::from_secs(10);
/// Before it is looked again whether there is a flow log, or an agent.
const AGAIN: Duration = Duration::from_secs(1);
/// AWS's words for a role that does not let records be written.
const ACCESS: &str = "Access error";

/// Starts the thread that delivers.
///
/// # Errors
/// When there is no thread to be had.
pub(super) fn start(state: &Path, rows: Arc<Store>, events: Arc<::logs::Store>) -> std::io::Result<()> {
    let client = Client::new(state);
    std::thread::Builder::new().name("flow-logs".to_owned()).spawn(move || run(&client, &rows, &events))?;
    Ok(())
}

fn run(client: &Client, rows: &Store, events: &::logs::Store) {
    let mut next = rows.snapshot().get::<Delivered>("").map(|delivered| delivered.next);
    loop {
        if rows.snapshot().scan::<FlowLog>("").next().is_none() {
            // What goes on now is in no flow log: the first one begins with what comes then.
            next = None;
            std::thread::park_timeout(AGAIN);
            continue;
        }
        let Ok(report) = client.flows(next, if next.is_some() { WAIT } else { Duration::ZERO }) else {
            std::thread::park_timeout(AGAIN);
            continue;
        };
        match deliver(rows, events, &report.records) {
            Ok(()) => next = Some(report.next),
            Err(error) => {
                terminal::warn(&format!("flow logs cannot be written: {error}"));
                std::thread::park_timeout(AGAIN);
                continue;
            }
        }
        let delivered = Delivered { next: report.next };
        let noted = rows.write(move |rows: &mut Tx| {
            if rows.get::<Delivered>("").as_deref() != Some(&delivered) {
                rows.put(delivered);
            }
            Ok::<_, std::convert::Infallible>(())
        });
        if let Err(error) = noted {
            terminal::warn(&format!("flow logs: {error}"));
        }
    }
}

type Batches = BTreeMap<(String, String), (Arc<FlowLog>, Vec<::logs::NewEvent>)>;

fn deliver(
    rows: &Store,
    events: &::logs::Store,
    records: &[FlowRecord],
) -> Result<(), control::logs::DeliverError> {
    let (snapshot, now) = (rows.snapshot(), Timestamp::now());
    let mut outcomes: BTreeMap<String, Option<String>> = BTreeMap::new();
    for ((_, stream), (log, mut batch)) in batches(&snapshot, records) {
        let may = flow_log::may_deliver(&snapshot, &log, &stream, now);
        outcomes.insert(log.key(), (!may).then(|| ACCESS.to_owned()));
        if !may {
            continue;
        }
        batch.sort_by_key(|event| event.timestamp);
        let place = (&log.account, &log.region);
        control::logs::deliver(rows, events, place, (&log.group, &stream), batch, now)?;
    }
    outcomes.retain(|key, error| snapshot.get::<FlowLog>(key).is_some_and(|log| log.error != *error));
    if outcomes.is_empty() {
        return Ok(());
    }
    let noted = rows.write(move |rows: &mut Tx| {
        for (key, error) in outcomes {
            if let Some(log) = rows.get::<FlowLog>(&key) {
                rows.put(FlowLog { error, ..FlowLog::clone(&log) });
            }
        }
        Ok::<_, std::convert::Infallible>(())
    });
    let Ok(()) = noted?;
    Ok(())
}

/// The events of each flow log and stream.
fn batches(rows: &Snapshot, records: &[FlowRecord]) -> Batches {
    let mut batches = Batches::new();
    let logs: Vec<Arc<FlowLog>> = rows.scan::<FlowLog>("").collect();
    for record in records {
        let Seen::Flow(flow) = &record.seen else { continue };
        for log in &logs {
            let asked = match log.traffic {
                TrafficType::All => true,
                TrafficType::Accept => flow.action == Action::Accept,
                TrafficType::Reject => flow.action == Action::Reject,
            };
            let covered = log.covers(record.vpc.as_str(), flow.subnet.as_str(), flow.interface.as_str());
            if !asked || !covered || record.end < log.created_at {
                continue;
            }
            let Ok(format) = Format::parse(&log.format) else { continue };
            let stream = format!("{}-{}", flow.interface, log.traffic.suffix());
            let message = format.line(&values(record, flow, log));
            // A record's time is that of its first packet, as AWS has it.
            let event = ::logs::NewEvent { timestamp: record.start.as_millis(), message };
            batches.entry((log.key(), stream)).or_insert((log.clone(), Vec::new())).1.push(event);
        }
    }
    batches
}

fn values(record: &FlowRecord, flow: &Flow, log: &FlowLog) -> BTreeMap<&'static str, String> {
    let seconds = |time: Timestamp| time.as_millis().div_euclid(1000).to_string();
    let mut values = BTreeMap::from([
        ("account-id", log.account.to_string()),
        ("interface-id", flow.interface.to_string()),
        ("srcaddr", flow.source.to_string()),
        ("dstaddr", flow.destination.to_string()),
        ("srcport", flow.source_port.to_string()),
        ("dstport", flow.destination_port.to_string()),
        ("protocol", flow.protocol.to_string()),
        ("packets", flow.packets.to_string()),
        ("bytes", flow.bytes.to_string()),
        ("start", seconds(record.start)),
        ("end", seconds(record.end)),
        ("action", if flow.action == Action::Accept { "ACCEPT" } else { "REJECT" }.to_owned()),
        ("log-status", "OK".to_owned()),
        ("vpc-id", record.vpc.to_string()),
        ("subnet-id", flow.subnet.to_string()),
        ("tcp-flags", flow.tcp_flags.to_string()),
        ("type", "IPv4".to_owned()),
        ("pkt-srcaddr", flow.packet_source.to_string()),
        ("pkt-dstaddr", flow.packet_destination.to_string()),
        ("region", log.region.to_string()),
        ("flow-direction", flow.direction.name().to_owned()),
    ]);
    values.extend(flow.path.map(|path| ("traffic-path", path.to_string())));
    values
}

#[cfg(test)]
mod tests {
    use types::{NetworkInterfaceId, Region, SubnetId, VpcId};

    use super::*;

    fn record(action: Action) -> FlowRecord {
        FlowRecord {
            vpc: VpcId::from("vpc-1"),
            start: Timestamp::from_millis(1_795_376_690_000),
            end: Timestamp::from_millis(1_795_376_700_000),
            seen: Seen::Flow(Box::new(Flow {
                interface: NetworkInterfaceId::from("eni-1"),
                subnet: SubnetId::from("subnet-1"),
                direction: serde_json::from_str("\"ingress\"").unwrap(),
                action,
                source: [10, 20, 0, 10].into(),
                destination: [10, 20, 1, 1].into(),
                source_port: 43210,
                destination_port: 80,
                protocol: 6,
                packets: 2,
                bytes: 120,
                packet_source: [10, 20, 0, 10].into(),
                packet_destination: [10, 20, 1, 1].into(),
                tcp_flags: 2,
                path: None,
                reason: None,
            })),
        }
    }

    fn log(id: &str, resource: &str, traffic: TrafficType, format: &str) -> FlowLog {
        FlowLog {
            account: types::AccountId::new("000000000001").unwrap(),
            region: Region::new("us-east-1").unwrap(),
            id: types::FlowLogId::from(id),
            created_at: Timestamp::from_millis(1_795_376_695_000),
            resource: resource.to_owned(),
            traffic,
            group: "/vpc".to_owned(),
            destination: None,
            role_arn: "arn:aws:iam::000000000001:role/none".to_owned(),
            format: format.to_owned(),
            interval: 600,
            error: None,
        }
    }

    #[test]
    fn each_flow_log_gets_what_it_asks_for_and_a_role_that_is_not_there_is_an_access_error() {
        let folder = tempfile::tempdir().unwrap();
        let rows = Store::open(&folder.path().join("db"), &control::tables()).unwrap();
        let events = ::logs::Store::open(&folder.path().join("events")).unwrap();
        let logs = [
            log("fl-1", "vpc-1", TrafficType::All, control::ec2::flow_log_format::DEFAULT),
            log(
                "fl-2",
                "subnet-1",
                TrafficType::Reject,
                "${action} ${vpc-id} ${flow-direction} ${traffic-path}",
            ),
            log("fl-3", "eni-2", TrafficType::All, "${action}"),
            FlowLog {
                created_at: Timestamp::from_millis(1_795_376_701_000),
                ..log("fl-4", "eni-1", TrafficType::All, "${action}")
            },
        ];
        let put = logs.clone();
        let written = rows.write(move |rows: &mut Tx| {
            put.into_iter().for_each(|log| drop(rows.put(log)));
            Ok::<_, std::convert::Infallible>(())
        });
        let Ok(()) = written.unwrap();
        let records = [record(Action::Accept), record(Action::Reject)];
        let batches = batches(&rows.snapshot(), &records);
        let lines: Vec<(String, Vec<String>)> = batches
            .into_iter()
            .map(|((_, stream), (_, batch))| (stream, batch.into_iter().map(|event| event.message).collect()))
            .collect();
        let all = |action: &str| {
            format!(
                "2 000000000001 eni-1 10.20.0.10 10.20.1.1 43210 80 6 2 120 1795376690 1795376700 {action} OK"
            )
        };
        assert_eq!(
            lines,
            [
                ("eni-1-all".to_owned(), vec![all("ACCEPT"), all("REJECT")]),
                ("eni-1-reject".to_owned(), vec!["REJECT vpc-1 ingress -".to_owned()]),
            ]
        );
        deliver(&rows, &events, &records).unwrap();
        let error = rows.snapshot().get::<FlowLog>(&logs[0].key()).unwrap().error.clone();
        assert_eq!(error.as_deref(), Some(ACCESS));
        assert!(events.streams().unwrap().is_empty());
    }
}
