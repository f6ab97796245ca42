//! A Tandem of its own: a temp directory, a loopback address, tables, configuration, and the running process.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use loadtests::http;
use loadtests::proxy_process::ProxyProcess;
use serde_json::Value;
use tempfile::TempDir;

use super::cdr::{Cdr, parse_cdrs};

static SETUPS: AtomicU32 = AtomicU32::new(0);

/// What the customer pays per minute, and for the connection.
pub(crate) const CUSTOMER_RATE: &str = "0.60";
pub(crate) const CUSTOMER_CONNECT_FEE: &str = "0.02";

/// A configuration and tables, not running yet.
pub(crate) struct Setup {
    directory: TempDir,
    /// The address that belongs to this setup alone; peers use other ports of it.
    pub(crate) ip: IpAddr,
    /// Where SIP is received.
    pub(crate) sip: SocketAddr,
    /// The admin address.
    pub(crate) admin: SocketAddr,
    keys: BTreeMap<String, String>,
    vendors: Vec<(String, SocketAddr, String)>,
    tables: BTreeMap<String, String>,
}

impl Setup {
    /// One customer, `acme`, known by this setup's address; numbers below 49; no vendor yet.
    pub(crate) fn new() -> Self {
        // 127.64.0.0/10 has room for 1,024 processes of 256 setups each; neighbours never share one.
        let number =
            ((std::process::id() % 1_024) << 8) | (SETUPS.fetch_add(1, Ordering::Relaxed) % 256);
        let ip = IpAddr::V4(Ipv4Addr::from(
            u32::from(Ipv4Addr::new(127, 64, 0, 0)) + number,
        ));
        let directory = TempDir::with_prefix("tandem-drill-").expect("a temp directory");
        let (sip, admin) = (SocketAddr::new(ip, 5060), SocketAddr::new(ip, 8060));
        let data = directory.path().display().to_string();
        let mut setup = Self {
            directory,
            ip,
            sip,
            admin,
            keys: BTreeMap::new(),
            vendors: Vec::new(),
            tables: BTreeMap::new(),
        };
        setup.set("runtime.workers", "2");
        setup.set("runtime.node", "\"drill\"");
        setup.set("store.url", &format!("\"sqlite://{data}/tandem.db\""));
        setup.set("journal.directory", &format!("\"{data}/journal\""));
        setup.set("admin.address", &format!("\"{admin}\""));
        setup.set("admin.token_file", &format!("\"{data}/admin.token\""));
        setup.set("proxy.cookie_key_file", &format!("\"{data}/cookie.key\""));
        setup.set("log.level", "\"info\"");
        setup.table(
            "customers.csv",
            "name,rate_sheet,routing_plan\nacme,retail,world\n",
        );
        setup.table(
            "customer_addresses.csv",
            &format!("customer,address\nacme,{ip}\n"),
        );
        setup.table("routing_plans.csv", "name,mode\nworld,lcr\n");
        setup
    }

