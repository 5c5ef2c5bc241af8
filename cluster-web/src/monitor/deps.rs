//! `/deps`: what the program that runs is made of.
//!
//! It says so itself: in the section `.dep-v0` that `cargo auditable build` puts into it, or in what the macro `dependencies!` has read of its
//! `Cargo.lock` when it was built. No directory that happens to lie beside it is asked.

mod tree;

use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use cluster_core::program_section;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde_json::json;

use tree::Packages;

/// The section, and the most bytes that are read of it, and unpacked of these.
const SECTION: &str = ".dep-v0";
const PACKED: u64 = 4 * 1024 * 1024;
const UNPACKED: usize = 32 * 1024 * 1024;

const HOW: &str = "this program does not say what it is made of; build it by `cargo auditable build`, or add the line `.dependencies(cluster_web::dependencies!())` to where it is put together";

/// What the program says of itself, read when it is first asked for.
pub(super) struct Dependencies {
    embedded: Option<&'static str>,
    read: OnceLock<Result<String, String>>,
}

impl Dependencies {
    pub(super) fn new(embedded: Option<&'static str>) -> Self {
        Dependencies {
            embedded,
            read: OnceLock::new(),
        }
    }

    fn read(&self) -> &Result<String, String> {
        self.read.get_or_init(|| {
            let packed = program_section(SECTION, PACKED);
            let audited = packed.map(|packed| {
                let text = decompress_to_vec_zlib_with_limit(&packed, UNPACKED);
                text.map_err(|e| {
                    format!("the section {SECTION} of the program cannot be unpacked: {e}")
                })
            });
            let (text, from) = match (audited, self.embedded) {
                (Some(text), _) => (text?, "cargo-auditable"),
                (None, Some(text)) => (text.as_bytes().to_vec(), "Cargo.lock"),
                (None, None) => return Err(HOW.to_owned()),
            };
            let packages: Packages = serde_json::from_slice(&text).map_err(|e| {
                format!("what the program says of its dependencies ({from}) cannot be read: {e}")
            })?;
            let mut tree = packages.tree();
            tree["from"] = json!(from);
            Ok(tree.to_string())
        })
    }
}

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/deps", web::get().to(deps));
}

async fn deps(dependencies: Data<Dependencies>) -> HttpResponse {
    match dependencies.read() {
        Ok(tree) => HttpResponse::Ok()
            .content_type("application/json")
            .body(tree.clone()),
        Err(how) => HttpResponse::NotFound().json(json!({ "error": how })),
    }
}
