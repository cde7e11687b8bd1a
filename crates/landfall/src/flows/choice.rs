//! Which records are shown.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use agent::{Action, FlowRecord, Seen};
use clap::{Args, ValueEnum};
use types::Timestamp;

use super::owner::{Of, Owner};

/// Filters: a record is shown when it satisfies all that are given.
#[derive(Debug, Clone, Default, Args)]
pub struct Choice {
    /// At this interface
    #[arg(long, value_name = "ENI")]
    pub interface: Option<String>,
    /// In this VPC
    #[arg(long, value_name = "VPC")]
    pub vpc: Option<String>,
    /// At this task's interface: its id, the beginning of it, or its ARN
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// At the interfaces of this service's tasks
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// At the interfaces of this load balancer: its name or ARN
    #[arg(long, value_name = "NAME")]
    pub load_balancer: Option<String>,
    /// What was let through, or what was refused
    #[arg(long)]
    pub action: Option<Judgement>,
    /// From or to this address, also one that was translated
    #[arg(long)]
    pub address: Option<Ipv4Addr>,
    /// From or to this port
    #[arg(long)]
    pub port: Option<u16>,
    /// Of the last 30s, 5m, 2h or 1d
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub since: Option<Duration>,
}

/// `--action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Judgement {
    /// Let through.
    Accept,
    /// Refused.
    Reject,
}

/// A time as options write it: `30s`, `5m`, `2h`, `1d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no time: write 30s, 5m, 2h or 1d");
    let unit = text.char_indices().next_back().map(|(at, _)| at).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

impl Choice {
    /// What is asked for by a name that nothing has.
    pub fn unknown(&self, owners: &BTreeMap<String, Owner>) -> Option<String> {
        let has = |fits: &dyn Fn(&Of) -> bool| owners.values().any(|owner| fits(&owner.of));
        let missing = [
            ("task", &self.task, has(&|of| self.fits_task(of))),
            ("service", &self.service, has(&|of| self.fits_service(of))),
            ("load balancer", &self.load_balancer, has(&|of| self.fits_load_balancer(of))),
        ];
        missing.into_iter().find_map(|(kind, name, known)| {
            let name = name.as_ref().filter(|_| !known)?;
            Some(format!("there is no {kind} '{name}' that has a network interface"))
        })
    }

    fn fits_task(&self, of: &Of) -> bool {
        let wanted = self.task.as_ref().map(|task| task.rsplit('/').next().unwrap_or(task));
        wanted.is_none_or(
            |wanted| matches!(of, Of::Task { id, .. } if !wanted.is_empty() && id.starts_with(wanted)),
        )
    }

    fn fits_service(&self, of: &Of) -> bool {
        let wanted = self.service.as_deref();
        wanted
            .is_none_or(|wanted| matches!(of, Of::Task { service, .. } if service.as_deref() == Some(wanted)))
    }

    fn fits_load_balancer(&self, of: &Of) -> bool {
        let wanted = self.load_balancer.as_ref();
        wanted.is_none_or(
            |wanted| matches!(of, Of::LoadBalancer { name, arn } if name == wanted || arn == wanted),
        )
    }

    fn names_an_owner(&self) -> bool {
        self.task.is_some() || self.service.is_some() || self.load_balancer.is_some()
    }

    /// Whether a record is shown. That some were skipped is, whatever interface is asked for: they may be its.
    pub fn fits(&self, record: &FlowRecord, owners: &BTreeMap<String, Owner>, now: Timestamp) -> bool {
        let recent = self.since.is_none_or(|since| now.since(record.end) <= since);
        if !recent || self.vpc.as_ref().is_some_and(|vpc| *vpc != record.vpc.as_str()) {
            return false;
        }
        let flow = match &record.seen {
            Seen::Flow(flow) => flow,
            Seen::Skipped { .. } => return self.action != Some(Judgement::Accept),
        };
        let action = match flow.action {
            Action::Accept => Judgement::Accept,
            Action::Reject => Judgement::Reject,
        };
        let addresses = [flow.source, flow.destination, flow.packet_source, flow.packet_destination];
        let ports = [flow.source_port, flow.destination_port];
        let owner = owners.get(flow.interface.as_str()).map(|owner| &owner.of);
        self.interface.as_ref().is_none_or(|interface| *interface == flow.interface.as_str())
            && self.action.is_none_or(|wanted| wanted == action)
            && self.address.is_none_or(|address| addresses.contains(&address))
            && self.port.is_none_or(|port| ports.contains(&port))
            && match owner {
                Some(of) => self.fits_task(of) && self.fits_service(of) && self.fits_load_balancer(of),
                None => !self.names_an_owner(),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{flow, owners, record};
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "5", "m", "-1s", "1.5h", "5 m", "99999999999999999999s", "99999999999999999d", "5µ"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_record_is_shown_when_it_satisfies_every_filter() {
        let (owners, now) = (owners(), Timestamp::from_millis(1_795_376_760_000));
        let record = record(flow());
        let check = |choice: Choice, fits: bool| {
            assert_eq!(choice.fits(&record, &owners, now), fits, "{choice:?}");
        };
        let text = |text: &str| Some(text.to_owned());
        check(Choice::default(), true);
        for (name, fits) in [("eni-0123456789abcdef0", true), ("eni-0123456789abcdef1", false)] {
            check(Choice { interface: text(name), ..Choice::default() }, fits);
        }
        check(Choice { vpc: text("vpc-1"), ..Choice::default() }, false);
        for (name, fits) in [
            ("0123abcd0123abcd0123abcd0123abcd", true),
            ("0123ab", true),
            ("arn:aws:ecs:eu-west-1:000000000001:task/main/0123abcd0123abcd0123abcd0123abcd", true),
            ("", false),
            ("f", false),
        ] {
            check(Choice { task: text(name), ..Choice::default() }, fits);
        }
        check(Choice { service: text("web"), ..Choice::default() }, true);
        check(Choice { service: text("we"), ..Choice::default() }, false);
        check(Choice { load_balancer: text("front"), ..Choice::default() }, false);
        check(Choice { action: Some(Judgement::Reject), ..Choice::default() }, true);
        check(Choice { action: Some(Judgement::Accept), ..Choice::default() }, false);
        check(Choice { address: Some([10, 20, 0, 10].into()), port: Some(3000), ..Choice::default() }, true);
        check(Choice { address: Some([10, 20, 0, 10].into()), port: Some(3001), ..Choice::default() }, false);
        check(Choice { since: Some(Duration::from_secs(60)), ..Choice::default() }, true);
        check(Choice { since: Some(Duration::from_secs(59)), ..Choice::default() }, false);
    }

    #[test]
    fn a_name_that_nothing_has_is_told() {
        let choice = Choice { service: Some("shop".to_owned()), ..Choice::default() };
        assert_eq!(
            choice.unknown(&owners()).as_deref(),
            Some("there is no service 'shop' that has a network interface")
        );
        assert_eq!(Choice { service: Some("web".to_owned()), ..choice }.unknown(&owners()), None);
    }
}
