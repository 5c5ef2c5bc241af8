//! Feature flags in a document that every worker holds in its own memory: edited in one, they are seen in all.
//!
//! `/get?path=P` is what is at a path, as in `checkout.steps[0]`, and without one all of it; `POST /set?path=P&ttl=MS` sets it to the JSON of the body,
//! for a time only where one is given; `DELETE /delete?path=P` deletes it; `/pid` is the worker that answers, which every answer names in its
//! header `pid` too. The file is `flags.json` in the working directory.

use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpResponseBuilder, delete, get, post};
use cluster_web::cache::MOST_DOCUMENT_BYTES;
use cluster_web::prelude::*;
use cluster_web::{Document, DocumentError};
use serde_json::{Value, json};

/// This worker's handle of the flags.
fn flags(cluster: &Cluster) -> Result<Document, DocumentError> {
    cluster.document("flags", DocumentOptions::default().gc_interval(seconds(10)))
}

/// An answer with the number of this process.
fn answer(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header(("pid", std::process::id().to_string()));
    answer
}

/// What a client may know: what it has asked for that is not possible.
fn refuse(error: DocumentError) -> HttpResponse {
    let status = match error {
        DocumentError::Path { .. } | DocumentError::Value { .. } => StatusCode::BAD_REQUEST,
        DocumentError::Misfit { .. } => StatusCode::CONFLICT,
        ref e if e.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    answer(status).json(json!({ "error": error.to_string() }))
}

#[derive(Deserialize)]
struct At {
    #[serde(default)]
    path: String,
    /// Milliseconds.
    ttl: Option<u64>,
}

#[get("/get")]
async fn get_flag(at: web::Query<At>, cluster: web::Data<Cluster>) -> HttpResponse {
    match flags(&cluster).and_then(|flags| flags.get(&at.path)) {
        Ok(Some(value)) => answer(StatusCode::OK).json(value),
        Ok(None) => answer(StatusCode::NOT_FOUND).json(Value::Null),
        Err(e) => refuse(e),
    }
}

#[post("/set")]
async fn set_flag(
    at: web::Query<At>,
    value: web::Json<Value>,
    cluster: web::Data<Cluster>,
) -> HttpResponse {
    let value = value.into_inner();
    let set = flags(&cluster).and_then(|flags| match at.ttl {
        Some(ttl) => flags.set_for(&at.path, value, millis(ttl)),
        None => flags.set(&at.path, value),
    });
    match set {
        Ok(value) => answer(StatusCode::OK).json(value),
        Err(e) => refuse(e),
    }
}

#[delete("/delete")]
async fn delete_flag(at: web::Query<At>, cluster: web::Data<Cluster>) -> HttpResponse {
    match flags(&cluster).and_then(|flags| flags.delete(&at.path)) {
        Ok(deleted) => answer(StatusCode::OK).json(json!({ "deleted": deleted })),
        Err(e) => refuse(e),
    }
}

#[get("/pid")]
async fn pid() -> HttpResponse {
    answer(StatusCode::OK).body(std::process::id().to_string())
}

/// A worker serves when it has the flags.
#[get("/ready")]
async fn ready(cluster: web::Data<Cluster>) -> Result<HttpResponse> {
    flags(&cluster)?.sync().await?;
    Ok(answer(StatusCode::OK).finish())
}

#[cluster_web::main]
async fn main() -> Result<()> {
    let options = Options::loader()
        .about("Feature flags, edited in one worker and seen in all.")
        .load()?;
    cluster_web::app(|| {
        App::new()
            .app_data(web::JsonConfig::default().limit(MOST_DOCUMENT_BYTES))
            .service(get_flag)
            .service(set_flag)
            .service(delete_flag)
            .service(pid)
            .service(ready)
    })
    .options(options)
    .documents()
    .warm_up(|worker| async move { worker.get("/ready").await })
    .listen()
    .await?
    .wait()
    .await
}
