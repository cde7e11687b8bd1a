//! The agent's own socket.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use desired::role::RoleDir;
use desired::{Frames, MessageError};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::machine::Machine;
use crate::protocol::{Reply, Request};
use crate::{Error, down, usage};

/// Answers the socket, a thread a connection. Only processes of the same user are heard. The receiver hears when
/// everything was ended and that was answered.
pub(crate) fn answer(machine: &Arc<Machine>, dir: &RoleDir) -> Result<Receiver<()>, Error> {
    let path = dir.socket();
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(Error::file(path)(cause)),
        _ => (),
    }
    let listener = UnixListener::bind(&path).map_err(Error::file(path.clone()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(Error::file(path))?;
    let (end, ended) = channel();
    machine.spawn("socket", move |machine| {
        for stream in listener.incoming().flatten() {
            let trusted = getsockopt(&stream, PeerCredentials)
                .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == nix::unistd::geteuid().as_raw());
            if trusted {
                let end = end.clone();
                // Without a thread the connection is dropped, and the asker tries again.
                let _ = machine.spawn("socket-conn", move |machine| converse(&machine, stream, &end));
            }
        }
    })?;
    Ok(ended)
}

fn converse(machine: &Arc<Machine>, stream: UnixStream, end: &Sender<()>) {
    let mut frames = Frames::new(stream);
    loop {
        let (reply, last) = match frames.receive() {
            Ok(Request::Down { purge }) => match down::down(machine, purge, down::Then::End) {
                Ok(()) => (Reply::Done, true),
                Err(why) => (Reply::Refused(why), false),
            },
            Ok(request) => (reply(machine, request), false),
            Err(MessageError::Closed | MessageError::Io(_)) => return,
            Err(error) => (Reply::Refused(error.to_string()), false),
        };
        let sent = frames.send(&reply);
        if last {
            // The main thread waits for this, or has it from another connection.
            let _ = end.send(());
        }
        if sent.is_err() {
            return;
        }
    }
}

fn reply(machine: &Arc<Machine>, request: Request) -> Reply {
    match request {
        Request::Apply(parts) => {
            if machine.is_ending() {
                return Reply::Busy("everything is being taken down".to_owned());
            }
            match machine.apply(parts) {
                Ok(()) => Reply::Done,
                Err(error) => Reply::Refused(error.to_string()),
            }
        }
        Request::Observe { after, timeout } => Reply::Observed(machine.news.observe(after, timeout)),
        Request::Parts => Reply::Parts(machine.parts().iter().map(|part| part.id.clone()).collect()),
        Request::Usage => Reply::Usage(usage::usage(machine)),
        Request::Counters(vpc) => match machine.network.counters(&vpc) {
            Ok(counters) => Reply::Counters(counters),
            Err(error) => Reply::Refused(error.to_string()),
        },
        Request::Listening(interface) => match machine.network.listening(&interface) {
            Ok(listening) => Reply::Listening(listening),
            Err(error) => Reply::Refused(error.to_string()),
        },
        Request::Flows { after, timeout } => Reply::Flows(machine.flows.report(after, timeout)),
        Request::Status => Reply::Status(machine.summary()),
        Request::Down { .. } => Reply::Refused("not asked here".to_owned()),
    }
}
