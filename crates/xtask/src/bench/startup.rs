//! From nothing to the first answer.

use std::path::Path;
use std::time::Instant;

use super::memory::resident;
use super::peer::Moto;
use super::server::{REGION, Server};
use super::{page, statistics::median};
use crate::Error;

pub(crate) fn run(binary: &Path, rounds: usize) -> Result<(), Error> {
    let (mut ready, mut answered, mut memory, mut peer) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..rounds {
        let begun = Instant::now();
        let server = Server::start(binary, tempfile::tempdir()?)?;
        let key = server.root_key()?;
        server.call(&key, "sts", REGION, "Action=GetCallerIdentity&Version=2011-06-15")?;
        answered.push(begun.elapsed().as_secs_f64() * 1000.0);
        ready.push(server.ready_after.as_secs_f64() * 1000.0);
        memory.push(resident(server.id())? / 1024.0);
        drop(server);
        if let Some(moto) = Moto::start()? {
            peer.push(moto.answered_after.as_secs_f64() * 1000.0);
        }
        println!("round {number}: ready after {:.1} ms", ready[number]);
    }
    let cell = |rounds: &[f64], unit| median(rounds).map(|of| of.cell(1, unit)).ok_or("no rounds");
    let mut rows = vec![
        ("`landfall serve` in a new state folder, to its ready line", cell(&ready, " ms")?),
        ("to the first GetCallerIdentity", cell(&answered, " ms")?),
        ("promised to the ready line", "100 ms".to_owned()),
        ("resident memory of `serve` then", cell(&memory, " MiB")?),
    ];
    if let (Some(own), Some(moto)) = (median(&answered), median(&peer)) {
        rows.push(("moto in the same run, to its first GetCallerIdentity", moto.cell(0, " ms")));
        rows.push(("Landfall's part of that", format!("{:.3}", own.middle / moto.middle)));
    }
    page::put("startup", "Start", &rows)
}
