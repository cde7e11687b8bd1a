//! The internet as VPCs see it: whether it is the real one, and the pretend hosts that stand on it. Landfall's own, no
//! service of AWS: changed by `landfall internet`, kept in the store as everything else.

mod host;

use serde::{Deserialize, Serialize};
use store::{Row, Snapshot, TableDef, Tx, table};
use types::PartId;

pub use host::{Called, Host, Mapping, NotMapped, Place, PlaceError, hosts, map, unmap};

pub(crate) const TABLES: &[TableDef] = &[table::<Internet>(), table::<Host>()];

/// Whether what leaves through an internet gateway goes on to the real network. One row; without it it does not.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Internet {
    on: bool,
}

impl Row for Internet {
    const TABLE: &'static str = "internet";

    fn key(&self) -> String {
        "internet".to_owned()
    }

    fn parts(&self) -> Vec<PartId> {
        vec![PartId::Edge, PartId::Names]
    }
}

/// Whether what leaves through an internet gateway goes on to the real network.
pub fn is_on(rows: &Snapshot) -> bool {
    rows.get::<Internet>("internet").is_some_and(|internet| internet.on)
}

/// Turns it on or off.
pub fn turn(rows: &mut Tx, on: bool) {
    if is_on(rows) != on {
        rows.put(Internet { on });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::project;
    use crate::testing::settings;
    use desired::Body;
    use store::Store;

    #[test]
    fn the_edge_carries_to_pretend_hosts_and_every_vpc_resolves_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("landfall.db"), &crate::tables()).unwrap();
        let written = store.write(|rows| {
            for place in ["api.example.com:443", "api.example.com:80", "203.0.113.7"] {
                map(rows, place.parse().unwrap(), ([127, 0, 0, 1], 9_000).into())?;
            }
            turn(rows, true);
            Ok::<_, NotMapped>(())
        });
        written.unwrap().unwrap();
        let rows = store.snapshot();
        let Some(Body::Edge(edge)) = project(&rows, &settings(), &PartId::Edge) else { panic!("no edge") };
        assert!(edge.internet);
        let hosts: Vec<_> = edge
            .internet_hosts
            .iter()
            .map(|host| format!("{:?} {} {:?}", host.name, host.address, host.port))
            .collect();
        assert_eq!(
            hosts,
            [
                "None 203.0.113.7 None",
                "Some(\"api.example.com\") 198.19.128.1 Some(443)",
                "Some(\"api.example.com\") 198.19.128.1 Some(80)",
            ]
        );
        let Some(Body::Names(names)) = project(&rows, &settings(), &PartId::Names) else {
            panic!("no names")
        };
        assert!(names.internet);
        let found: Vec<_> = names.public.iter().filter(|record| record.name == "api.example.com").collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].addresses, [std::net::Ipv4Addr::new(198, 19, 128, 1)]);
    }
}
