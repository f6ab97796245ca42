//! Asks the running proxy through its admin address: one HTTP/1.0 request, one answer, no state.
//! The token is sent whenever the token file exists; a problem (RFC 9457) becomes the one line that says why not.
//! Leaves out TLS and redirects: the admin interface has neither.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::config::Config;
use crate::keys;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A reload of millions of rates takes its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest answer taken.
const ANSWER_SIZE_MAX: u64 = 256 * 1024 * 1024;

/// GETs `path` and returns the JSON.
pub(crate) fn get(config: &Config, path: &str) -> anyhow::Result<Value> {
    ask(config, "GET", path)
}

/// POSTs to `path` and returns the JSON.
pub(crate) fn post(config: &Config, path: &str) -> anyhow::Result<Value> {
    ask(config, "POST", path)
}

fn ask(config: &Config, method: &str, path: &str) -> anyhow::Result<Value> {
    let address = reachable(config.admin.address);
    let token = keys::existing_admin_token(&config.admin.token_file)?;
    let (status, body) = exchange(
        address,
        method,
        path,
        token.as_ref().map(keys::AdminToken::reveal),
    )
    .with_context(|| {
        format!("the proxy can't be reached at its admin address {address} (admin.address)")
    })?;
    let json: Value = serde_json::from_slice(&body).with_context(|| {
        format!("what answers at {address} is no Tandem: {status} without JSON")
    })?;
    if (200..300).contains(&status) {
        return Ok(json);
    }
    let mut message = format!(
        "the proxy refused: {status} {}",
        json["detail"].as_str().unwrap_or("without a reason")
    );
    for fault in json["faults"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        message += "\n";
        message += fault;
    }
    bail!(message)
}

/// One request and its answer: status and body.
pub(crate) fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
    // HTTP/1.0: the answer ends with the connection, never in chunks.
    let mut request =
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n");
    if let Some(token) = token {
        request += &format!("Authorization: Bearer {token}\r\n");
    }
    request += "\r\n";
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_SIZE_MAX).read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, "the answer is no HTTP")
    })
}

fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status_line = head.lines().next()?;
    let status = status_line
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    Some((status, answer[end + 4..].to_vec()))
}

/// Where a listener on a wildcard address can be reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_split_into_status_and_body() {
        assert_eq!(
            parse(b"HTTP/1.0 200 OK\r\na: b\r\n\r\n{}\r\n\r\n"),
            Some((200, b"{}\r\n\r\n".to_vec()))
        );
        assert_eq!(parse(b"SIP/2.0 200 OK\r\n\r\n"), None);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n"), None);
    }

    #[test]
    fn a_wildcard_is_reached_over_loopback() {
        assert_eq!(
            reachable("0.0.0.0:8060".parse().unwrap()),
            "127.0.0.1:8060".parse().unwrap()
        );
        assert_eq!(
            reachable("[::]:8060".parse().unwrap()),
            "[::1]:8060".parse().unwrap()
        );
        assert_eq!(
            reachable("192.0.2.1:8060".parse().unwrap()),
            "192.0.2.1:8060".parse().unwrap()
        );
    }

    #[test]
    fn nobody_listening_is_an_error_that_names_the_address() {
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let environment = [("TANDEM__ADMIN__ADDRESS".to_owned(), free.to_string())];
        let config = crate::config::parse(None, &environment).unwrap();
        let message = format!("{:#}", get(&config, "/v1/status").unwrap_err());
        assert!(
            message.starts_with(&format!(
                "the proxy can't be reached at its admin address {free}"
            )),
            "{message}"
        );
    }
}
