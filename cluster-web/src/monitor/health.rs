//! `/healthz` and `/readyz`, for orchestrators: whether the master runs, and whether the node takes requests.
//!
//! Readiness falls at the first word of a stop, before any listener closes, and a stop waits for its prober as it does for that of `/ecv`.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use cluster_core::Cluster;

use crate::ecv;

pub(super) const HEALTHZ: &str = "/healthz";
pub(super) const READYZ: &str = "/readyz";

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource(HEALTHZ)
                .route(web::get().to(health))
                .route(web::head().to(health)),
        )
        .service(
            web::resource(READYZ)
                .route(web::get().to(ready))
                .route(web::head().to(ready)),
        );
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

async fn ready(cluster: Data<Cluster>) -> HttpResponse {
    let verdict = ecv::standing(&cluster.state(), cluster.options().ecv.min);
    cluster.probed(verdict.is_up());
    if verdict.is_up() {
        HttpResponse::Ok().body("ready\n")
    } else {
        HttpResponse::ServiceUnavailable().body(format!("not ready: {verdict}\n"))
    }
}
