//! What the monitor shows: the cluster as JSON, and the registered statuses.

use actix_web::web::{self, Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder};
use cluster_core::{Cluster, Reducer, StatusError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route("/", web::get().to(index))
        .route("/status", web::get().to(cluster))
        .route("/status/", web::get().to(names))
        .service(
            web::resource("/status/{name}")
                .route(web::get().to(status))
                .route(web::put().to(set)),
        );
}

async fn index(cluster: Data<Cluster>) -> impl Responder {
    let state = cluster.state();
    let line = format!(
        "{} ({}): {} of {} workers serve\n/debug\n/status\n/status/\n/status/NAME\n/metrics\n/healthz\n/readyz\n/deps\n",
        state.name,
        serde_json::to_value(state.state)
            .unwrap_or_default()
            .as_str()
            .unwrap_or_default(),
        state.serving(),
        state.wanted
    );
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(line)
}

async fn cluster(cluster: Data<Cluster>) -> impl Responder {
    Json(cluster.state().as_ref().clone())
}

async fn names(cluster: Data<Cluster>) -> HttpResponse {
    answer(cluster.status().statuses().await.map(|names| json!(names)))
}

#[derive(Deserialize)]
struct Reduce {
    reduce: Option<String>,
}

async fn status(cluster: Data<Cluster>, name: Path<String>, query: Query<Reduce>) -> HttpResponse {
    let reducer = match query.reduce.as_deref().unwrap_or("list").parse::<Reducer>() {
        Ok(reducer) => reducer,
        Err(e) => return HttpResponse::BadRequest().json(json!({ "error": e.to_string() })),
    };
    answer(cluster.status().reduce(&name, reducer).await)
}

async fn set(
    request: HttpRequest,
    cluster: Data<Cluster>,
    name: Path<String>,
    value: Json<Value>,
) -> HttpResponse {
    audit::tell(&request, format!("set status {:?} to {value}", *name));
    let set = cluster.set_status(&name, &value).await;
    answer(set.map(|processes| json!({ "set": *name, "processes": processes })))
}

fn answer(result: Result<Value, StatusError>) -> HttpResponse {
    let error = match result {
        Ok(value) => return HttpResponse::Ok().json(value),
        Err(error) => error,
    };
    let body = json!({ "error": error.to_string() });
    match error {
        StatusError::Unknown(_) => HttpResponse::NotFound().json(body),
        StatusError::ReadOnly(_) => HttpResponse::MethodNotAllowed().json(body),
        StatusError::Refused { .. } => HttpResponse::UnprocessableEntity().json(body),
        StatusError::Reduce { .. } => HttpResponse::BadRequest().json(body),
        _ => HttpResponse::GatewayTimeout().json(body),
    }
}
