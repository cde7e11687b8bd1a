// An HTTP server on port 3000 that answers with its environment variables whose names begin with SHOWN_.

use std::io::{BufRead, BufReader, Write};

fn main() -> std::io::Result<()> {
    let body: String = std::env::vars()
        .filter(|(name, _)| name.starts_with("SHOWN_"))
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    for stream in std::net::TcpListener::bind("0.0.0.0:3000")?.incoming() {
        let mut stream = stream?;
        for line in BufReader::new(&stream).lines() {
            if line?.is_empty() {
                break;
            }
        }
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
    Ok(())
}
