//! Users who stay logged in: their sessions are in a store that all workers share, and that outlives them.
//!
//! `POST /login?user=U` logs in; `/me` says who one is and how often one has asked, or 401; `POST /logout` logs out; `/pid` says which
//! worker has answered. `--store` says where sessions are kept: in the `memory` of the cache manager, `embedded` in it with a file,
//! in an `sqlite` database, or in `file`s.

use std::path::{Path, PathBuf};

use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::{App, HttpResponse, Responder, get, post};
use cluster_web::prelude::*;
use serde_json::json;

/// What signs the cookies where nobody says otherwise: known to everybody who reads this.
const SECRET: &str = "an open secret, good for an example on one's own machine, and for no other";

#[derive(Deserialize)]
struct Who {
    user: String,
}

#[post("/login")]
async fn login(who: web::Query<Who>, session: Session) -> Result<impl Responder> {
    // Another id than before: whoever knew that one is not logged in.
    session.renew();
    session.insert("user", &who.user)?;
    session.insert("visits", 0)?;
    Ok("welcome\n")
}

#[get("/me")]
async fn me(session: Session) -> Result<impl Responder> {
    let Some(user) = session.get::<String>("user")? else {
        return Ok(HttpResponse::Unauthorized().body("log in first\n"));
    };
    let visits = session.get::<u64>("visits")?.unwrap_or_default() + 1;
    session.insert("visits", visits)?;
    let pid = std::process::id();
    Ok(HttpResponse::Ok().json(json!({ "user": user, "visits": visits, "pid": pid })))
}

#[post("/logout")]
async fn logout(session: Session) -> impl Responder {
    session.purge();
    "bye\n"
}

#[get("/pid")]
async fn who_answers() -> impl Responder {
    std::process::id().to_string()
}

/// The application's own flags are text to the cluster: what they mean is for the application to check.
fn store(kind: &str, directory: &Path) -> Result<SessionStore> {
    match kind {
        "memory" => Ok(SessionStore::memory()),
        "embedded" => Ok(SessionStore::embedded()),
        "sqlite" => Ok(SessionStore::sqlite(directory.join("sessions.db"))),
        "file" => Ok(SessionStore::files(directory.join("sessions"))),
        other => Err(Error::msg(format!(
            "--store: {other:?} is no store (allowed: memory, embedded, sqlite, file)"
        ))),
    }
}

fn key(secret: &str) -> Result<Key> {
    match secret.len() {
        64.. => Ok(Key::from(secret.as_bytes())),
        bytes => Err(Error::msg(format!(
            "--secret has {bytes} bytes (allowed: 64 or more)"
        ))),
    }
}

fn sessions(cluster: &Cluster, key: Key) -> SessionMiddleware<cluster_web::ClusterSessionStore> {
    SessionMiddleware::builder(cluster.session_store("web"), key)
        // It is served without TLS.
        .cookie_secure(false)
        .build()
}

#[cluster_web::main]
async fn main() -> Result<()> {
    let mut options = Options::loader()
        .about("Users who stay logged in, whatever becomes of the workers.")
        .flag(
            "store",
            "Where sessions are kept: memory, embedded, sqlite or file",
            "memory",
        )
        .flag(
            "data",
            "The directory of what is kept on disk",
            "sessions-data",
        )
        .flag("secret", "What signs the cookies, 64 bytes or more", SECRET)
        .load()?;
    let data = PathBuf::from(options.app("data").unwrap_or_default());
    let kind = options.app("store").unwrap_or_default().to_owned();
    let store = store(&kind, &data)?;
    let key = key(options.app("secret").unwrap_or_default())?;
    if kind != "memory" {
        std::fs::create_dir_all(&data)?;
    }
    if kind == "embedded" {
        let path = &mut options.cache.persist_path;
        path.get_or_insert_with(|| data.join("sessions.log"));
    }
    cluster_web::configure(|cluster| async { Ok(cluster) })
        .app(move |cluster: Cluster| {
            App::new()
                .wrap(sessions(&cluster, key.clone()))
                .service(login)
                .service(me)
                .service(logout)
                .service(who_answers)
        })
        .options(options)
        .session_store("web", store)
        .listen()
        .await?
        .wait()
        .await
}