    /// An address of this setup.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, port)
    }

    /// The directory with everything in it.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Sets `section.key` to a TOML value.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.keys.insert(key.to_owned(), value.to_owned());
    }

    /// A vendor with one gateway and a price per minute for numbers below 49; the cheapest is tried first.
    pub(crate) fn vendor(&mut self, name: &str, gateway: SocketAddr, rate: &str) {
        self.vendors
            .push((name.to_owned(), gateway, rate.to_owned()));
    }

    /// Replaces a table; those of vendors are written from [`Setup::vendor`] unless replaced.
    pub(crate) fn table(&mut self, file: &str, text: &str) {
        self.tables.insert(file.to_owned(), text.to_owned());
    }

    /// Writes the configuration file and says where it is.
    pub(crate) fn write_config(&self) -> PathBuf {
        let mut sections: BTreeMap<&str, String> = BTreeMap::new();
        for (key, value) in &self.keys {
            let (section, key) = key.split_once('.').expect("section.key");
            let _ = writeln!(sections.entry(section).or_default(), "{key} = {value}");
        }
        let mut text = format!(
            "[[listen]]\ntransport = \"udp\"\naddress = \"{}\"\n",
            self.sip
        );
        for (section, keys) in sections {
            let _ = write!(text, "\n[{section}]\n{keys}");
        }
        let path = self.path().join("tandem.toml");
        fs::write(&path, text).expect("written");
        path
    }

    /// Writes the CSV files and says where they are.
    pub(crate) fn write_tables(&self) -> PathBuf {
        let directory = self.path().join("tables");
        fs::create_dir_all(&directory).expect("created");
        let mut vendors = "name,rate_sheet\n".to_owned();
        let mut gateways = "vendor,address\n".to_owned();
        let mut routes = "plan,prefix,vendor\n".to_owned();
        let mut rates = format!(
            "sheet,prefix,rate,connect_fee\nretail,49,{CUSTOMER_RATE},{CUSTOMER_CONNECT_FEE}\n"
        );
        for (name, gateway, rate) in &self.vendors {
            let _ = writeln!(vendors, "{name},sheet-{name}");
            let _ = writeln!(gateways, "{name},{gateway}");
            let _ = writeln!(routes, "world,49,{name}");
            let _ = writeln!(rates, "sheet-{name},49,{rate},0");
        }
        let written = [
            ("vendors.csv", vendors),
            ("vendor_gateways.csv", gateways),
            ("routes.csv", routes),
            ("rates.csv", rates),
        ];
        for (file, text) in written {
            fs::write(directory.join(file), self.tables.get(file).unwrap_or(&text))
                .expect("written");
        }
        for (file, text) in &self.tables {
            fs::write(directory.join(file), text).expect("written");
        }
        directory
    }

    /// A command of the binary with this setup's configuration, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path().join("tandem.toml"))
            .current_dir(self.path());
        command
    }

    /// Runs a command of the binary to its end.
    pub(crate) fn tandem(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Writes the configuration and loads the tables; fails the drill when they are refused.
    pub(crate) fn load(&self) {
        self.write_config();
        let tables = self.write_tables();
        let output = self.tandem(&["load", &tables.display().to_string()]);
        assert!(
            output.status.success(),
            "load: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Loads the tables and starts the proxy.
    pub(crate) fn start(&self) -> Proxy<'_> {
        self.load();
        self.start_again()
    }

    /// Starts the proxy on what is there already.
    pub(crate) fn start_again(&self) -> Proxy<'_> {
        self.write_config();
        let log = self.log_path();
        let process = ProxyProcess::spawn(self.command(&["run"]), &log).expect("the binary runs");
        let mut proxy = Proxy {
            setup: self,
            process,
        };
        if let Err(error) = proxy
            .process
            .wait_ready(self.admin, Duration::from_secs(20))
        {
            panic!("{error}; its log:\n{}", self.log());
        }
        proxy
    }

    fn log_path(&self) -> PathBuf {
        self.path().join("tandem.log")
    }

    /// What the proxy has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// All CDRs in the store, oldest first.
    pub(crate) fn cdrs(&self) -> Vec<Cdr> {
        let output = self.tandem(&["cdr", "--format", "json", "--limit", "1000000"]);
        assert!(
            output.status.success(),
            "cdr: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        parse_cdrs(&String::from_utf8(output.stdout).expect("UTF-8"))
    }

    /// Waits until there are `count` CDRs, then makes sure that no more follow.
    ///
    /// A call past a silent vendor has its CDR when that vendor can't answer any more: after Timer B, 32 s.
    pub(crate) fn expect_cdrs(&self, count: usize) -> Vec<Cdr> {
        let until = Instant::now() + Duration::from_secs(45);
        loop {
            let seen = self.cdrs().len();
            if seen >= count {
                break;
            }
            assert!(
                Instant::now() < until,
                "{seen} of {count} CDRs are in the store; log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_millis(300));
        let cdrs = self.cdrs();
        assert_eq!(cdrs.len(), count, "CDRs in the store; log:\n{}", self.log());
        cdrs
    }
}

/// A running proxy; ended when dropped.
pub(crate) struct Proxy<'a> {
    setup: &'a Setup,
    /// The process.
    pub(crate) process: ProxyProcess,
}

impl Proxy<'_> {
    /// `GET path` of the admin address.
    pub(crate) fn get(&self, path: &str) -> http::Answer {
        http::request(self.setup.admin, "GET", path, None).expect("the admin address answers")
    }

    /// `GET path` as JSON; fails the drill on any other status than 200.
    pub(crate) fn get_json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// The rows of `/v1/calls`.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let body = self.get_json("/v1/calls");
        let rows = body.as_array().or_else(|| body["calls"].as_array());
        rows.expect("a list of calls").clone()
    }

    /// `POST path` with the token of the token file.
    pub(crate) fn post(&self, path: &str) -> http::Answer {
        let token =
            fs::read_to_string(self.setup.path().join("admin.token")).expect("the token file");
        http::request(self.setup.admin, "POST", path, Some(token.trim()))
            .expect("the admin address answers")
    }

    /// SIGTERM, then waits for a clean end.
    pub(crate) fn stop(mut self) {
        self.process.terminate().expect("signalled");
        self.expect_clean_end(Duration::from_secs(40));
    }

    /// Waits for the end with exit code 0.
    pub(crate) fn expect_clean_end(&mut self, limit: Duration) {
        match self.process.wait(limit) {
            Ok(status) => assert_eq!(
                status.code(),
                Some(0),
                "exit code; log:\n{}",
                self.setup.log()
            ),
            Err(error) => panic!("{error}; log:\n{}", self.setup.log()),
        }
    }
}
