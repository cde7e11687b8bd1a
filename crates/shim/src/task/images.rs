//! A task's images, each by a helper of its own.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use desired::ImageReference;
use sys::process::SealedSelf;
use types::Timestamp;

use super::{Halt, Shim, complain};
use crate::events::Woken;
use crate::helper::{Helper, PULL, Report};
use crate::pull::{self, Pulled};

impl Shim<'_> {
    /// Pulls each image once, all at the same time. The helpers enter the task's network namespace; the shim does not.
    pub(super) fn pull(&mut self, program: &SealedSelf) -> Result<BTreeMap<String, Pulled>, Halt> {
        self.status.pull_started_at = Some(Timestamp::now());
        self.publish();
        let mut images: Vec<&ImageReference> = Vec::new();
        for container in &self.task.containers {
            if !images.contains(&&container.image) {
                images.push(&container.image);
            }
        }
        let network = self.state.join("netns").join(self.task.interface.as_str());
        let mut helpers = Vec::new();
        for image in images {
            let job = pull::Job {
                image: image.clone(),
                identity: self.task.pull.clone(),
                dns_servers: self.task.dns.servers.clone(),
                network: network.clone(),
                state: self.state.to_owned(),
            };
            match Helper::start(program, PULL, self.dir, &job, None) {
                Ok(helper) => helpers.push((image.clone(), helper)),
                Err(cause) => {
                    helpers.iter().for_each(|(_, helper)| helper.kill());
                    return Err(Halt::Failed(format!("CannotPullContainerError: {cause}")));
                }
            }
        }
        let mut pulled = BTreeMap::new();
        while !helpers.is_empty() {
            let watched: Vec<_> = helpers.iter().map(|(_, helper)| helper.as_fd()).collect();
            let woken = self.events.wait(&watched, None);
            let failed = match woken {
                Err(cause) => Some(format!("CannotPullContainerError: {cause}")),
                Ok(Woken { stop: true, .. }) => {
                    self.stop = true;
                    helpers.iter().for_each(|(_, helper)| helper.kill());
                    return Err(Halt::Stopped);
                }
                Ok(_) => self.gather(&mut helpers, &mut pulled),
            };
            if let Some(why) = failed {
                helpers.iter().for_each(|(_, helper)| helper.kill());
                return Err(Halt::Failed(why));
            }
        }
        self.status.pull_stopped_at = Some(Timestamp::now());
        Ok(pulled)
    }

    /// Takes in what pull helpers report; the reason when one has failed.
    fn gather(
        &mut self,
        helpers: &mut Vec<(ImageReference, Helper)>,
        pulled: &mut BTreeMap<String, Pulled>,
    ) -> Option<String> {
        let mut failed = None;
        helpers.retain_mut(|(image, helper)| {
            let (reports, ended) = helper.reports();
            let mut outcome = None;
            for report in reports {
                match report {
                    Report::Progress(text) => complain(&text),
                    Report::Pulled(image) => outcome = Some(Ok(*image)),
                    Report::Failed(why) => outcome = Some(Err(why)),
                    _ => (),
                }
            }
            if ended && outcome.is_none() {
                outcome = Some(Err("CannotPullContainerError: the pull ended unexpectedly".to_owned()));
            }
            let users = self.task.containers.iter().filter(|container| container.image == *image);
            for name in users.map(|container| &container.name) {
                let Some(status) = self.status.containers.get_mut(name) else { continue };
                match &outcome {
                    Some(Ok(image)) => {
                        status.image_digest = Some(image.digest.clone());
                        pulled.insert(name.clone(), image.clone());
                    }
                    Some(Err(why)) => status.reason = Some(why.clone()),
                    None => (),
                }
            }
            if let Some(Err(why)) = &outcome {
                failed = Some(why.clone());
            }
            outcome.is_none()
        });
        failed
    }
}
