#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cozyup::session::properties::protocol(bytes));
