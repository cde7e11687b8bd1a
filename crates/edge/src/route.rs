//! Which load balancer a host names, and which names an AWS endpoint answers to. Pure.

use desired::{Edge, HostRoute};

/// The load balancer that `host` names on a port. Never a guess: with one load balancer alone its name is needed too.
pub fn choose<'a>(edge: &'a Edge, port: u16, host: &str) -> Option<&'a HostRoute> {
    routes(edge, port).find(|route| route.host == host)
}

fn routes(edge: &Edge, port: u16) -> impl Iterator<Item = &HostRoute> {
    edge.listeners.iter().filter(move |listener| listener.port == port).flat_map(|listener| &listener.routes)
}

/// What a person is told who asked for no load balancer of that port.
pub(crate) fn unknown(edge: &Edge, port: u16, host: &str) -> String {
    let mut text = format!("Landfall: no load balancer with a listener on port {port} is named {host}.\n");
    let mut known = routes(edge, port).map(|route| route.host.as_str()).peekable();
    if known.peek().is_none() {
        text.push_str("There is no load balancer on this port.\n");
    } else {
        text.push_str("On this port:\n");
    }
    for name in known {
        let port = if port == 80 { String::new() } else { format!(":{port}") };
        text.push_str(&format!("  http://{name}{port}/\n"));
    }
    text
}

/// A whole HTTP response of plain text, after which the connection is closed.
pub(crate) fn response(status: &str, text: &str) -> Vec<u8> {
    let length = text.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )
    .into_bytes()
}

/// Whether one of an endpoint's names covers the name that a client asks for. `*.` in front stands for exactly one
/// label (RFC 6125).
pub fn covers(names: &[String], asked: &str) -> bool {
    let asked = asked.strip_suffix('.').unwrap_or(asked);
    names.iter().any(|name| match name.strip_prefix("*.") {
        Some(suffix) => asked
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(suffix)),
        None => asked.eq_ignore_ascii_case(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use desired::HostListener;
    use expect_test::expect;
    use std::net::Ipv4Addr;

    fn edge() -> Edge {
        let route = |host: &str, last| HostRoute {
            host: host.to_owned(),
            addresses: vec![Ipv4Addr::new(198, 18, 0, last)],
        };
        Edge {
            api: ([127, 0, 0, 1], 4566).into(),
            host_address: Ipv4Addr::LOCALHOST,
            listeners: vec![
                HostListener {
                    port: 80,
                    routes: vec![route("a.elb.localhost", 1), route("b.elb.localhost", 2)],
                },
                HostListener { port: 8080, routes: vec![route("a.elb.localhost", 1)] },
            ],
            aws_endpoints: Vec::new(),
            vpc_endpoints: Vec::new(),
            internet: false,
            internet_hosts: Vec::new(),
            certificates: Vec::new(),
            private_key: String::new(),
        }
    }

    #[test]
    fn a_host_leads_to_its_load_balancer_on_the_port_it_listens_on() {
        let edge = edge();
        assert_eq!(choose(&edge, 80, "b.elb.localhost").unwrap().addresses, [Ipv4Addr::new(198, 18, 0, 2)]);
        assert_eq!(choose(&edge, 8080, "b.elb.localhost"), None);
        assert_eq!(choose(&edge, 8080, "localhost"), None);
    }

    #[test]
    fn who_asks_for_no_load_balancer_is_told_their_names() {
        expect![[r#"
            Landfall: no load balancer with a listener on port 80 is named localhost.
            On this port:
              http://a.elb.localhost/
              http://b.elb.localhost/
        "#]]
        .assert_eq(&unknown(&edge(), 80, "localhost"));
        expect![[r#"
            Landfall: no load balancer with a listener on port 81 is named localhost.
            There is no load balancer on this port.
        "#]]
        .assert_eq(&unknown(&edge(), 81, "localhost"));
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let names = ["api.ecr.r.amazonaws.com".to_owned(), "*.dkr.ecr.r.amazonaws.com".to_owned()];
        for (asked, covered) in [
            ("API.ecr.r.amazonaws.com", true),
            ("1.dkr.ecr.r.amazonaws.com.", true),
            ("dkr.ecr.r.amazonaws.com", false),
            (".dkr.ecr.r.amazonaws.com", false),
            ("a.b.dkr.ecr.r.amazonaws.com", false),
            ("sts.r.amazonaws.com", false),
        ] {
            assert_eq!(covers(&names, asked), covered, "{asked}");
        }
    }
}
