//! The page at `/debug`, and what it is made of: all of it is in the program.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

/// A file of the page: its path, its type, its text.
const FILES: &[(&str, &str, &str)] = &[];

pub(super) fn configure(config: &mut ServiceConfig) {
    for (path, kind, text) in FILES.iter().copied() {
        let answer = move || async move { HttpResponse::Ok().content_type(kind).body(text) };
        config.route(path, web::get().to(answer));
    }
}
