//! The command line: one binary, one flat list of commands.
//! Parses and nothing more; each command is a file of `commands/`.
//! Leaves out defaults that belong to the configuration.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Tandem: a Class 4 SIP proxy. Routes each call to the cheapest working vendor, fails over, and keeps the record of
/// what the call cost.
#[derive(Debug, Parser)]
#[command(
    name = "tandem",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// The configuration file [default: ./tandem.toml where there is one, else built-in defaults]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the proxy; SIGTERM drains, SIGHUP reloads the routing data
    Run,
    /// Validates the configuration and the routing data; one line per fault
    Check,
    /// Imports the CSV files of a directory into the store: all of it or nothing
    Load(LoadArgs),
    /// Writes the routing data of the store as CSV files, the inverse of `load`
    Export(ExportArgs),
    /// Explains where a call would go, at what price, and why
    Route(RouteArgs),
    /// Shows call records, newest first
    Cdr(CdrArgs),
    /// Shows the state of the running proxy
    Status(ViewArgs),
    /// Has the running proxy read the routing data anew
    Reload,
    /// Has the running proxy refuse new calls, finish the others and end
    Drain,
    /// Shows the workers of the running proxy
    Ps(ViewArgs),
    /// Shows the calls of the running proxy
    Calls(CallsArgs),
    /// Starts a proxy, two vendors and a caller in this process, places calls and shows the rated CDRs
    Demo,
}

/// Arguments of `load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The directory with customers.csv, routes.csv and so on
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Removes from the store what the files don't name
    #[arg(long)]
    pub replace: bool,
    /// Checks everything and writes nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The directory to write the files to; created when missing
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Arguments of `route`.
#[derive(Debug, Args)]
pub struct RouteArgs {
    /// The number dialled, as the customer would send it
    #[arg(value_name = "NUMBER")]
    pub number: String,
    /// The customer who calls
    #[arg(long, value_name = "NAME")]
    pub customer: String,
    /// The caller's number
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub from: String,
    /// When the call is placed [default: now]
    #[arg(long, value_name = "RFC3339")]
    pub at: Option<String>,
    /// Where the call comes from; decides the tech prefix [default: the number has none]
    #[arg(long, value_name = "IP[:PORT]")]
    pub source: Option<String>,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// How call records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CdrFormat {
    /// A table for people
    Table,
    /// One JSON object a line, with all keys
    Json,
    /// CSV with all keys
    Csv,
}

/// Arguments of `cdr`.
#[derive(Debug, Args)]
pub struct CdrArgs {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u32,
    /// Only calls with this Call-ID
    #[arg(long, value_name = "ID")]
    pub call_id: Option<String>,
    /// Only calls set up at or after this moment (RFC 3339)
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Only calls set up before this moment (RFC 3339)
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = CdrFormat::Table)]
    pub format: CdrFormat,
}

/// Arguments of `calls`.
#[derive(Debug, Args)]
pub struct CallsArgs {
    /// How many of each worker at most, 1 to 10000 [default: 1000]
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Prints the JSON as the proxy sent it
    #[arg(long)]
    pub json: bool,
}

/// Arguments of the commands that show something of the running proxy.
#[derive(Debug, Args)]
pub struct ViewArgs {
    /// Prints the JSON as the proxy sent it
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_list_of_commands_holds_what_exists_and_nothing_else() {
        let command = Cli::command();
        let names: Vec<_> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        assert_eq!(
            names,
            [
                "run", "check", "load", "export", "route", "cdr", "status", "reload", "drain",
                "ps", "calls", "demo"
            ]
        );
    }

    #[test]
    fn the_configuration_file_may_stand_before_or_after_the_command() {
        for line in ["tandem --config a.toml run", "tandem run --config a.toml"] {
            assert_eq!(
                parse(line).unwrap().config,
                Some(PathBuf::from("a.toml")),
                "{line}"
            );
        }
    }

    #[test]
    fn route_takes_number_customer_caller_and_time() {
        let cli =
            parse("tandem route 4930 --customer acme --from 4420 --at 2026-01-01T00:00:00Z --json")
                .unwrap();
        let Command::Route(route) = cli.command else {
            panic!("not route")
        };
        assert_eq!(
            (
                route.number.as_str(),
                route.customer.as_str(),
                route.from.as_str()
            ),
            ("4930", "acme", "4420")
        );
        assert_eq!(
            (route.at.as_deref(), route.json),
            (Some("2026-01-01T00:00:00Z"), true)
        );
    }

    #[test]
    fn route_without_a_customer_is_refused() {
        assert!(parse("tandem route 4930").is_err());
    }

    #[test]
    fn cdr_shows_twenty_as_a_table_unless_told_otherwise() {
        let Command::Cdr(cdr) = parse("tandem cdr").unwrap().command else {
            panic!("not cdr")
        };
        assert_eq!((cdr.limit, cdr.format), (20, CdrFormat::Table));
        let Command::Cdr(cdr) = parse("tandem cdr --limit 3 --format csv").unwrap().command else {
            panic!("not cdr")
        };
        assert_eq!((cdr.limit, cdr.format), (3, CdrFormat::Csv));
        assert!(parse("tandem cdr --format xml").is_err());
    }

    #[test]
    fn load_needs_a_directory_and_knows_its_two_switches() {
        assert!(parse("tandem load").is_err());
        let Command::Load(load) = parse("tandem load plan --replace --dry-run")
            .unwrap()
            .command
        else {
            panic!("not load")
        };
        assert_eq!(
            (load.directory, load.replace, load.dry_run),
            (PathBuf::from("plan"), true, true)
        );
    }

    #[test]
    fn a_misspelt_command_is_refused_with_the_nearest_one() {
        assert!(
            parse("tandem statsu")
                .unwrap_err()
                .to_string()
                .contains("'status'")
        );
    }
}
