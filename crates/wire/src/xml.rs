//! Writes a response struct as AWS XML.
//!
//! Absent `Option`s write nothing. A list is wrapped in its field's element; its items are named by the protocol
//! (`member`, `item`).

use std::fmt::{self, Write};

use serde::ser::{self, Impossible, Serialize};
use types::Timestamp;

/// Why a value has no XML form. An error of the program, never of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a response cannot be written as XML: {0}")]
pub struct XmlError(String);

impl ser::Error for XmlError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        XmlError(message.to_string())
    }
}

/// The awsQuery envelope: `<XResponse><XResult>…</XResult><ResponseMetadata/></XResponse>`.
///
/// # Errors
/// When the body holds what XML has no form for (a map, a union).
pub fn query_response<T: Serialize>(
    action: &str,
    xmlns: &str,
    request_id: &str,
    body: &T,
) -> Result<String, XmlError> {
    let mut out = format!("<{action}Response xmlns=\"{xmlns}\">");
    body.serialize(Element { out: &mut out, item: "member", name: &format!("{action}Result") })?;
    push(
        &mut out,
        format_args!(
            "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
        ),
    );
    Ok(out)
}

/// The ec2Query envelope: the request id, then the body's fields, flat.
///
/// # Errors
/// As [`query_response`].
pub fn ec2_response<T: Serialize>(
    action: &str,
    xmlns: &str,
    request_id: &str,
    body: &T,
) -> Result<String, XmlError> {
    let mut out = format!("<{action}Response xmlns=\"{xmlns}\"><requestId>{request_id}</requestId>");
    body.serialize(Element { out: &mut out, item: "item", name: "" })?;
    push(&mut out, format_args!("</{action}Response>"));
    Ok(out)
}

fn push(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

/// Puts a text into XML: the five characters that mark up, and control characters, which XML 1.0 cannot hold, as
/// U+FFFD.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            c if c < ' ' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// One element: its name is known, its value is still to come.
struct Element<'a> {
    out: &'a mut String,
    item: &'static str,
    name: &'a str,
}

/// Inside an element: the fields of a struct, the items of a list.
struct Fields<'a> {
    out: &'a mut String,
    item: &'static str,
    close: String,
}

impl<'a> Element<'a> {
    fn text(self, text: &str) -> Result<(), XmlError> {
        push(self.out, format_args!("<{}>", self.name));
        escape(text, self.out);
        push(self.out, format_args!("</{}>", self.name));
        Ok(())
    }

    /// Seconds since 1970, as ISO 8601.
    #[allow(clippy::cast_possible_truncation, reason = "the seconds come from milliseconds in 64 bits")]
    fn time<T: Serialize + ?Sized>(self, seconds: &T) -> Result<(), XmlError> {
        let seconds = serde_json::to_value(seconds).ok().and_then(|value| value.as_f64());
        let seconds = seconds.ok_or_else(|| XmlError("a time is no number".to_owned()))?;
        self.text(&Timestamp::from_millis((seconds * 1000.0).round() as i64).iso())
    }

    /// A map of scalars, as awsQuery writes it: `<entry><key/><value/></entry>`.
    fn entries<T: Serialize + ?Sized>(self, map: &T) -> Result<(), XmlError> {
        let Ok(serde_json::Value::Object(map)) = serde_json::to_value(map) else {
            return Err(XmlError("a map has keys that are no text".to_owned()));
        };
        let mut fields = self.open();
        for (key, value) in map {
            push(fields.out, format_args!("<entry>"));
            fields.field("key", &key)?;
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            fields.field("value", &value)?;
            push(fields.out, format_args!("</entry>"));
        }
        fields.finish();
        Ok(())
    }

    /// Opens the element; the empty name stands for an envelope that is open already.
    fn open(self) -> Fields<'a> {
        if self.name.is_empty() {
            return Fields { out: self.out, item: self.item, close: String::new() };
        }
        push(self.out, format_args!("<{}>", self.name));
        Fields { out: self.out, item: self.item, close: format!("</{}>", self.name) }
    }
}

impl Fields<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), XmlError> {
        value.serialize(Element { out: self.out, item: self.item, name })
    }

    fn finish(self) {
        self.out.push_str(&self.close);
    }
}

macro_rules! scalars {
    ($($method:ident: $ty:ty),*) => {$(
        fn $method(self, v: $ty) -> Result<(), XmlError> { self.text(&v.to_string()) }
    )*};
}
macro_rules! no_form {
    ($($method:ident($($arg:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self $(, _: $arg)*) -> Result<$ok, XmlError> {
            Err(XmlError(concat!("no form for ", stringify!($method)).to_owned()))
        }
    )*};
}

impl<'a> ser::Serializer for Element<'a> {
    type Ok = ();
    type Error = XmlError;
    type SerializeSeq = Fields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeMap = Fields<'a>;
    type SerializeTuple = Impossible<(), XmlError>;
    type SerializeTupleStruct = Impossible<(), XmlError>;
    type SerializeTupleVariant = Impossible<(), XmlError>;
    type SerializeStructVariant = Impossible<(), XmlError>;

    scalars! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64, serialize_char: char
    }

    fn serialize_str(self, v: &str) -> Result<(), XmlError> {
        self.text(v)
    }

    fn serialize_none(self) -> Result<(), XmlError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), XmlError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), XmlError> {
        self.open().finish();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), XmlError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), XmlError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), XmlError> {
        match name {
            crate::time::TIME => self.time(value),
            crate::time::ENTRIES => self.entries(value),
            _ => value.serialize(self),
        }
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Fields<'a>, XmlError> {
        Ok(self.open())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, XmlError> {
        Ok(self.open())
    }

    /// A serde `flatten` in a response becomes a map; its members are fields like others.
    fn serialize_map(self, _: Option<usize>) -> Result<Fields<'a>, XmlError> {
        Ok(self.open())
    }

    no_form! {
        serialize_bytes(&[u8]) -> ();
        serialize_tuple(usize) -> Impossible<(), XmlError>;
        serialize_tuple_struct(&'static str, usize) -> Impossible<(), XmlError>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<(), XmlError>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<(), XmlError>;
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), XmlError> {
        Err(XmlError("no form for a union".to_owned()))
    }
}

impl ser::SerializeSeq for Fields<'_> {
    type Ok = ();
    type Error = XmlError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), XmlError> {
        let item = self.item;
        self.field(item, value)
    }

    fn end(self) -> Result<(), XmlError> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = XmlError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), XmlError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), XmlError> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeMap for Fields<'_> {
    type Ok = ();
    type Error = XmlError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), XmlError> {
        Err(XmlError("no form for a map whose keys come alone".to_owned()))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), XmlError> {
        Err(XmlError("no form for a map whose keys come alone".to_owned()))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), XmlError> {
        match serde_json::to_value(key) {
            Ok(serde_json::Value::String(name)) => self.field(&name, value),
            _ => Err(XmlError("no form for a map with keys that are no text".to_owned())),
        }
    }

    fn end(self) -> Result<(), XmlError> {
        self.finish();
        Ok(())
    }
}
