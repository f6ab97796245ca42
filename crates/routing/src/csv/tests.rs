//! Tests of reading and writing CSV.

use super::*;
use crate::testing::{Random, faults, lines, read};

/// All seven files, written as `write_csv` would.
fn export(tables: &Tables) -> Vec<(TableKind, String)> {
    TableKind::ALL
        .into_iter()
        .map(|kind| {
            let mut out = Vec::new();
            write_csv(kind, tables, &mut out).unwrap();
            (kind, String::from_utf8(out).unwrap())
        })
        .collect()
}

const FILES: [(TableKind, &str); 7] = [
    (
        TableKind::Customers,
        "routing_plan,name,channel_limit,lookup,lookup_query\n\
         gold, acme ,200,sql,\"SELECT '1', NULL\nWHERE {number} = '5'\"\n\
         gold,\"b, \"\"quoted\"\"\",,,\n",
    ),
    (
        TableKind::CustomerAddresses,
        "customer,address,transport,tech_prefix\nacme,192.0.2.0/24,,\nacme,[2001:db8::1]:5060,TLS,12#\n",
    ),
    (
        TableKind::Vendors,
        "name,rate_sheet,strip,prepend,enabled\nv1,s1,2,+00,FALSE\nv2,s1,,,\n",
    ),
    (
        TableKind::VendorGateways,
        "vendor,address,priority,weight\nv2,sip.example.com,2,\nv2,198.51.100.1:5070,,5\nv1,[2001:db8::9],,\n",
    ),
    (
        TableKind::RoutingPlans,
        "name,mode,margin_min\ngold,lcr,\nfixed,static,\n",
    ),
    (
        TableKind::Routes,
        "plan,prefix,vendor,schedule\ngold,44,v2,always\ngold,,v1,\ngold,+1,v2,\n",
    ),
    (
        TableKind::Rates,
        "prefix,sheet,rate,next_rate,connect_fee,initial_interval_s,next_interval_s,effective_from,effective_to\n\
         44,s1,0.0100,0.02,0.001,30,6,2026-01-01,2026-12-31T23:00:00.5-01:00\n\
         +1,s1,0,,,0,,,\n\
         ,s1,1.5,,,,,,\n",
    ),
];

#[test]
fn what_is_exported_reads_back_to_the_same_bytes() {
    let first = export(&read(&FILES).unwrap());
    let texts: Vec<_> = first
        .iter()
        .map(|(kind, text)| (*kind, text.as_str()))
        .collect();
    let second = export(&read(&texts).unwrap());
    assert_eq!(first, second);
    let rates = &first[6].1;
    assert_eq!(
        rates.lines().collect::<Vec<_>>(),
        [
            "sheet,prefix,rate,connect_fee,initial_interval_s,next_rate,next_interval_s,effective_from,effective_to",
            "s1,,1.5,0,1,1.5,1,,",
            "s1,1,0,0,0,0,1,,",
            "s1,44,0.0100,0.001,30,0.02,6,2026-01-01T00:00:00Z,2027-01-01T00:00:00.5Z",
        ]
    );
}

#[test]
fn the_order_of_rows_does_not_change_an_export() {
    let tables = read(&FILES).unwrap();
    let mut turned = tables.clone();
    turned.customers.reverse();
    turned.customer_addresses.reverse();
    turned.vendor_gateways.reverse();
    turned.routes.reverse();
    turned.rates.reverse();
    assert_eq!(export(&tables), export(&turned));
}

#[test]
fn an_export_of_random_rates_reads_back_to_the_same_bytes() {
    let mut random = Random(5);
    let mut text = String::from("sheet,prefix,rate,effective_from\n");
    for row in 0..500 {
        let (sheet, rate) = (random.below(3), random.below(1_000_000));
        text += &format!(
            "s{sheet},{row},{}.{rate:06},20{:02}-01-02\n",
            random.below(9),
            30 + random.below(60)
        );
    }
    let first = export(&read(&[(TableKind::Rates, &text)]).unwrap());
    let second = export(&read(&[(TableKind::Rates, &first[6].1)]).unwrap());
    assert_eq!(first, second);
    assert_eq!(first[6].1.lines().count(), 501);
}

