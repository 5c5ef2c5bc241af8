//! `dependencies!`: what a program is made of, read of its `Cargo.lock` when it is built.

mod lock;
mod manifest;

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::quote;
use toml::Table;

use crate::faults::Faults;
use manifest::Manifests;

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("cargo does not say which package this is ({0} is not set)")]
    Variable(&'static str),
    #[error("there is no Cargo.lock in {} or above it: build the program once, or keep its Cargo.lock", .0.display())]
    NoLock(PathBuf),
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is no TOML: {source}", path.display())]
    Toml {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{} does not name the package {name} {version}", path.display())]
    NoPackage {
        path: PathBuf,
        name: String,
        version: String,
    },
}

pub(crate) fn dependencies(arguments: &TokenStream, faults: &mut Faults) -> TokenStream {
    if !arguments.is_empty() {
        faults.under(arguments, "`dependencies!` takes no arguments");
    }
    let read = of_this_package().map_err(|e| syn::Error::new(proc_macro2::Span::call_site(), e));
    match faults.sound(read) {
        // The file is named so that a change of it has the program built again.
        Some((lock, json)) => quote!({
            const _: &[u8] = ::core::include_bytes!(#lock);
            #json
        }),
        None => quote!(""),
    }
}

fn of_this_package() -> Result<(String, String), LockError> {
    let variable = |name| std::env::var(name).map_err(|_| LockError::Variable(name));
    let (name, version) = (variable("CARGO_PKG_NAME")?, variable("CARGO_PKG_VERSION")?);
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let lock = here
        .ancestors()
        .map(|folder| folder.join("Cargo.lock"))
        .find(|path| path.is_file());
    let path = lock.ok_or_else(|| LockError::NoLock(here.clone()))?;
    let workspace = path.parent().unwrap_or(&here);
    let manifests = Manifests::read(workspace, &here);
    let json = lock::packages(&table(&path)?, &name, &version, &manifests).ok_or_else(|| {
        LockError::NoPackage {
            path: path.clone(),
            name,
            version,
        }
    })?;
    Ok((path.to_string_lossy().into_owned(), json))
}

fn table(path: &Path) -> Result<Table, LockError> {
    let unreadable = |source| LockError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    text.parse().map_err(|source| LockError::Toml {
        path: path.to_owned(),
        source: Box::new(source),
    })
}
