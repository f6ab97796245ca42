//! Typed views of header field values (RFC 3261 §20), one file for each kind of value.
//! They are made on demand from the bytes of a message and borrow from it.
//! Headers that neither routing nor accounting reads stay opaque.

pub(crate) mod contact;
pub(crate) mod cseq;
pub(crate) mod list;
pub(crate) mod name;
pub(crate) mod name_addr;
pub(crate) mod param;
pub(crate) mod usual;
pub(crate) mod via;
