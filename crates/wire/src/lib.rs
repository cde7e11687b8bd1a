//! AWS's protocols and SigV4: bytes to plain serde structs and back. Knows no service.
//!
//! awsQuery and ec2Query requests become a [`Tree`] first; one serde deserializer walks it. awsJson is serde_json's.
//! Responses go through one XML serializer or serde_json. Nothing here does IO.

mod decode;
mod error;
mod only_default;
mod protocol;
pub mod sigv4;

mod tree;
mod xml;

pub use decode::DecodeError;
pub use error::ApiError;
pub use only_default::{DocumentedDefault, Empty, False, OnlyDefault, True};
pub use protocol::{Input, Protocol};
pub use tree::Tree;
pub use xml::{XmlError, ec2_response, escape, query_response};

#[doc(hidden)]
pub use serde_json;
