//! An async main with a result: `?` needs no hint of the error's type, and attributes stay.

#[cluster_core::main]
#[allow(clippy::needless_question_mark)]
async fn main() -> Result<(), std::num::ParseIntError> {
    let port: u16 = "8080".parse()?;
    assert_eq!(port, 8080);
    Ok(())
}
