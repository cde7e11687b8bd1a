//! Writes a response struct in any of the protocols: the one serde serializer that all of them share.
//!
//! Every response struct is compiled for this serializer, so that what it does for each of them is kept small. In XML
//! absent `Option`s write nothing, a list is wrapped in its field's element, and its items are named by the protocol
//! (`member`, `item`).

use std::fmt;
use std::io::Write;

use serde::ser::{self, Impossible, Serialize};
use types::Timestamp;

use crate::time::{ENTRIES, TIME};
use crate::{cbor, xml};

/// Why a value has no form in a protocol. An error of the program, never of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a response cannot be written: {0}")]
pub struct WriteError(Box<str>);

impl ser::Error for WriteError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        WriteError(message.to_string().into())
    }
}

fn no_form<T>(what: &str) -> Result<T, WriteError> {
    Err(WriteError(format!("no form for {what}").into()))
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// With the name of lists' items.
    Xml(&'static str),
    Json,
    Cbor,
}

/// What is written so far.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) out: Vec<u8>,
    format: Format,
}

impl Writer {
    pub(crate) fn new(format: Format) -> Self {
        Self { out: Vec::new(), format }
    }

    /// Writes one value; in XML as the element `name`, or flat where that is empty.
    pub(crate) fn value<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), WriteError> {
        value.serialize(Element { writer: self, name, kind: Kind::Plain })
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn tag(&mut self, open: &str, name: &str) {
        self.push(open);
        self.push(name);
        self.push(">");
    }

    fn print(&mut self, value: impl fmt::Display) {
        // Writing to a vector cannot fail.
        let _ = write!(self.out, "{value}");
    }

    /// A text or a number in JSON.
    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Neither fails.
        let _ = serde_json::to_writer(&mut self.out, value);
    }
}

/// What a value is besides what serde says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// A number that is a [`crate::Time`].
    Time,
    /// A map that is [`crate::Entries`], or a value of one.
    Entries,
}

/// A value that is still to come. The name is an XML element's.
#[derive(Debug)]
pub(crate) struct Element<'a> {
    writer: &'a mut Writer,
    name: &'a str,
    kind: Kind,
}

/// Inside a value: the fields of a struct, the entries of a map, the items of a list.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    writer: &'a mut Writer,
    name: &'a str,
    kind: Kind,
    is_list: bool,
    is_first: bool,
    /// Whether the list or map has no length in front.
    is_open: bool,
    /// The key of the value to come.
    key: String,
}

impl<'a> Element<'a> {
    /// A value without markup.
    fn scalar(self, write: impl FnOnce(&mut Writer)) -> Result<(), WriteError> {
        if let Format::Xml(_) = self.writer.format {
            self.writer.tag("<", self.name);
            write(self.writer);
            self.writer.tag("</", self.name);
        } else {
            write(self.writer);
        }
        Ok(())
    }

    fn text(self, text: &str) -> Result<(), WriteError> {
        self.scalar(|writer| match writer.format {
            Format::Xml(_) => xml::escape(text, &mut writer.out),
            Format::Json => writer.json(text),
            Format::Cbor => cbor::text(text, &mut writer.out),
        })
    }

    fn unsigned(self, number: u64) -> Result<(), WriteError> {
        self.scalar(|writer| match writer.format {
            Format::Xml(_) | Format::Json => writer.print(number),
            Format::Cbor => cbor::head(cbor::UNSIGNED, number, &mut writer.out),
        })
    }

    fn signed(self, number: i64) -> Result<(), WriteError> {
        if let Ok(number) = u64::try_from(number) {
            return self.unsigned(number);
        }
        self.scalar(|writer| match writer.format {
            Format::Xml(_) | Format::Json => writer.print(number),
            // -1 is 0 of the negative numbers.
            Format::Cbor => cbor::head(cbor::NEGATIVE, !number.cast_unsigned(), &mut writer.out),
        })
    }

    #[allow(clippy::cast_possible_truncation, reason = "the seconds come from milliseconds in 64 bits")]
    fn float(self, number: f64) -> Result<(), WriteError> {
        let kind = self.kind;
        self.scalar(|writer| match (writer.format, kind) {
            (Format::Xml(_), Kind::Time) => {
                writer.push(&Timestamp::from_millis((number * 1000.0).round() as i64).iso());
            }
            (Format::Xml(_), Kind::Plain) => writer.print(number),
            (Format::Json, _) | (Format::Xml(_), Kind::Entries) => writer.json(&number),
            (Format::Cbor, kind) => {
                if kind == Kind::Time {
                    cbor::head(cbor::TAG, 1, &mut writer.out);
                }
                cbor::float(number, &mut writer.out);
            }
        })
    }

    /// Null; in XML nothing.
    fn absent(self) -> Result<(), WriteError> {
        match self.writer.format {
            Format::Xml(_) => {}
            Format::Json => self.writer.push("null"),
            Format::Cbor => self.writer.out.push(cbor::NULL),
        }
        Ok(())
    }

    /// Opens a list or a map. The empty name stands for an XML envelope that is open already.
    fn open(self, is_list: bool, length: Option<usize>) -> Fields<'a> {
        let Element { writer, name, kind } = self;
        match writer.format {
            Format::Xml(_) if name.is_empty() => {}
            Format::Xml(_) => writer.tag("<", name),
            Format::Json => writer.push(if is_list { "[" } else { "{" }),
            Format::Cbor => {
                cbor::open(if is_list { cbor::ARRAY } else { cbor::MAP }, length, &mut writer.out);
            }
        }
        Fields { writer, name, kind, is_list, is_first: true, is_open: length.is_none(), key: String::new() }
    }
}