#[test]
fn every_faulty_cell_is_told_with_file_line_column_and_what_is_allowed() {
    let text = "name,cps_limit,routing_plan,currency,enabled,strip,prepend,lookup\n\
                good,,gold,EUR,true,,,\n\
                ,-1,,usd,maybe,33,4-4,http\n";
    assert_eq!(
        faults(&[(TableKind::Customers, text)]),
        "customers.csv:3: name: is empty; allowed: 1 to 64 characters, no control characters\n\
         customers.csv:3: routing_plan: is empty; allowed: name of a plan in routing_plans.csv\n\
         customers.csv:3: currency: \"usd\" is not a currency; allowed: three capital letters (ISO 4217); empty: USD\n\
         customers.csv:3: cps_limit: \"-1\" is not in range; allowed: whole number 0 to 1000000, calls per second; \
         empty: unlimited\n\
         customers.csv:3: strip: \"33\" is not in range; allowed: whole number 0 to 32; empty: 0\n\
         customers.csv:3: prepend: \"4-4\" can't be put in front of a number; allowed: up to 32 of 0-9 * # and \
         letters, perhaps with a leading +; empty: nothing\n\
         customers.csv:3: enabled: \"maybe\" is neither; allowed: true or false; empty: true\n\
         customers.csv:3: lookup: \"http\" is not a lookup; allowed: sql; empty: none\n"
    );
}

#[test]
fn negative_and_absurd_prices_are_refused() {
    for rate in [
        "-0.01",
        "1000001",
        "1e3",
        "0x10",
        "1_000",
        "0,01",
        ".5",
        "5.",
        "1.00000000001",
        "NaN",
        "9999999999999999999999999999999",
    ] {
        let text = format!("sheet,prefix,rate\ns,44,\"{rate}\"\n");
        let told = faults(&[(TableKind::Rates, &text)]);
        assert!(told.starts_with("rates.csv:2: rate: "), "{rate}: {told}");
        assert!(
            told.contains("allowed: decimal 0 to 1000000 with at most 10 places, per minute"),
            "{told}"
        );
    }
    let text = "sheet,prefix,rate,next_interval_s,effective_from,effective_to\n\
                s,44,1,0,,\ns,45,1,,2026-13-01,\ns,46,1,,2026-02-01,2026-02-01\ns,47,,,,\n";
    let told = faults(&[(TableKind::Rates, text)]);
    let starts = [
        "rates.csv:2: next_interval_s: \"0\" is not in range; allowed: whole number 1 to 86400",
        "rates.csv:3: effective_from: \"2026-13-01\" is not an instant; allowed: a date",
        "rates.csv:4: effective_to: is not later than effective_from; allowed: ",
        "rates.csv:5: rate: is empty; allowed: ",
    ];
    assert_eq!(told.lines().count(), starts.len(), "{told}");
    for (line, start) in told.lines().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn an_unknown_column_is_named_with_its_nearest_neighbour() {
    let told = faults(&[(
        TableKind::Rates,
        "sheet,prefix,Rate,conect_fee,colour\ns,44,1,0,red\n",
    )]);
    let told: Vec<_> = told.lines().collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].starts_with(
        "rates.csv:1: \"Rate\": is not a column; allowed: sheet, prefix, rate, connect_fee*"
    ));
    assert!(told[0].ends_with("; did you mean \"rate\"?"), "{}", told[0]);
    assert!(
        told[1].ends_with("; did you mean \"connect_fee\"?"),
        "{}",
        told[1]
    );
    assert!(told[2].ends_with("(* may be left out)"), "{}", told[2]);
    assert_eq!(
        told[3],
        "rates.csv:1: rate: is missing in the header line; it is required"
    );
}

#[test]
fn an_unknown_mode_is_named_with_its_nearest_neighbour() {
    let told = faults(&[(TableKind::RoutingPlans, "name,mode\ngold,lrc\n")]);
    assert_eq!(
        told,
        "routing_plans.csv:2: mode: \"lrc\" is not a mode; allowed: lcr, static; did you mean \"lcr\"?\n"
    );
}

#[test]
fn what_a_vendor_or_plan_may_not_be_told_is_named_with_what_is_allowed() {
    let told = faults(&[
        (
            TableKind::Vendors,
            "name,redirect,on_6xx\na,yes,next\nb,TRUE,halt\nc,,\n",
        ),
        (
            TableKind::RoutingPlans,
            "name,mode,forking\np,lcr,paralel\nq,static,\n",
        ),
    ]);
    assert_eq!(
        told,
        "vendors.csv:2: redirect: \"yes\" is neither; allowed: true or false: follow its 3xx, to its own gateways only; \
         empty: false\n\
         vendors.csv:3: on_6xx: \"halt\" is not a policy; allowed: next, stop\n\
         routing_plans.csv:2: forking: \"paralel\" is not a way of forking; allowed: serial, parallel; did you mean \"parallel\"?\n"
    );
}

#[test]
fn a_column_that_stands_twice_is_refused() {
    let told = faults(&[(TableKind::RoutingPlans, "name,mode,name\ngold,lcr,gold\n")]);
    assert_eq!(
        told,
        "routing_plans.csv:1: name: stands twice in the header line; allowed: once\n"
    );
}

