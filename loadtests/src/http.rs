//! One HTTP/1.1 request to a loopback admin address, for scripts and tests.
//! RFC 9112 as far as `Connection: close` needs it: the answer is read to its end.
//! Leaves out chunked bodies, redirects and TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Status line and header fields.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Sends `method` `path` to `address`, with a bearer token if given, and reads the answer.
///
/// # Errors
/// When nothing listens there, the answer takes more than five seconds, or it is not HTTP.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
) -> io::Result<Answer> {
    let limit = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let authorization = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n{authorization}\r\n"
    )?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    parse(&String::from_utf8_lossy(&text))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some(Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_head_and_body_are_told_apart() {
        let answer = parse("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nno\n")
            .expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (503, "no\n"));
        assert!(answer.head.contains("Content-Length"));
        assert!(parse("220 smtp ready\r\n\r\n").is_none());
    }
}