impl Fields<'_> {
    /// What stands before a field or an item.
    fn before(&mut self, name: &str) {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.writer.format {
            Format::Xml(_) if self.kind == Kind::Entries => {
                self.writer.push("<entry><key>");
                xml::escape(name, &mut self.writer.out);
                self.writer.push("</key>");
            }
            Format::Xml(_) => {}
            Format::Json => {
                if !is_first {
                    self.writer.push(",");
                }
                if !self.is_list {
                    self.writer.json(name);
                    self.writer.push(":");
                }
            }
            Format::Cbor if self.is_list => {}
            Format::Cbor => cbor::text(name, &mut self.writer.out),
        }
    }

    fn after(&mut self) {
        if self.kind == Kind::Entries && matches!(self.writer.format, Format::Xml(_)) {
            self.writer.push("</entry>");
        }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), WriteError> {
        self.before(name);
        let name = if self.kind == Kind::Entries { "value" } else { name };
        value.serialize(Element { writer: &mut *self.writer, name, kind: self.kind })?;
        self.after();
        Ok(())
    }

    fn finish(self) -> Result<(), WriteError> {
        match self.writer.format {
            Format::Xml(_) if self.name.is_empty() => {}
            Format::Xml(_) => self.writer.tag("</", self.name),
            Format::Json => self.writer.push(if self.is_list { "]" } else { "}" }),
            Format::Cbor if self.is_open => self.writer.out.push(cbor::BREAK),
            Format::Cbor => {}
        }
        Ok(())
    }
}

macro_rules! scalars {
    ($($method:ident: $ty:ty => $write:ident),*) => {$(
        fn $method(self, value: $ty) -> Result<(), WriteError> { self.$write(value.into()) }
    )*};
}

impl<'a> ser::Serializer for Element<'a> {
    type Ok = ();
    type Error = WriteError;
    type SerializeSeq = Fields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeMap = Fields<'a>;
    type SerializeTuple = Fields<'a>;
    type SerializeTupleStruct = Impossible<(), WriteError>;
    type SerializeTupleVariant = Impossible<(), WriteError>;
    type SerializeStructVariant = Impossible<(), WriteError>;

    scalars! {
        serialize_i8: i8 => signed, serialize_i16: i16 => signed, serialize_i32: i32 => signed,
        serialize_i64: i64 => signed, serialize_u8: u8 => unsigned, serialize_u16: u16 => unsigned,
        serialize_u32: u32 => unsigned, serialize_u64: u64 => unsigned, serialize_f32: f32 => float,
        serialize_f64: f64 => float
    }

    fn serialize_bool(self, value: bool) -> Result<(), WriteError> {
        self.scalar(|writer| match writer.format {
            Format::Xml(_) | Format::Json => writer.push(if value { "true" } else { "false" }),
            Format::Cbor => writer.out.push(if value { cbor::TRUE } else { cbor::FALSE }),
        })
    }

    fn serialize_char(self, value: char) -> Result<(), WriteError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), WriteError> {
        self.text(value)
    }

    fn serialize_none(self) -> Result<(), WriteError> {
        self.absent()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), WriteError> {
        value.serialize(self)
    }

    /// An element without content, or null.
    fn serialize_unit(self) -> Result<(), WriteError> {
        match self.writer.format {
            Format::Xml(_) => self.open(false, None).finish(),
            _ => self.absent(),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), WriteError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), WriteError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        match name {
            TIME => self.kind = Kind::Time,
            ENTRIES => self.kind = Kind::Entries,
            _ => {}
        }
        value.serialize(self)
    }

    /// A union: an object with one member.
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        let mut fields = self.open(false, Some(1));
        fields.field(variant, value)?;
        fields.finish()
    }

    fn serialize_seq(mut self, length: Option<usize>) -> Result<Fields<'a>, WriteError> {
        self.kind = Kind::Plain;
        Ok(self.open(true, length))
    }

    fn serialize_tuple(self, length: usize) -> Result<Fields<'a>, WriteError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_struct(mut self, _: &'static str, length: usize) -> Result<Fields<'a>, WriteError> {
        self.kind = Kind::Plain;
        Ok(self.open(false, Some(length)))
    }

    /// A map, or a struct with a serde `flatten`, whose members are fields like others.
    fn serialize_map(self, length: Option<usize>) -> Result<Fields<'a>, WriteError> {
        Ok(self.open(false, length))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), WriteError> {
        no_form("bytes")
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), WriteError>, WriteError> {
        no_form("a struct without names")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), WriteError>, WriteError> {
        no_form("a variant without names")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), WriteError>, WriteError> {
        no_form("a variant with members")
    }
}

impl ser::SerializeSeq for Fields<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        let item = if let Format::Xml(item) = self.writer.format { item } else { "" };
        self.field(item, value)
    }

    fn end(self) -> Result<(), WriteError> {
        self.finish()
    }
}

impl ser::SerializeTuple for Fields<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), WriteError> {
        self.finish()
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), WriteError> {
        self.finish()
    }
}

impl ser::SerializeMap for Fields<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), WriteError> {
        // The key's own text, whatever type it has: JSON's without the quotation marks around it.
        self.key = match serde_json::to_value(key) {
            Ok(serde_json::Value::String(text)) => text,
            _ => return no_form("a map with keys that are no text"),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        let key = std::mem::take(&mut self.key);
        self.field(&key, value)
    }

    fn end(self) -> Result<(), WriteError> {
        self.finish()
    }
}
