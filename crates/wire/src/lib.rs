//! AWS's protocols and SigV4: bytes to plain serde structs and back. Knows no service.
//!
//! A request of any protocol becomes a [`Tree`] first; one serde deserializer walks it. Responses of any protocol go
//! through one serde serializer. Nothing here does IO.

mod cbor;
mod decode;
mod error;
mod json;
mod only_default;
mod protocol;
mod shape;
pub mod sigv4;
mod time;
mod tree;
mod writer;
mod xml;

pub use decode::DecodeError;
pub use error::ApiError;
pub use only_default::{DocumentedDefault, Empty, False, OnlyDefault, True};
pub use protocol::{Input, Protocol};
pub use time::{Entries, Time};
pub use tree::Tree;
pub use writer::WriteError;

#[doc(hidden)]
pub use serde_json;
