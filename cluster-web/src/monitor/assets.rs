//! The page at `/debug`, and what it is made of: all of it is in the program.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

/// A file of the page: its path, its type, its text.
type File = (&'static str, &'static str, &'static str);

macro_rules! module {
    ($name:literal) => {
        (
            concat!("/debug/", $name, ".js"),
            "text/javascript; charset=utf-8",
            include_str!(concat!("assets/", $name, ".js")),
        )
    };
}

const FILES: [File; 19] = [
    (
        "/debug",
        "text/html; charset=utf-8",
        include_str!("assets/page.html"),
    ),
    (
        "/debug/page.css",
        "text/css; charset=utf-8",
        include_str!("assets/page.css"),
    ),
    module!("main"),
    module!("act"),
    module!("caches"),
    module!("cluster"),
    module!("debugger"),
    module!("dependencies"),
    module!("dom"),
    module!("flame"),
    module!("format"),
    module!("log"),
    module!("process"),
    module!("profile"),
    module!("stacks"),
    module!("state"),
    module!("statuses"),
    module!("stream"),
    module!("workers"),
];

pub(super) fn configure(config: &mut ServiceConfig) {
    for (path, kind, text) in FILES {
        let answer = move || async move { HttpResponse::Ok().content_type(kind).body(text) };
        config.route(path, web::get().to(answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most bytes that the whole page takes.
    const MOST: usize = 150 * 1024;

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        let all = FILES.iter();
        assert!(all.clone().map(|(_, _, text)| text.len()).sum::<usize>() <= MOST);
        for (path, _, text) in all {
            let outside = text.replace("http://www.w3.org/", "");
            assert!(
                !outside.contains("http://") && !outside.contains("https://"),
                "{path}"
            );
            assert!(
                !text.contains("innerHTML") && !text.contains("insertAdjacentHTML"),
                "{path}: text is put in as text"
            );
        }
    }
}
