//! The loop that measures what runs, evaluates alarms and scales.
//!
//! At each end of a period it asks the machine for its counters and makes points of what they have grown by; then
//! alarms are brought into the states of their metrics, and scaling policies and scheduled actions are carried out, in
//! one write.

use desired::Usage;
use store::Snapshot;
use types::Timestamp;

use super::{Complaints, Reconciler, Signal, guarded};
use crate::autoscaling::{ScheduledAction, act};
use crate::cloudwatch::platform::{Measured, measure, record};
use crate::cloudwatch::{MetricAlarm, MetricBlock, alarm_history, evaluate, series};
use crate::ecs::task::Task;
use crate::elbv2::load_balancer::LoadBalancer;

/// How often alarms are evaluated, in seconds: AWS does those of high resolution every ten. Less when the platform
/// measures itself more often.
const TICK: i64 = 10;

impl Reconciler {
    pub(super) fn metrics_loop(&self) {
        let mut complaints = Complaints::default();
        let pause = Signal::default();
        let period = self.settings.metric_period_seconds();
        let tick = period.min(TICK);
        let (mut swept, mut before) = (None, None);
        loop {
            let next = next_multiple(Timestamp::now(), tick);
            pause.wait(next.since(Timestamp::now()));
            let now = next;
            let second = now.as_millis().div_euclid(1000);
            let ends = second % period == 0;
            let measured = if ends { self.measured(&mut before, &mut complaints) } else { Vec::new() };
            let sweep = swept.is_none_or(|at| now.since(at) >= self.patience.sweep);
            if sweep {
                swept = Some(now);
            }
            // A pass with nothing to look at is no write.
            if measured.is_empty() && !is_needed(&self.store.snapshot(), sweep) {
                continue;
            }
            let pass = self.store.write(move |tx| -> Result<(), std::convert::Infallible> {
                record(tx, measured, second - period, period);
                evaluate::settle(tx, now);
                act::settle(tx, now);
                if sweep {
                    series::roll_up(tx, second);
                    alarm_history::forget_old(tx, now);
                }
                Ok(())
            });
            match pass {
                Ok(_) => complaints.all_is_well(),
                Err(error) => complaints.tell(format!("metrics are looked at again: {error}")),
            }
        }
    }

    /// What happened since the last reading. Nothing after the first one, nor while the agent is away.
    fn measured(&self, before: &mut Option<Usage>, complaints: &mut Complaints) -> Vec<Measured> {
        let rows = self.store.snapshot();
        // An idle machine is not asked.
        if rows.scan::<Task>("").next().is_none() && rows.scan::<LoadBalancer>("").next().is_none() {
            *before = None;
            return Vec::new();
        }
        let pass = || {
            let after = self.host.usage().ok()?;
            let measured =
                before.as_ref().map(|before| measure(&rows, &self.machine.reports(), before, &after));
            Some((after, measured))
        };
        match guarded(complaints, "measuring what runs", pass).flatten() {
            Some((after, measured)) => {
                *before = Some(after);
                measured.unwrap_or_default()
            }
            None => {
                *before = None;
                Vec::new()
            }
        }
    }
}

fn is_needed(rows: &Snapshot, sweep: bool) -> bool {
    rows.scan::<MetricAlarm>("").next().is_some()
        || rows.scan::<ScheduledAction>("").next().is_some()
        || (sweep && rows.scan::<MetricBlock>("").next().is_some())
}

/// The next multiple of so many seconds: periods end there.
fn next_multiple(now: Timestamp, seconds: i64) -> Timestamp {
    let millis = seconds * 1000;
    Timestamp::from_millis((now.as_millis().div_euclid(millis) + 1) * millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_ends_at_its_multiple() {
        let at = |millis| next_multiple(Timestamp::from_millis(millis), 5).as_millis();
        assert_eq!([at(0), at(4_999), at(5_000), at(12_345)], [5_000, 5_000, 10_000, 15_000]);
    }
}
