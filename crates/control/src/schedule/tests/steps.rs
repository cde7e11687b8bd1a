//! What the scheduler does next, situation by situation.

use std::time::Duration;

use types::TaskId;

use super::simulation::{Model, NOW, alarms, deployment, service};
use crate::ecs::service::{CircuitBreaker, HeldBack, Rebalancing, RolloutState, Waits};
use crate::ecs::task::LastStatus;
use crate::schedule::{Cause, Decision, Health, TaskView};

/// A service with the tasks of an old and a new deployment, one letter each: `p` starts, `r` runs and nothing is known,
/// `s` serves, `f` fails its checks, `e` was told to end. A capital letter is that of a protected task.
#[derive(Clone, Copy)]
struct Case {
    desired: u32,
    percent: (u32, u32),
    old: &'static str,
    new: &'static str,
}

fn model(case: &Case) -> Model {
    let mut service = service(case.desired, case.percent.0, case.percent.1);
    service.availability_zone_rebalancing = Rebalancing::Disabled;
    let mut model = Model::new(service);
    if !case.old.is_empty() {
        model.service.deployments[0].rollout_state = RolloutState::Completed;
        model.service.last_completed = Some(model.service.deployments[0].id.clone());
        model.service.install(deployment());
    }
    let old = model.service.deployments.last().unwrap().id.clone();
    let new = model.service.deployments[0].id.clone();
    let letters = case.old.chars().map(|letter| (letter, old.clone()));
    let letters = letters.chain(case.new.chars().map(|letter| (letter, new.clone())));
    for (number, (letter, deployment)) in letters.enumerate() {
        let protected_until = letter.is_uppercase().then(|| NOW.plus(Duration::from_secs(60)));
        let letter = letter.to_ascii_lowercase();
        model.tasks.push(TaskView {
            id: TaskId::from(&*format!("{number:02}")),
            deployment,
            subnet: "s1".to_owned(),
            zone: "a".to_owned(),
            provider: None,
            last_status: if letter == 'p' { LastStatus::Pending } else { LastStatus::Running },
            wanted: letter != 'e',
            health: match letter {
                's' => Health::Serving,
                'f' => Health::Failing(Cause::Container),
                _ => Health::Undecided { until: None },
            },
            protected_until,
        });
    }
    model
}

/// What starts and ends, in short: `+2n -1o`, and what is said.
fn check(case: Case, expected: &str) {
    let model = model(&case);
    let new = &model.service.deployments[0].id;
    let count = |start: bool, of_new: bool| {
        let of = |deployment: &String| (deployment == new) == of_new;
        let task = |id: &TaskId| model.tasks.iter().find(|task| task.id == *id).unwrap();
        let counted = |decision: &&Decision| match decision {
            Decision::Start { deployment, .. } => start && of(deployment),
            Decision::Retire { task: id, .. } => !start && of(&task(id).deployment),
            _ => false,
        };
        model.decide().iter().filter(counted).count()
    };
    let part = |sign: &str, count: usize, whose: &str| match count {
        0 => None,
        count => Some(format!("{sign}{count}{whose}")),
    };
    let parts = [
        part("+", count(true, true), "n"),
        part("+", count(true, false), "o"),
        part("-", count(false, true), "n"),
        part("-", count(false, false), "o"),
    ];
    let seen = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let Case { desired, percent, old, new } = case;
    assert_eq!(seen, expected, "{desired} desired, {percent:?}, old {old}, new {new}");
}

#[test]
fn percentages_are_rounded_as_documented() {
    // Of "deploymentConfiguration": four tasks at 50 %: two may stop before two start.
    check(Case { desired: 4, percent: (50, 100), old: "ssss", new: "" }, "-2o");
    check(Case { desired: 4, percent: (50, 100), old: "eess", new: "" }, "+2n");
    check(Case { desired: 4, percent: (50, 100), old: "ss", new: "ss" }, "-2o");
    // At 200 %: four start before four stop.
    check(Case { desired: 4, percent: (100, 200), old: "ssss", new: "" }, "+4n");
    check(Case { desired: 4, percent: (100, 200), old: "ssss", new: "rrpp" }, "");
    check(Case { desired: 4, percent: (100, 200), old: "ssss", new: "ssrr" }, "-2o");
    // The least is rounded up, the most down.
    check(Case { desired: 3, percent: (50, 100), old: "sss", new: "" }, "-1o");
    check(Case { desired: 3, percent: (100, 150), old: "sss", new: "" }, "+1n");
    check(Case { desired: 3, percent: (34, 134), old: "sss", new: "" }, "+1n -1o");
    check(Case { desired: 1, percent: (0, 100), old: "s", new: "" }, "-1o");
    check(Case { desired: 1, percent: (100, 150), old: "s", new: "" }, "");
}

