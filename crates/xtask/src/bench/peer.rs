//! A rival beside Landfall, in the same run: moto, where it is on the PATH (`pip install moto[server]`).

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::server::{Key, REGION, answer, query};
use crate::Error;
use crate::program::{Program, Started, is_there};

/// The program.
const MOTO: &str = "moto_server";
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running moto. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Moto {
    _process: Started,
    /// From its start to its answer to GetCallerIdentity.
    pub(crate) answered_after: Duration,
}

impl Moto {
    /// Starts one and waits for its first answer. None: there is no moto here.
    pub(crate) fn start() -> Result<Option<Self>, Error> {
        if !is_there(MOTO) {
            return Ok(None);
        }
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let begun = Instant::now();
        let process =
            Program::new(MOTO).args(["-H", "127.0.0.1", "-p", &address.port().to_string()]).start()?;
        while !answers(address) {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{MOTO} does not answer").into());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(Some(Self { _process: process, answered_after: begun.elapsed() }))
    }
}

fn answers(address: SocketAddr) -> bool {
    let key = Key { id: "AKIAEXAMPLE".to_owned(), secret: "moto verifies none".to_owned(), token: None };
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let ask = || -> Result<u16, Error> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&query(address, &key, "sts", REGION, body, "bench"))?;
        Ok(answer(&mut stream)?.0)
    };
    ask().is_ok_and(|status| status == 200)
}
