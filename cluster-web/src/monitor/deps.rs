//! `/deps`: what the program that runs is made of.
//!
//! It says so itself: in the section `.dep-v0` that `cargo auditable build` puts into it, or in what the macro `dependencies!` has read of its
//! `Cargo.lock` when it was built. No directory that happens to lie beside it is asked.

mod tree;

use std::borrow::Cow;
use std::error::Error;
use std::iter::successors;
use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use cluster_core::{SectionError, program_section};
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
use serde_json::json;

use tree::{Misfit, Packages};

/// The section, and the most bytes that are read of it, and unpacked of these: 418 packages take 6 KB, and 37 KB unpacked.
const SECTION: &str = ".dep-v0";
const PACKED: u64 = 1024 * 1024;
const UNPACKED: usize = 4 * 1024 * 1024;

/// Why nothing is said.
#[derive(Debug, thiserror::Error)]
enum DepsError {
    #[error(
        "this program does not say what it is made of; build it by `cargo auditable build`, or add the line `.dependencies(cluster_web::dependencies!())` to where it is put together"
    )]
    Silent,
    #[error(transparent)]
    Section(#[from] SectionError),
    #[error("the section {SECTION} of the program takes more than {UNPACKED} bytes unpacked")]
    Bomb,
    #[error("the section {SECTION} of the program cannot be unpacked: {0}")]
    Packed(&'static str),
    #[error("what the program says of its dependencies ({from}) cannot be read")]
    Json {
        from: &'static str,
        source: serde_json::Error,
    },
    #[error("what the program says of its dependencies ({from}) is not shown")]
    Misfit { from: &'static str, source: Misfit },
}

/// What the program says of itself, read when it is first asked for.
pub(super) struct Dependencies {
    embedded: Option<&'static str>,
    read: OnceLock<Result<String, DepsError>>,
}

impl Dependencies {
    pub(super) fn new(embedded: Option<&'static str>) -> Self {
        Dependencies {
            embedded,
            read: OnceLock::new(),
        }
    }

    fn tree(&self) -> Result<String, DepsError> {
        let audited = program_section(SECTION, PACKED)?;
        let (text, from) = match (audited, self.embedded) {
            (Some(packed), _) => (unpacked(&packed)?.into(), "cargo-auditable"),
            (None, Some(text)) => (Cow::Borrowed(text.as_bytes()), "Cargo.lock"),
            (None, None) => return Err(DepsError::Silent),
        };
        let packages: Packages =
            serde_json::from_slice(&text).map_err(|source| DepsError::Json { from, source })?;
        packages
            .check()
            .map_err(|source| DepsError::Misfit { from, source })?;
        let mut tree = packages.tree();
        tree["from"] = json!(from);
        Ok(tree.to_string())
    }
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, DepsError> {
    decompress_to_vec_zlib_with_limit(packed, UNPACKED).map_err(|e| match e.status {
        TINFLStatus::HasMoreOutput => DepsError::Bomb,
        TINFLStatus::Adler32Mismatch => DepsError::Packed("its checksum does not fit"),
        TINFLStatus::FailedCannotMakeProgress => DepsError::Packed("it ends too early"),
        _ => DepsError::Packed("it is no zlib stream"),
    })
}

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/deps", web::get().to(deps));
}

async fn deps(dependencies: Data<Dependencies>) -> HttpResponse {
    match dependencies.read.get_or_init(|| dependencies.tree()) {
        Ok(tree) => HttpResponse::Ok()
            .content_type("application/json")
            .body(tree.clone()),
        Err(error) => {
            let mut response = match error {
                DepsError::Silent => HttpResponse::NotFound(),
                _ => HttpResponse::InternalServerError(),
            };
            let causes = successors(Some(error as &dyn Error), |error| (*error).source());
            let causes: Vec<String> = causes.map(ToString::to_string).collect();
            response.json(json!({ "error": causes.join(": ") }))
        }
    }
}
