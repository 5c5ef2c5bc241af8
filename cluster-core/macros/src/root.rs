//! Where the application finds what the expansions name.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::Span;
use syn::{Error, Ident, Path, Result, parse_quote};

/// The crates that re-export `__private`, in the order in which an application is likely to have them.
const CRATES: [&str; 3] = ["cluster-web", "cluster-cache", "cluster-core"];

/// The path of `__private` in the first of our crates that the expanding package depends on, under whatever name.
pub(crate) fn private_module() -> Result<Path> {
    let name = CRATES.iter().find_map(|krate| match crate_name(krate) {
        // Each of our crates says `extern crate self as ..`, so that this path holds in its own unit tests too.
        Ok(FoundCrate::Itself) => Some(krate.replace('-', "_")),
        Ok(FoundCrate::Name(name)) => Some(name),
        Err(_) => None,
    });
    let Some(name) = name else {
        return Err(Error::new(
            Span::call_site(),
            "cannot find the cluster: this package must depend on `cluster-web`, `cluster-cache` or `cluster-core`",
        ));
    };
    let name = Ident::new(&name, Span::call_site());
    Ok(parse_quote!(::#name::__private))
}
