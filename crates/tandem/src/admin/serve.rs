//! Connections of the admin interface: HTTP/1.1, so many at a time, each for so long.
//! A client that says nothing, or reads nothing, gives its place up by itself.
//! Leaves out what is answered (`admin.rs`).

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Extension};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How long to wait when no connection can be accepted, for want of file descriptors for one.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections_max: usize,
    /// How long a client may take for the head of a request, and between two requests.
    pub head_patience: Duration,
    /// How long a connection is kept.
    pub lifetime: Duration,
    /// How long the request that runs then may take to its end; a reload takes its time.
    pub last_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            head_patience: Duration::from_secs(10),
            lifetime: Duration::from_secs(300),
            last_patience: Duration::from_secs(120),
        }
    }
}

/// Serves `router` until the process ends.
///
/// # Errors
/// None but that places for connections are closed, which nobody does.
pub(super) async fn connections(
    listener: TcpListener,
    router: &Router,
    limits: Limits,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    connection(stream, peer, router, limits).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "accepting an admin connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, limits: Limits) {
    let service = TowerToHyperService::new(router.layer(Extension(ConnectInfo(peer))));
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_patience)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = tokio::time::sleep(limits.lifetime) => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(limits.last_patience, serving)
                .await
                .unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "an admin connection");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_client_that_says_nothing_loses_its_place_to_the_next_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits {
            connections_max: 1,
            head_patience: Duration::from_millis(300),
            ..Limits::default()
        };
        let whose = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
        let router = Router::new().route("/", axum::routing::get(whose));
        tokio::spawn(async move { connections(listener, &router, limits).await });

        let began = Instant::now();
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET / HT").await.unwrap();
        let mut asks = TcpStream::connect(address).await.unwrap();
        asks.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        asks.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        let peer = asks.local_addr().unwrap().to_string();
        assert!(answer.ends_with(&peer), "{answer}");
        assert!(began.elapsed() >= limits.head_patience, "one at a time");
        // Closed, with or without an answer that says why.
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest).await;
    }
}
