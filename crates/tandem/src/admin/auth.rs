//! Who may ask: a GET from this machine is free, every other method and everything from beyond loopback needs the token.
//! `Authorization: Bearer TOKEN` (RFC 6750); a wrong or missing one is 401 with a challenge.
//! Leaves out users and roles: there is one token, and it may do everything.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use crate::keys::AdminToken;

/// The middleware in front of every route.
pub(crate) async fn require_token(
    State(token): State<Arc<AdminToken>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match check(&token, request.method(), peer.ip(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(
    token: &AdminToken,
    method: &Method,
    peer: IpAddr,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let reads = *method == Method::GET || *method == Method::HEAD;
    if reads && peer.to_canonical().is_loopback() {
        return Ok(());
    }
    let offered = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, offered)| offered.trim());
    match offered {
        Some(offered) if token.matches(offered) => Ok(()),
        Some(_) => Err(Problem::unauthorized(
            "this is not the token of admin.token_file",
        )),
        None => Err(Problem::unauthorized(
            "a POST, and anything from beyond loopback, needs \"Authorization: Bearer\" with the token of admin.token_file",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> AdminToken {
        let directory = tempfile::tempdir().unwrap();
        crate::keys::admin_token(&directory.path().join("admin.token")).unwrap()
    }

    #[test]
    fn the_token_is_needed_for_every_post_and_for_everything_beyond_loopback() {
        let token = token();
        let right = format!("Bearer {}", token.reveal());
        let lower = format!("bearer {}", token.reveal());
        let basic = format!("Basic {}", token.reveal());
        let table: &[(Method, &str, Option<&str>, bool)] = &[
            (Method::GET, "127.0.0.1", None, true),
            (Method::GET, "127.8.9.1", None, true),
            (Method::HEAD, "::1", None, true),
            (Method::GET, "::ffff:127.0.0.1", None, true),
            (Method::GET, "192.0.2.1", None, false),
            (Method::GET, "::ffff:192.0.2.1", None, false),
            (Method::GET, "192.0.2.1", Some(&right), true),
            (Method::GET, "192.0.2.1", Some("Bearer wrong"), false),
            (Method::POST, "127.0.0.1", None, false),
            (Method::POST, "127.0.0.1", Some("Bearer wrong"), false),
            (Method::POST, "127.0.0.1", Some(&basic), false),
            (Method::POST, "127.0.0.1", Some("Bearer"), false),
            (Method::POST, "127.0.0.1", Some(&right), true),
            (Method::POST, "127.0.0.1", Some(&lower), true),
            (Method::DELETE, "127.0.0.1", None, false),
            (Method::OPTIONS, "127.0.0.1", None, false),
        ];
        for (method, peer, authorization, allowed) in table {
            let mut headers = HeaderMap::new();
            if let Some(value) = authorization {
                headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            }
            let checked = check(&token, method, peer.parse().unwrap(), &headers);
            assert_eq!(
                checked.is_ok(),
                *allowed,
                "{method} from {peer} with {authorization:?}"
            );
        }
    }
}
