//! The sessions that a task holds: its execution role's and its task role's. ("Amazon ECS task IAM role", "Amazon ECS task
//! execution IAM role".)

use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::Tx;
use types::Timestamp;

use super::Task;
use crate::SessionKey;
use crate::sts::session::{NotAssumable, mint_for_task};

/// A session is made anew when no more than half of its six hours is left. What a task is given is thus good for an hour
/// ahead at least, and for three when nobody is there to make it anew.
const RENEWED: Duration = Duration::from_secs(3 * 3600);

/// When a role that could not be assumed is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// A session of a role.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSession {
    /// The role's ARN.
    pub role_arn: String,
    /// The key pair's id.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: String,
    /// The token.
    pub session_token: String,
    /// Until when it is good.
    #[serde(default)]
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for TaskSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No secret reaches a log.
        f.debug_struct("TaskSession").field("role_arn", &self.role_arn).finish_non_exhaustive()
    }
}

impl TaskSession {
    /// A session of a role that a key pair belongs to.
    pub fn new(role_arn: &str, key: SessionKey) -> Self {
        Self {
            role_arn: role_arn.to_owned(),
            access_key_id: key.access_key_id,
            secret_access_key: key.secret_access_key,
            session_token: key.session_token,
            expires_at: key.expires_at,
        }
    }

    fn renew_at(&self) -> Timestamp {
        let at = self.expires_at.as_millis() - i64::try_from(RENEWED.as_millis()).unwrap_or(0);
        Timestamp::from_millis(at)
    }
}

/// Makes the task's sessions anew that are good for half of their time only. The old key pairs are good until they
/// expire: who holds one need not ask at once. Gives when to look again; None: the task holds no session.
///
/// A role that may no longer be assumed keeps its old session until that expires, as on AWS.
pub fn renew(rows: &mut Tx, task: &mut Task, now: Timestamp) -> Option<Timestamp> {
    let arn = task.arn();
    let mut wake = None;
    for session in [&mut task.pull, &mut task.role].into_iter().flatten() {
        if session.renew_at() <= now {
            match mint_for_task(rows, &task.account, &task.region, &session.role_arn, &arn, now) {
                Ok(key) => *session = TaskSession::new(&session.role_arn, key),
                Err(NotAssumable { .. }) => {
                    wake = Some(now.plus(RETRY));
                    continue;
                }
            }
        }
        wake = Some(wake.map_or(session.renew_at(), |at: Timestamp| at.min(session.renew_at())));
    }
    wake
}

/// Ends the sessions that the task holds, with the task.
pub fn release(rows: &mut Tx, task: &mut Task) {
    for session in [task.pull.take(), task.role.take()].into_iter().flatten() {
        rows.delete::<SessionKey>(&session.access_key_id);
    }
}