#[test]
fn the_running_version_is_kept_up_until_the_new_one_serves() {
    // One of the old tasks has died; where the new ones leave room another of the same revision takes its place.
    check(Case { desired: 4, percent: (100, 200), old: "sss", new: "rrrr" }, "+1o");
    check(Case { desired: 4, percent: (100, 200), old: "sss", new: "srrr" }, "");
    check(Case { desired: 4, percent: (100, 200), old: "sssp", new: "srrr" }, "-1o");
    check(Case { desired: 2, percent: (0, 100), old: "s", new: "r" }, "-1o");
}

#[test]
fn a_change_of_the_count_in_mid_rollout_goes_to_both_versions() {
    check(Case { desired: 4, percent: (100, 200), old: "ss", new: "rr" }, "+2n +2o");
    check(Case { desired: 1, percent: (100, 200), old: "ss", new: "rr" }, "-1n -1o");
    check(Case { desired: 0, percent: (100, 200), old: "ss", new: "rr" }, "-2n -2o");
}

#[test]
fn of_too_many_tasks_those_end_first_that_do_not_serve() {
    let model = model(&Case { desired: 2, percent: (100, 200), old: "", new: "ssrp" });
    let ended: Vec<_> = model
        .decide()
        .iter()
        .filter_map(|decision| match decision {
            Decision::Retire { task, .. } => Some(task.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(ended, ["03", "02"]);
}

#[test]
fn a_task_that_fails_its_checks_is_replaced_before_it_ends() {
    check(Case { desired: 2, percent: (100, 200), old: "", new: "sf" }, "+1n");
    check(Case { desired: 2, percent: (100, 200), old: "", new: "sfr" }, "");
    check(Case { desired: 2, percent: (100, 200), old: "", new: "sfs" }, "-1n");
    // Where there is no room it ends first, as far as the least allows.
    check(Case { desired: 4, percent: (50, 100), old: "", new: "ffff" }, "-2n");
    check(Case { desired: 4, percent: (50, 100), old: "", new: "ssff" }, "-2n");
    check(Case { desired: 1, percent: (0, 100), old: "", new: "f" }, "-1n");
    check(Case { desired: 1, percent: (100, 200), old: "s", new: "f" }, "-1n");
    check(Case { desired: 2, percent: (100, 200), old: "sf", new: "sr" }, "-1o");
}

#[test]
fn a_deployment_that_failed_starts_nothing_and_the_one_before_it_goes_on() {
    let case = Case { desired: 4, percent: (50, 200), old: "ss", new: "ff" };
    let mut model = model(&case);
    model.service.circuit_breaker = CircuitBreaker { enable: true, rollback: false };
    model.service.deployments[0].failed_tasks = 2;
    assert!(
        !model.decide().contains(&Decision::Fail { roll_back: false, alarms: Vec::new() }),
        "three it takes"
    );
    model.service.deployments[0].failed_tasks = 3;
    assert_eq!(model.decide(), [Decision::Fail { roll_back: false, alarms: Vec::new() }]);
    model.service.deployments[0].rollout_state = RolloutState::Failed;
    let decisions = model.decide();
    let old = &model.service.deployments[1].id;
    let starts: Vec<bool> = decisions
        .iter()
        .filter_map(|decision| match decision {
            Decision::Start { deployment, .. } => Some(deployment == old),
            _ => None,
        })
        .collect();
    assert_eq!(starts, [true, true], "{decisions:?}");
    model.service.deployments[0].rollout_state = RolloutState::InProgress;
    model.service.circuit_breaker.rollback = true;
    assert_eq!(model.decide(), [Decision::Fail { roll_back: true, alarms: Vec::new() }]);
    model.service.deployments[0].proven = true;
    assert!(
        !model.decide().contains(&Decision::Fail { roll_back: true, alarms: Vec::new() }),
        "one of its tasks was well"
    );
}

#[test]
fn the_circuit_breaker_takes_half_of_the_desired_count_from_3_to_200() {
    let thresholds = [0, 1, 6, 7, 25, 399, 400, 1000].map(CircuitBreaker::threshold);
    assert_eq!(thresholds, [3, 3, 3, 4, 13, 200, 200, 200]);
}

/// Which deployments are said to be held back: `n` or `o`, what waits, and how many of its tasks are protected.
fn held(case: Case) -> Vec<(char, Waits, usize)> {
    let model = model(&case);
    let new = &model.service.deployments[0].id;
    let short =
        |held: &HeldBack| (if held.deployment == *new { 'n' } else { 'o' }, held.waits, held.protected);
    let said = model.decide().into_iter().find_map(|decision| match decision {
        Decision::HeldBack { deployments } => Some(deployments.iter().map(short).collect()),
        _ => None,
    });
    said.unwrap_or_default()
}

#[test]
fn protected_tasks_are_not_scaled_in_and_others_end_in_their_place() {
    let case = |desired, new| Case { desired, percent: (100, 200), old: "", new };
    check(case(2, "SsS"), "-1n");
    assert!(held(case(2, "SsS")).is_empty());
    check(case(1, "SsS"), "-1n");
    assert_eq!(held(case(1, "SsS")), [('n', Waits::ScaleIn, 2)]);
    check(case(0, "SP"), "");
    assert_eq!(held(case(0, "SP")), [('n', Waits::ScaleIn, 2)]);
    check(case(3, "SSS"), "");
    assert!(held(case(3, "SSS")).is_empty());
    // One that fails its checks is replaced none the less.
    check(case(2, "SF"), "+1n");
    check(case(2, "SFs"), "-1n");
}

#[test]
fn a_deployment_waits_for_the_protected_tasks_of_the_one_before_it() {
    let case = |percent, old, new| Case { desired: 2, percent, old, new };
    check(case((100, 200), "Ss", ""), "+2n");
    check(case((100, 200), "Ss", "ss"), "-1o");
    check(case((100, 200), "S", "ss"), "");
    assert_eq!(held(case((100, 200), "S", "ss")), [('o', Waits::Deployment, 1)]);
    // They take room, and where there is none nothing new starts.
    check(case((50, 100), "SS", ""), "");
    assert_eq!(held(case((50, 100), "SS", "")), [('o', Waits::Deployment, 2)]);
    check(case((50, 100), "Ss", ""), "-1o");
    check(case((100, 200), "F", "ss"), "-1o");
    let model = model(&case((100, 200), "S", "ss"));
    let until = NOW.plus(Duration::from_secs(60));
    let decisions = model.decide();
    assert!(decisions.contains(&Decision::Wait { until }), "{decisions:?}");
    assert!(!decisions.contains(&Decision::Complete), "{decisions:?}");
}

#[test]
fn zones_stay_out_of_balance_while_what_should_move_is_protected() {
    let uneven = |letters: &'static str| {
        let mut model = model(&Case { desired: 4, percent: (100, 200), old: "", new: letters });
        model.service.availability_zone_rebalancing = Rebalancing::Enabled;
        model.service.deployments[0].rollout_state = RolloutState::Completed;
        model.service.steady = true;
        model
    };
    let starts = |model: &Model| {
        let decisions = model.decide();
        decisions.iter().filter(|decision| matches!(decision, Decision::Start { .. })).count()
    };
    // All are in zone `a`, none in `c`.
    assert_eq!(starts(&uneven("SSSs")), 1);
    let model = uneven("SSSS");
    assert_eq!(starts(&model), 0);
    let deployment = model.service.deployments[0].id.clone();
    let held = HeldBack { deployment, waits: Waits::Rebalancing, protected: 4 };
    assert!(model.decide().contains(&Decision::HeldBack { deployments: vec![held] }), "{:?}", model.decide());
}

#[test]
fn an_alarm_gives_a_watched_deployment_up_as_soon_as_one_of_its_tasks_runs() {
    let case = |new| Case { desired: 2, percent: (100, 200), old: "ss", new };
    let raised = |new, rollback| {
        let mut model = model(&case(new));
        model.service.alarms = Some(alarms(rollback));
        model.service.deployments[0].watched = true;
        model.raised = vec!["high".to_owned()];
        model
    };
    let fail = |roll_back| Decision::Fail { roll_back, alarms: vec!["high".to_owned()] };
    assert!(!raised("pp", true).decide().contains(&fail(true)), "none of its tasks runs yet");
    assert_eq!(raised("rp", true).decide(), [fail(true)]);
    assert_eq!(raised("ss", false).decide(), [fail(false)]);
    let mut model = raised("ss", true);
    model.service.deployments[0].watched = false;
    assert!(!model.decide().contains(&fail(true)), "an alarm was in ALARM when it began");
    let mut model = raised("ss", true);
    model.service.deployments[0].rollback = true;
    assert_eq!(model.decide(), [fail(false)], "what is rolled back to is not rolled back");
}

#[test]
fn a_watched_deployment_bakes_before_it_is_complete() {
    let mut model = model(&Case { desired: 2, percent: (100, 200), old: "ss", new: "" });
    model.service.alarms = Some(alarms(true));
    model.service.deployments[0].watched = true;
    model.bake = Duration::from_secs(120);
    let last = |model: &Model| model.decide().into_iter().next_back();
    let until = NOW.plus(model.bake);
    model.rest_until(&[Decision::Wait { until }]);
    assert_eq!(model.tasks.len(), 2, "the old ones went");
    assert_eq!(model.service.deployments.len(), 2, "the old version is known yet");
    assert!(!model.service.steady);
    assert_eq!(last(&model), Some(Decision::Wait { until }));
    // It is taken back also now.
    model.raised = vec!["high".to_owned()];
    assert_eq!(last(&model), Some(Decision::Fail { roll_back: true, alarms: model.raised.clone() }));
    model.raised.clear();
    model.now = until;
    model.rest();
    assert_eq!(model.service.deployments.len(), 1);
    assert_eq!(model.service.deployments[0].rollout_state, RolloutState::Completed);
}
