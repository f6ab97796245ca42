//! SIP messages: bytes to borrowed views, and edits back to bytes (RFC 3261 §7, §18.3, §19.1, §20, §25).
//! [`parse_datagram`] indexes a message without copying; [`Edits`] and the writers turn it into the next one.
//! [`Framer`] cuts streams into messages, [`Sdp`] reads their bodies; what a message means is decided elsewhere.

mod edits;
mod error;
mod frame;
mod header;
mod limits;
mod message;
mod method;
mod octet;
mod parse;
mod reason;
mod request;
mod response;
mod salvage;
mod sdp;
mod span;
mod start_line;
mod table;
mod top_via;
mod uri;
mod write;

pub use edits::Edits;
pub use error::{ParseError, ParseErrorKind};
pub use frame::{Frame, FrameError, FrameLimits, Framer};
pub use header::contact::{ContactValue, Contacts};
pub use header::cseq::CSeq;
pub use header::list::Tokens;
pub use header::name::{HeaderName, KnownHeader};
pub use header::name_addr::{NameAddr, NameAddrs};
pub use header::param::{Param, Params};
pub use header::via::{Via, Vias};
pub use limits::Limits;
pub use message::{Header, Headers, Message};
pub use method::Method;
pub use parse::{is_keepalive, parse_datagram};
pub use reason::reason_phrase;
pub use request::{RequestParts, write_ack_non_2xx, write_cancel, write_request};
pub use response::{ResponseParts, write_response};
pub use salvage::salvage;
pub use sdp::connection::Connection;
pub use sdp::media::{Attribute, Direction, Media, RtpMap, Words};
pub use sdp::{
    MediaDescriptions, Sdp, SdpError, SdpErrorKind, SdpLine, SdpLines, has_active_media,
};
pub use table::HeaderTable;
pub use uri::escape::unescape;
pub use uri::host::Host;
pub use uri::tel::TelUri;
pub use uri::{SipUri, Uri, UriError};
pub use write::write_message;
