//! Everything that reads what a peer sends, under bytes of libfuzzer's choice.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cluster_core::__fuzz::frames(bytes));
