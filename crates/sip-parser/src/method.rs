//! The method of a request (RFC 3261 §7.1 and its extensions).
//! Methods are compared octet by octet: they are case-sensitive.
//! Which methods a proxy forwards is not decided here.

/// A request method; unknown ones are kept as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method<'b> {
    /// INVITE, RFC 3261 §13.
    Invite,
    /// ACK, RFC 3261 §17.1.1.3.
    Ack,
    /// BYE, RFC 3261 §15.
    Bye,
    /// CANCEL, RFC 3261 §9.
    Cancel,
    /// OPTIONS, RFC 3261 §11.
    Options,
    /// REGISTER, RFC 3261 §10.
    Register,
    /// PRACK, RFC 3262.
    Prack,
    /// SUBSCRIBE, RFC 6665.
    Subscribe,
    /// NOTIFY, RFC 6665.
    Notify,
    /// PUBLISH, RFC 3903.
    Publish,
    /// INFO, RFC 6086.
    Info,
    /// REFER, RFC 3515.
    Refer,
    /// MESSAGE, RFC 3428.
    Message,
    /// UPDATE, RFC 3311.
    Update,
    /// Any other token.
    Other(&'b [u8]),
}

impl<'b> Method<'b> {
    /// The method that `name` spells.
    pub fn from_bytes(name: &'b [u8]) -> Self {
        match name {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"PRACK" => Self::Prack,
            b"SUBSCRIBE" => Self::Subscribe,
            b"NOTIFY" => Self::Notify,
            b"PUBLISH" => Self::Publish,
            b"INFO" => Self::Info,
            b"REFER" => Self::Refer,
            b"MESSAGE" => Self::Message,
            b"UPDATE" => Self::Update,
            other => Self::Other(other),
        }
    }

    /// The method as it stands in a message.
    pub fn as_bytes(&self) -> &'b [u8] {
        match self {
            Self::Invite => b"INVITE",
            Self::Ack => b"ACK",
            Self::Bye => b"BYE",
            Self::Cancel => b"CANCEL",
            Self::Options => b"OPTIONS",
            Self::Register => b"REGISTER",
            Self::Prack => b"PRACK",
            Self::Subscribe => b"SUBSCRIBE",
            Self::Notify => b"NOTIFY",
            Self::Publish => b"PUBLISH",
            Self::Info => b"INFO",
            Self::Refer => b"REFER",
            Self::Message => b"MESSAGE",
            Self::Update => b"UPDATE",
            Self::Other(name) => name,
        }
    }
}