#[test]
fn lines_of_another_width_and_bytes_that_are_no_text_are_told() {
    let mut tables = Tables::default();
    let mut told = Vec::new();
    let text = b"name,mode\ngold\nsilver,lcr,5\n\xff\xfe,lcr\nfine,lcr\n";
    let taken = read_csv(
        TableKind::RoutingPlans,
        "p.csv",
        &text[..],
        &mut tables,
        &mut told,
        &mut |_| {},
    );
    assert!(!taken);
    assert_eq!(
        lines(&told),
        "p.csv:2: 1 cells; allowed: 2, as the header line has\n\
         p.csv:3: 3 cells; allowed: 2, as the header line has\n\
         p.csv:4: name: is not UTF-8; allowed: UTF-8 text\n"
    );
    assert!(tables.is_empty(), "a file with faults is not taken by half");
}

#[test]
fn an_empty_file_is_refused_and_a_header_alone_is_fine() {
    assert!(
        faults(&[(TableKind::Routes, "")])
            .starts_with("routes.csv:1: the file is empty; allowed: a header line")
    );
    assert_eq!(
        faults(&[(TableKind::Routes, "\u{feff}plan,prefix,vendor\r\n")]),
        ""
    );
}

#[test]
fn faults_end_at_one_hundred() {
    let text = format!("name,mode\n{}", "x,y\n".repeat(1_000));
    let told = faults(&[(TableKind::RoutingPlans, &text)]);
    assert_eq!(told.lines().count(), FAULTS_MAX);
}

#[test]
fn a_duplicate_names_both_lines_of_its_file() {
    let cases = [
        (
            TableKind::Customers,
            "name,routing_plan\na,p\n\nb,p\na,q\n",
            "customers.csv:5: name: the same name as in line 2",
        ),
        (
            TableKind::CustomerAddresses,
            "customer,address\na,192.0.2.1\nb,192.0.2.1/32\n",
            "customer_addresses.csv:3: address: the same address, transport and tech_prefix as in line 2",
        ),
        (
            TableKind::VendorGateways,
            "vendor,address,transport\nv,sip.example.com,\nv,sip.example.com,udp\nv,sip.example.com,tcp\n",
            "vendor_gateways.csv:3: address: the same vendor, address and transport as in line 2",
        ),
        (
            TableKind::Routes,
            "plan,prefix,vendor\np,+44,v\np,44,w\np,44,v\n",
            "routes.csv:4: prefix: the same plan, prefix and vendor as in line 2",
        ),
        (
            TableKind::Rates,
            "sheet,prefix,rate,effective_from\ns,44,1,\nt,44,1,\ns,44,2,2026-01-01\ns,+44,3,2026-01-01T00:00:00Z\n",
            "rates.csv:5: prefix: the same sheet, prefix and effective_from as in line 4",
        ),
    ];
    for (kind, text, expected) in cases {
        let (mut tables, mut told) = (Tables::default(), Vec::new());
        read_csv(
            kind,
            kind.file_name(),
            text.as_bytes(),
            &mut tables,
            &mut told,
            &mut |_| {},
        );
        assert_eq!(lines(&told), format!("{expected}; allowed: once\n"));
    }
}

#[test]
fn progress_ends_at_the_length_of_the_file() {
    let mut text = String::from("sheet,prefix,rate\n");
    for row in 0..20_000 {
        text += &format!("s,{row},0.01\n");
    }
    let mut seen = Vec::new();
    let (mut tables, mut told) = (Tables::default(), Vec::new());
    read_csv(
        TableKind::Rates,
        "rates.csv",
        text.as_bytes(),
        &mut tables,
        &mut told,
        &mut |bytes| seen.push(bytes),
    );
    assert_eq!(seen.last(), Some(&(text.len() as u64)));
    assert!(seen.len() == 3 && seen.is_sorted(), "{seen:?}");
    assert_eq!(tables.rates.len(), 20_000);
}

#[test]
fn faults_are_told_at_their_lines_whatever_the_line_ends_and_blank_lines() {
    let text = "name,mode\na,x\n\n\nb,x\n\"c\n\n\",x\nd,x\n\ne,x";
    for text in [
        text.to_owned(),
        text.replace('\n', "\r\n"),
        format!("\u{feff}{text}"),
    ] {
        let told = faults(&[(TableKind::RoutingPlans, &text)]);
        let at: Vec<_> = told
            .lines()
            .filter_map(|line| line.split(':').nth(1))
            .collect();
        assert_eq!(at, ["2", "5", "6", "9", "11"], "{told}");
    }
}
