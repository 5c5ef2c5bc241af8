//! The name under which a message's kind is known to other processes.

use syn::{Error, Ident, LitStr, Result, ext::IdentExt};

/// The longest name, in bytes.
const MAX_BYTES: usize = 64;

const ALLOWED: &str = "a name has 1 to 64 bytes of `A-Z a-z 0-9 . _ : -`";

/// The name written, if it may be one.
pub(crate) fn written(name: &LitStr) -> Result<String> {
    let value = name.value();
    match fault(&value) {
        Some(fault) => Err(Error::new(name.span(), format!("{fault}: {ALLOWED}"))),
        None => Ok(value),
    }
}

/// The type's identifier as the name, if it may be one; `attribute` is where another can be given.
pub(crate) fn of_type(ident: &Ident, attribute: &str) -> Result<String> {
    let value = ident.unraw().to_string();
    match fault(&value) {
        Some(fault) => Err(Error::new(
            ident.span(),
            format!(
                "the type's identifier cannot name it in the cluster, {fault}: give `#[{attribute}(name = \"..\")]`; {ALLOWED}"
            ),
        )),
        None => Ok(value),
    }
}

fn fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("the name is empty".to_owned());
    }
    if name.len() > MAX_BYTES {
        return Some(format!("the name has {} bytes", name.len()));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    name.chars()
        .find(|&c| !allowed(c))
        .map(|c| format!("the name has {c:?} in it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    fn literal(name: &str) -> Result<String> {
        written(&LitStr::new(name, Span::call_site()))
    }

    #[test]
    fn every_allowed_character_passes() {
        assert_eq!(literal("aZ09._:-").unwrap(), "aZ09._:-");
    }

    #[test]
    fn length_is_counted_in_bytes() {
        assert!(
            literal("")
                .unwrap_err()
                .to_string()
                .starts_with("the name is empty")
        );
        assert_eq!(literal(&"n".repeat(64)).unwrap().len(), 64);
        assert!(
            literal(&"n".repeat(65))
                .unwrap_err()
                .to_string()
                .starts_with("the name has 65 bytes")
        );
    }

    #[test]
    fn the_first_bad_character_is_named() {
        for (name, bad) in [
            ("a b", "' '"),
            ("a/b", "'/'"),
            ("prix.changé", "'é'"),
            ("a\n", "'\\n'"),
        ] {
            let error = literal(name).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("the name has {bad} in it")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_raw_identifier_loses_its_prefix() {
        assert_eq!(
            of_type(&syn::parse_str("r#type").unwrap(), "event").unwrap(),
            "type"
        );
    }

    #[test]
    fn an_identifier_that_cannot_be_a_name_says_where_to_give_one() {
        let error = of_type(&syn::parse_str("Été").unwrap(), "request")
            .unwrap_err()
            .to_string();
        assert!(error.contains("#[request(name"), "{error}");
    }
}
