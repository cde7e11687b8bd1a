//! Which public addresses are taken, elastic and automatic ones alike. All accounts and regions share one `internet`.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use store::{Row, Tx};
use types::random_hex;
use wire::ApiError;

/// A public address that is taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PublicAddress {
    /// The address; the row's key.
    pub(super) address: Ipv4Addr,
}

impl Row for PublicAddress {
    const TABLE: &'static str = "ec2_public_address";

    fn key(&self) -> String {
        self.address.to_string()
    }
}

/// The second half of 198.18.0.0/16's address at a place; no address ends in .0 or .255, which some programs take for
/// a network's own.
fn at(place: u32) -> Ipv4Addr {
    let place = place % (256 * 254);
    let [third, fourth] = [place / 254, place % 254 + 1].map(|part| u8::try_from(part).unwrap_or(1));
    Ipv4Addr::new(198, 18, third, fourth)
}

/// Takes a free address, at random: one that was given back a moment ago is hardly met again while peers still keep
/// connections to it.
pub(super) fn take(rows: &mut Tx) -> Result<Ipv4Addr, ApiError> {
    let start = u32::from_str_radix(&random_hex(6), 16).unwrap_or(0);
    let free = (0..256 * 254)
        .map(|step| at(start + step))
        .find(|address| rows.get::<PublicAddress>(&address.to_string()).is_none());
    let Some(address) = free else {
        return Err(ApiError::new(
            "InsufficientAddressCapacity",
            "Not enough free addresses are available: all of 198.18.0.0/16 are taken.",
        ));
    };
    rows.put(PublicAddress { address });
    Ok(address)
}

/// Gives an address back.
pub(super) fn give_back(rows: &mut Tx, address: Ipv4Addr) {
    rows.delete::<PublicAddress>(&address.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_an_address_of_its_own_without_the_ends() {
        let all: std::collections::BTreeSet<Ipv4Addr> = (0..256 * 254).map(at).collect();
        assert_eq!(all.len(), 256 * 254);
        assert!(all.iter().all(|address| !matches!(address.octets()[3], 0 | 255)));
        assert!(all.iter().all(|address| address.octets()[..2] == [198, 18]));
    }
}
