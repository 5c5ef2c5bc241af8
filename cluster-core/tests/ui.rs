//! Right use of the derives compiles and runs; wrong use is told so at its place.
//!
//! One fault a file, named by its cause. After a deliberate change of the words: `TRYBUILD=overwrite`.

#[test]
fn right_use_runs() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}

#[test]
fn wrong_use_is_told_at_its_place() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
