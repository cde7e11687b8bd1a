//! Threads for operations that may wait for a disk: neither the ones that serve connections nor the writer's wait for it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// How many operations may wait for the disk at once.
const THREADS: usize = 8;

type Work = Box<dyn FnOnce() + Send>;

/// The threads; they end with it.
#[derive(Debug)]
pub(crate) struct Threads {
    queue: Sender<Work>,
}

impl Threads {
    pub(crate) fn start() -> Self {
        let (queue, work) = channel::<Work>();
        let work = Arc::new(Mutex::new(work));
        for _ in 0..THREADS {
            let work = work.clone();
            // With fewer threads it goes slower; with none, work is done by whoever brings it.
            let _ = std::thread::Builder::new().name("disk".to_owned()).spawn(move || run(&work));
        }
        Self { queue }
    }

    pub(crate) fn submit(&self, work: impl FnOnce() + Send + 'static) {
        if let Err(refused) = self.queue.send(Box::new(work)) {
            (refused.0)();
        }
    }
}

fn run(queue: &Mutex<Receiver<Work>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        work();
    }
}
