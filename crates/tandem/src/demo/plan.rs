//! The demonstration plan: the CSV files of two vendors, one customer and their prices.
//! Written to a directory and loaded by the code of `tandem load`, so that the demo shows the real way in.
//! Leaves out limits, number rules and lookups.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The vendor that is cheapest and refuses everything.
pub(crate) const CHEAP_VENDOR: &str = "bargain";
/// The vendor that costs more and works.
pub(crate) const GOOD_VENDOR: &str = "reliable";
/// The customer.
pub(crate) const CUSTOMER: &str = "acme";

/// Writes the files of the plan into `directory`.
pub(crate) fn write(directory: &Path, cheap: SocketAddr, good: SocketAddr) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let files = [
        (
            "customers.csv",
            format!(
                "name,rate_sheet,routing_plan,currency,cps_limit,channel_limit\n{CUSTOMER},retail,standard,EUR,100,100\n"
            ),
        ),
        (
            "customer_addresses.csv",
            format!("customer,address\n{CUSTOMER},127.0.0.1/32\n"),
        ),
        (
            "vendors.csv",
            format!(
                "name,rate_sheet,currency\n{CHEAP_VENDOR},{CHEAP_VENDOR}-rates,EUR\n{GOOD_VENDOR},{GOOD_VENDOR}-rates,EUR\n"
            ),
        ),
        (
            "vendor_gateways.csv",
            format!("vendor,address\n{CHEAP_VENDOR},{cheap}\n{GOOD_VENDOR},{good}\n"),
        ),
        (
            "routing_plans.csv",
            "name,mode,max_attempts\nstandard,lcr,3\n".to_owned(),
        ),
        (
            "routes.csv",
            format!(
                "plan,prefix,vendor\nstandard,44,{CHEAP_VENDOR}\nstandard,44,{GOOD_VENDOR}\nstandard,49,{GOOD_VENDOR}\n"
            ),
        ),
        (
            "rates.csv",
            format!(
                "sheet,prefix,rate,connect_fee,initial_interval_s,next_interval_s\n\
                 retail,44,0.0300,0.0010,1,1\n\
                 retail,49,0.0240,0,60,60\n\
                 {CHEAP_VENDOR}-rates,44,0.0080,0,1,1\n\
                 {GOOD_VENDOR}-rates,44,0.0150,0,1,1\n\
                 {GOOD_VENDOR}-rates,49,0.0120,0,30,6\n"
            ),
        ),
    ];
    for (name, content) in files {
        fs::write(directory.join(name), content)?;
    }
    Ok(())
}
