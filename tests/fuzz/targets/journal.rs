#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cozyup::engine::journal::properties::journal(bytes));
