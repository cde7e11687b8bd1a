//! How an enum that is tagged within its object is read.

/// Serde traits for an enum that is derived with `remote = "Self"`. serde reads such an enum by way of a document of its
/// own, with all that is in it, and would be compiled for this in every crate that asks for the enum: here it is compiled
/// once.
macro_rules! read_once {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                fn read(document: serde_json::Value) -> Result<$name, serde_json::Error> {
                    $name::deserialize(document)
                }
                let document = serde_json::Value::deserialize(deserializer)?;
                read(document).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use read_once;

#[cfg(test)]
mod tests {
    use crate::{Body, Observation};

    #[test]
    fn the_kind_stands_among_the_members() {
        let text = r#"{"kind":"names","vpcs":[],"public":[],"internet":true,"api":"127.0.0.1:1"}"#;
        let body: Body = serde_json::from_str(text).unwrap();
        assert!(matches!(&body, Body::Names(names) if names.internet));
        assert_eq!(serde_json::to_string(&body).unwrap(), text);
        let text = r#"{"kind":"removed","part":{"part":"edge"}}"#;
        let removed: Observation = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&removed).unwrap(), text);
        let error = serde_json::from_str::<Body>(r#"{"kind":"moon"}"#).unwrap_err().to_string();
        assert!(error.contains("unknown variant `moon`"), "{error}");
    }
}
