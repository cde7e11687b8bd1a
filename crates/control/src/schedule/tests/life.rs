//! One task's steps.

use std::collections::BTreeMap;

use desired::{TaskPhase, TaskStatus};
use types::{AccountId, Region, TaskId, Timestamp};

use crate::ecs::Tags;
use crate::ecs::task::{DesiredStatus, Interface, LastStatus, StopCode, Target, TargetState, Task};
use crate::schedule::advance::{Effect, advance};

fn task(targets: usize) -> Task {
    let target = Target { group: "g".to_owned(), port: 80, state: TargetState::Waiting };
    Task {
        account: AccountId::new("000000000001").unwrap(),
        region: Region::new("ap-northeast-2").unwrap(),
        cluster: "c".to_owned(),
        id: TaskId::mint(),
        service: None,
        task_definition: String::new(),
        group: String::new(),
        started_by: String::new(),
        client_token: None,
        last_status: Provisioning,
        desired_status: DesiredStatus::Running,
        capacity_provider: None,
        version: 1,
        cpu: 256,
        memory: 512,
        overrides: crate::ecs::task::overrides::TaskOverride::default(),
        blocks_on_logs: false,
        ephemeral_storage: 20,
        availability_zone: String::new(),
        interface: Interface {
            attachment: String::new(),
            id: "eni-1".into(),
            subnet: "subnet-1".into(),
            vpc: "vpc-1".into(),
            mac_address: String::new(),
            private_dns_name: String::new(),
            address: [10, 0, 0, 4].into(),
        },
        containers: Vec::new(),
        pull: None,
        role: None,
        credentials_id: String::new(),
        targets: vec![target; targets],
        protected_until: None,
        registrations: Vec::new(),
        stop: false,
        ended: false,
        created_at: Timestamp::from_millis(0),
        connectivity_at: None,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        stopping_at: None,
        execution_stopped_at: None,
        stopped_at: None,
        stop_code: None,
        stopped_reason: None,
        tags: Tags::new(),
    }
}

fn report(task: &Task, phase: TaskPhase) -> TaskStatus {
    TaskStatus {
        task: task.id.clone(),
        phase,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        execution_stopped_at: None,
        error: None,
        containers: BTreeMap::new(),
    }
}

/// Steps until nothing changes. Gives the statuses on the way and the effects.
fn steps(task: &mut Task, phase: Option<TaskPhase>, drained: bool) -> (Vec<LastStatus>, Vec<Effect>) {
    let (mut statuses, mut effects) = (Vec::new(), Vec::new());
    let report = phase.map(|phase| report(task, phase));
    loop {
        let before = task.clone();
        effects.extend(advance(task, report.as_ref(), drained, Timestamp::from_millis(1)));
        if *task == before {
            return (statuses, effects);
        }
        if statuses.last() != Some(&task.last_status) {
            statuses.push(task.last_status);
        }
    }
}

use Effect::{Deregister, Register, Release};
use LastStatus::{
    Activating, Deactivating, Deprovisioning, Pending, Provisioning, Running, Stopped, Stopping,
};

#[test]
fn a_task_passes_every_state_on_its_way_up_and_down() {
    let mut one = task(1);
    assert_eq!(steps(&mut one, None, true), (vec![], vec![]));
    assert_eq!(steps(&mut one, Some(TaskPhase::Pulling), true), (vec![Pending], vec![]));
    assert_eq!(steps(&mut one, Some(TaskPhase::Running), false), (vec![Activating, Running], vec![Register]));
    one.end(StopCode::UserInitiated, "enough");
    assert_eq!(steps(&mut one, Some(TaskPhase::Running), false), (vec![Deactivating], vec![Deregister]));
    assert_eq!(steps(&mut one, Some(TaskPhase::Running), true), (vec![Stopping], vec![]));
    assert_eq!(steps(&mut one, Some(TaskPhase::Stopping), true), (vec![], vec![]));
    assert_eq!(
        steps(&mut one, Some(TaskPhase::Stopped), true),
        (vec![Deprovisioning, Stopped], vec![Release])
    );
    assert_eq!(one.stopped_reason.as_deref(), Some("enough"));
}

#[test]
fn a_task_that_ends_by_itself_leaves_its_groups_and_does_not_wait() {
    let mut one = task(2);
    steps(&mut one, Some(TaskPhase::Running), false);
    let (statuses, effects) = steps(&mut one, Some(TaskPhase::Stopped), false);
    assert_eq!(statuses, [Running, Deprovisioning, Stopped]);
    assert_eq!(effects, [Deregister, Release]);
    assert_eq!(one.stop_code, Some(StopCode::EssentialContainerExited));
}

#[test]
fn a_task_that_never_ran_says_why() {
    let mut one = task(1);
    let mut failed = report(&one, TaskPhase::Stopped);
    failed.error = Some("CannotStartContainerError: no".to_owned());
    while one.last_status != Stopped {
        advance(&mut one, Some(&failed), false, Timestamp::from_millis(1));
    }
    assert_eq!(one.stop_code, Some(StopCode::TaskFailedToStart));
    assert_eq!(one.stopped_reason.as_deref(), Some("CannotStartContainerError: no"));
}

#[test]
fn a_task_that_is_not_wanted_before_it_began_still_waits_for_the_machine() {
    let mut one = task(1);
    one.end(StopCode::ServiceSchedulerInitiated, "too many");
    assert_eq!(steps(&mut one, None, true), (vec![Stopping], vec![]));
    assert!(one.stop);
    // Its interface stays until the machine has said that nothing of the task is left.
    assert_eq!(
        steps(&mut one, Some(TaskPhase::Stopped), true),
        (vec![Deprovisioning, Stopped], vec![Release])
    );
    assert_ne!(one.last_status, Provisioning);
}
