#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tandem_fuzz::write_round_trip::check(bytes));
