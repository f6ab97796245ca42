//! A whole node on free loopback ports, asked over HTTP as an operator's tools would.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail loudly wherever it stands"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tandem::config::{self, Config};
use tandem::logging::LogDrops;
use tandem::node::Node;

fn config(directory: &Path) -> Arc<Config> {
    let at = |name: &str| directory.join(name).display().to_string();
    let text = format!(
        "[runtime]\nnode = \"test\"\nworkers = 1\ndrain_timeout_s = 1\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\n\
         [store]\nurl = {:?}\n[journal]\ndirectory = {:?}\n\
         [admin]\naddress = \"127.0.0.1:0\"\ntoken_file = {:?}\n[proxy]\ncookie_key_file = {:?}\n",
        format!("sqlite://{}", at("t.db")),
        at("journal"),
        at("admin.token"),
        at("cookie.key"),
    );
    Arc::new(config::parse(Some(("t.toml", &text)), &[]).unwrap())
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn ask(address: SocketAddr, method: &str, path: &str, token: Option<&str>) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let authorization = token.map_or(String::new(), |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    write!(stream, "{method} {path} HTTP/1.0\r\n{authorization}\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

#[test]
fn the_admin_interface_reads_freely_on_loopback_and_posts_with_the_token() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(config(directory.path()), LogDrops::default()).unwrap();
    let admin = node.admin_address();
    let token = std::fs::read_to_string(directory.path().join("admin.token")).unwrap();

    assert_eq!(ask(admin, "GET", "/healthz", None).status, 200);
    assert_eq!(ask(admin, "GET", "/readyz", None).status, 200);

    let status = ask(admin, "GET", "/v1/status", None);
    assert_eq!(status.status, 200);
    let json = status.json();
    assert_eq!(
        (json["node"].as_str(), json["state"].as_str()),
        (Some("test"), Some("serving"))
    );
    assert_eq!(
        json["listen"][0]["address"],
        node.addresses()[0].to_string()
    );
    assert_eq!(json["workers"].as_array().unwrap().len(), 1);
    assert!(
        !status.body.contains(token.trim()) && !status.body.contains("t.db"),
        "{}",
        status.body
    );

    let metrics = ask(admin, "GET", "/metrics", None);
    assert!(
        metrics.head.contains("text/plain; version=0.0.4"),
        "{}",
        metrics.head
    );
    assert!(
        metrics.body.contains("\ntandem_calls{lane=\"0\"} 0\n"),
        "{}",
        metrics.body
    );

    assert_eq!(
        ask(admin, "GET", "/v1/calls", None).json()["calls"],
        Value::Array(Vec::new())
    );

    for query in ["limit=0", "limit=10001", "limit=many", "most=3"] {
        let refused = ask(admin, "GET", &format!("/v1/calls?{query}"), None);
        assert_eq!(refused.status, 400, "{query}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("allowed: limit, 1 to 10000"), "{detail}");
    }
    let refused = ask(admin, "POST", "/v1/reload", None);
    assert_eq!(refused.status, 401);
    assert!(
        refused
            .head
            .to_lowercase()
            .contains("www-authenticate: bearer"),
        "{}",
        refused.head
    );
    assert!(
        refused.head.contains("application/problem+json"),
        "{}",
        refused.head
    );
    assert_eq!(refused.json()["status"], 401);
    assert_eq!(
        ask(admin, "POST", "/v1/reload", Some("wrong-token-wrong-token")).status,
        401
    );
    let reloaded = ask(admin, "POST", "/v1/reload", Some(token.trim()));
    assert_eq!(
        (reloaded.status, reloaded.json()["customers"].as_u64()),
        (200, Some(0))
    );

    let unknown = ask(admin, "GET", "/v1/route?number=49&customer=acme", None);
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.json()["detail"], "there is no customer \"acme\"");
    let incomplete = ask(admin, "GET", "/v1/route?number=49", None);
    assert_eq!(incomplete.status, 400);
    assert!(
        incomplete.json()["detail"]
            .as_str()
            .unwrap()
            .contains("allowed: number, customer, from, at, source")
    );

    let nothing = ask(admin, "GET", "/v2", None);
    assert_eq!(
        (nothing.status, nothing.json()["title"].as_str()),
        (404, Some("Not Found"))
    );
    assert_eq!(ask(admin, "GET", "/v1/drain", None).status, 405);

    let draining = ask(admin, "POST", "/v1/drain", Some(token.trim()));
    assert_eq!(
        (draining.status, draining.json()["state"].as_str()),
        (202, Some("draining"))
    );
    assert_eq!(ask(admin, "GET", "/readyz", None).status, 503);
    assert_eq!(ask(admin, "GET", "/healthz", None).status, 200);
    node.wait_for_drain();
    node.drain().unwrap();
    assert!(
        TcpStream::connect(admin).is_err(),
        "the admin interface ends with the node"
    );
}

#[test]
fn two_nodes_never_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let first = Node::start(config(directory.path()), LogDrops::default()).unwrap();
    let error = Node::start(config(directory.path()), LogDrops::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("in use by process"), "{error}");
    first.drain().unwrap();
    let again = Node::start(config(directory.path()), LogDrops::default()).unwrap();
    again.drain().unwrap();
}

#[test]
fn an_admin_port_in_use_is_one_clear_line() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::clone(&config(directory.path()));
    config.admin.address = taken.local_addr().unwrap();
    let error = Node::start(Arc::new(config), LogDrops::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("admin.address {}: ", taken.local_addr().unwrap())),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn a_sip_port_in_use_is_refused_even_by_a_socket_that_would_share_it() {
    let first_directory = tempfile::tempdir().unwrap();
    let first = Node::start(config(first_directory.path()), LogDrops::default()).unwrap();
    let second_directory = tempfile::tempdir().unwrap();
    let mut config = Config::clone(&config(second_directory.path()));
    config.listen[0].address = first.addresses()[0];
    let error = Node::start(Arc::new(config), LogDrops::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains(&first.addresses()[0].to_string()), "{error}");
    assert_eq!(error.lines().count(), 1);
    first.drain().unwrap();
}
