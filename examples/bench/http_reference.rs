//! What hello is measured against: a bare actix-web server with the same route.
//!
//! `bench-http-reference --port P --threads N`, on the loopback only. It is no example to follow, and is left as plain
//! as actix-web lets it be.

use std::env;
use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use actix_web::{App, HttpServer, get};

#[get("/")]
async fn index() -> &'static str {
    "hello"
}

/// The value of `--name` among the arguments.
fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let mut arguments = env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

fn main() -> ExitCode {
    let (Some(port), Some(threads)) = (number("--port"), number("--threads")) else {
        eprintln!("usage: bench-http-reference --port P --threads N");
        return ExitCode::from(2);
    };
    match actix_web::rt::System::new().block_on(serve(port, threads)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-http-reference: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(port: u16, threads: usize) -> io::Result<()> {
    HttpServer::new(|| App::new().service(index))
        .workers(threads)
        .bind((Ipv4Addr::LOCALHOST, port))?
        .run()
        .await
}
