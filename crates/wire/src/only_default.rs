//! Members that are taken with AWS's default alone.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::decode::NOT_HONOURED;

/// A value that AWS documents as the default of a member. Declare one with [`documented_default!`].
pub trait DocumentedDefault {
    /// Whether a value means the default: the default itself, empty, or null.
    fn is_default(value: &serde_json::Value) -> bool;
    /// The default, for the refusal.
    const TEXT: &'static str;
}

/// A member that may be absent, empty or AWS's documented default; anything else is refused by name. It stands for
/// what real clients always send and this program does not honour otherwise (`vpcLatticeConfigurations: []`).
pub struct OnlyDefault<D>(PhantomData<D>);

impl<D> Default for OnlyDefault<D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<D> Clone for OnlyDefault<D> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

/// There is but the one value.
impl<D> PartialEq for OnlyDefault<D> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<D> Eq for OnlyDefault<D> {}

impl<D> fmt::Debug for OnlyDefault<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("default")
    }
}

impl<D> Serialize for OnlyDefault<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl<'de, D: DocumentedDefault> Deserialize<'de> for OnlyDefault<D> {
    fn deserialize<R: Deserializer<'de>>(deserializer: R) -> Result<Self, R::Error> {
        use serde_json::Value;
        let value = Value::deserialize(deserializer)?;
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if empty || D::is_default(&value) {
            return Ok(Self(PhantomData));
        }
        Err(de::Error::custom(format!("{NOT_HONOURED}only {} is supported, not {value}", D::TEXT)))
    }
}

/// Declares a type for [`OnlyDefault`]: `documented_default!(Disabled = "disabled")`. Texts match without case, so
/// that `false` matches both the JSON boolean and the query protocols' text.
#[macro_export]
macro_rules! documented_default {
    ($(#[$doc:meta])* $name:ident = $text:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl $crate::DocumentedDefault for $name {
            const TEXT: &'static str = concat!("the default '", $text, "'");

            fn is_default(value: &$crate::serde_json::Value) -> bool {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text.eq_ignore_ascii_case($text)
            }
        }
    };
}

/// For [`OnlyDefault`]: nothing but an absent or empty value.
#[derive(Debug)]
pub enum Empty {}

impl DocumentedDefault for Empty {
    const TEXT: &'static str = "an empty value";

    fn is_default(_: &serde_json::Value) -> bool {
        false
    }
}

documented_default!(
    /// For [`OnlyDefault`]: `false`.
    False = "false"
);
documented_default!(
    /// For [`OnlyDefault`]: `true`.
    True = "true"
);
